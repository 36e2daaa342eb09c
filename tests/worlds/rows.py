"""One good row of every table that tests of the schema fill, in an order that foreign keys allow."""

from datetime import datetime

from sqlmodel import SQLModel

from boursomatic_assets.schema import (
    Alert,
    ArchiveFile,
    AuditEntry,
    AuditHead,
    AuditLog,
    ComputedSession,
    DeliveredFile,
    DeliveredSession,
    Feature,
    Instrument,
    InstrumentAlias,
    LoginAttempts,
    ModelDecision,
    ModelVersion,
    PriceBar,
    PriceBarRevision,
    Recommendation,
    RecommendationExpiry,
    RecommendationWords,
    RejectedBar,
    RunClaim,
    Summary,
    TrackRecord,
    User,
    UserSettings,
)

FRIDAY = datetime(2024, 1, 5)
MODELS = (
    User, UserSettings, Instrument, PriceBar, PriceBarRevision, Feature, ModelVersion, Recommendation, RejectedBar,
    DeliveredSession, DeliveredFile, ComputedSession, ModelDecision, TrackRecord, InstrumentAlias,
    RecommendationExpiry, LoginAttempts, AuditEntry, AuditHead, AuditLog, Alert, RunClaim,
    ArchiveFile, RecommendationWords, Summary,
)  # fmt: skip


def one_of_each() -> list[SQLModel]:
    user = User(email="ada@example.com", password_hash="$argon2id$...")
    apple = Instrument(symbol="AAPL", exchange="NASDAQ")
    model = ModelVersion(
        version="2024-01", params_hash="0", metrics_json={"auc": 0.5}, is_active=True, as_of=FRIDAY
    )
    advice = Recommendation(
        instrument_id=apple.id,
        model_version_id=model.id,
        profile="moderate",
        label="HOLD",
        confidence=1.0,
        features_snapshot={"rsi_14": 50.0},
        as_of=FRIDAY,
    )
    return [
        user,
        UserSettings(user_id=user.id),
        LoginAttempts(kind="account", subject="0" * 64),
        apple,
        PriceBar(instrument_id=apple.id, ts=FRIDAY, o=10, h=12, l=9, c=11, v=0, interval="daily"),
        Feature(instrument_id=apple.id, ts=FRIDAY, rsi_14=50.0),
        model,
        advice,
        RecommendationWords(instrument_id=apple.id, profile="moderate", as_of=FRIDAY, words="'held':1"),
        RecommendationExpiry(recommendation_id=advice.id, session=FRIDAY, reason="horizon"),
        TrackRecord(
            recommendation_id=advice.id,
            instrument_id=apple.id,
            ts=FRIDAY,
            profile="moderate",
            label="BUY",
            as_of=FRIDAY,
            horizon_days=20,
            confidence=1.0,
            outcome="BUY",
            first_touched="stop",
            touched_on=FRIDAY,
        ),
        RejectedBar(market="US", source="files", raw={"close": "n/a"}, reason="close_is_a_number"),
        PriceBarRevision(
            instrument_id=apple.id,
            ts=FRIDAY,
            o=10,
            h=12,
            l=9,
            c=10,
            v=0,
            interval="daily",
            known_from=FRIDAY,
            known_until=FRIDAY,
        ),
        DeliveredSession(
            market="US",
            session=FRIDAY,
            interval="daily",
            source="files",
            provisional=False,
            delivered=2,
            kept=1,
            merged=0,
            rejected=1,
            repaired=0,
        ),
        ComputedSession(asset="features", market="US", session=FRIDAY, computed_at=FRIDAY, changed_at=FRIDAY),
        ModelDecision(
            version_id=model.id,
            effective_at=FRIDAY,
            kind="promoted",
            speaker_id=model.id,
            reason="the first",
            numbers={"challenger": {"rank_ic": 0.04}},
            decided_by="gate",
        ),
        Alert(channel="mail", subject="freshness|US", kind="problem", content={"title": "US is behind"}),
        ArchiveFile(
            asset="price_bars_15m",
            market="US",
            first_session=FRIDAY,
            last_session=FRIDAY,
            name=f"date=2024-01-05/market=US/{'0' * 64}.parquet",
            size=1,
            row_count=1,
        ),
        Summary(name="of_another", sources="0" * 32),
        RunClaim(run_id="0f8fad5b-d9cb-469f-a165-70867728950e", host="bars.example.com", pid=4711),
    ]
