"""The shadow record: how well scores ranked in all months, whether anybody spoke or not, from stored rows alone.

What belongs here: the rank IC of the stored scores and of the published expected returns, and scored rows that do
not follow from the others.
Kept elsewhere: how a recommendation is scored (`advice/outcomes.py`), whether returns agree with the bars
(`checks/track_record.py`), rank ICs and their intervals (`learning/evaluation/`), the figures of what was advised
(`tables/performance.py`).
"""

from dataclasses import dataclass

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets.advice.profiles import RISK_PROFILES
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.evaluation import ranking
from boursomatic_assets.learning.evaluation.intervals import Estimate, estimate_mean
from boursomatic_assets.learning.evaluation.metrics import dates_per_horizon
from boursomatic_assets.learning.labels import thirds

TOLERANCE = 0.002
"""How far the rank IC of the expected return may be from that of the score."""

ROUNDING = 1e-9
"""How far a relative return, in percent, may be from that of the stored returns."""

SCORED = """
SELECT t.recommendation_id::text AS id, i.exchange, date_trunc('day', t.as_of) AS ts, t.ts AS known_at,
    t.horizon_days, t.label, t.view, t.outcome, t.hit, t.realised_return_pct AS forward_return,
    t.relative_return_pct, r.expected_return_pct AS expected,
    (r.features_snapshot ->> 'model_score')::float AS score,
    (t.label, t.view, t.horizon_days, t.expected_return_pct)
        IS DISTINCT FROM (r.label, r.view, r.horizon_days, r.expected_return_pct) AS differs
FROM track_record t
    JOIN recommendations r ON r.id = t.recommendation_id
    JOIN instruments i ON i.id = t.instrument_id
WHERE t.profile = :profile
"""
SCORED_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(), "exchange": pl.String(), "ts": pl.Datetime("us"), "known_at": pl.Datetime("us"),
    "horizon_days": pl.Int32(), "label": pl.String(), "view": pl.String(), "outcome": pl.String(),
    "hit": pl.Boolean(), "forward_return": pl.Float64(), "relative_return_pct": pl.Float64(),
    "expected": pl.Float64(), "score": pl.Float64(), "differs": pl.Boolean(),
}  # fmt: skip


@dataclass(frozen=True)
class RankIC:
    """A mean rank IC over dates, with its interval; there is none of too few dates."""

    mean: float
    estimate: Estimate | None


@dataclass(frozen=True)
class ShadowRecord:
    """What the stored rows of a profile say.

    Attributes:
        profile: Its name.
        horizon: Sessions from a recommendation to its outcome.
        rows: Scored rows with a stored score and a return.
        months: Months of these.
        dates: Dates of these that have a rank IC.
        score: The rank IC of the stored scores; None without such dates.
        expected: The same of the expected returns.
        violations: Scored rows that do not follow from the stored rows: the id of the recommendation, and why.
    """

    profile: str
    horizon: int
    rows: int
    months: int
    dates: int
    score: RankIC | None
    expected: RankIC | None
    violations: pl.DataFrame

    @property
    def agrees(self) -> bool:
        """Whether both rank ICs are the same within TOLERANCE."""
        return not (self.score and self.expected) or abs(self.score.mean - self.expected.mean) <= TOLERANCE

    @property
    def holds(self) -> bool:
        """Whether both rank ICs agree, and every scored row follows from the stored rows."""
        return self.agrees and self.violations.is_empty()


def read_shadow_records(connection: Connection) -> list[ShadowRecord]:
    """Return the record of each profile that has scored rows, the most cautious first."""
    markets = {exchange: market.name for market in MARKETS.values() for exchange in market.exchanges}
    records = []
    for profile in RISK_PROFILES:
        found = connection.execute(text(SCORED), {"profile": profile.name}).all()
        if found:
            rows = pl.DataFrame(found, SCORED_SCHEMA, orient="row")
            market = pl.col("exchange").replace_strict(markets, return_dtype=pl.String)
            records.append(_measure(profile.name, profile.horizon, rows.with_columns(market=market)))
    return records


def _measure(profile: str, horizon: int, rows: pl.DataFrame) -> ShadowRecord:
    """Return the record of one profile; rank ICs are those of its present horizon.

    Args:
        profile: Its name.
        horizon: Its horizon.
        rows: The columns of SCORED, and market.
    """
    known = (
        rows.filter(pl.col("horizon_days") == horizon)
        .drop_nulls(["score", "forward_return"])
        .sort("ts", "market", "id")
        .with_columns(session=pl.struct("ts", "market").rle_id().cast(pl.Int64))
    )
    sessions = known.group_by("session", maintain_order=True).agg(pl.col("ts", "market").first())
    ics = {name: ranking.rank_ics(known, name, sessions.height) for name in ("score", "expected")}
    # Expected returns that are all equal rank nothing, and lose what the score knows of their session.
    by_session = sessions.with_columns(
        pl.Series(name, values).fill_nan(None) for name, values in ics.items()
    ).drop_nulls("score")
    by_date = by_session.group_by("ts").agg(pl.col("score"), pl.col("expected").fill_null(0)).sort("ts")
    overlap = dates_per_horizon(by_session, horizon, 1)
    means = by_date.select(pl.col("score", "expected").list.mean())
    return ShadowRecord(
        profile,
        horizon,
        rows=known.height,
        months=known["ts"].dt.truncate("1mo").n_unique(),
        dates=by_date.height,
        score=_rank_ic(means["score"], overlap),
        expected=_rank_ic(means["expected"], overlap),
        violations=_find_violations(rows),
    )


def _rank_ic(ics: pl.Series, overlap: int) -> RankIC | None:
    series = ics.to_numpy()
    return RankIC(float(series.mean()), estimate_mean(series, overlap)) if len(series) else None


def _find_violations(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the scored rows that do not follow from the stored rows: id and reason."""
    together, realised = ("market", "ts", "known_at", "horizon_days"), pl.col("forward_return")
    former = pl.col("relative_return_pct").is_null() & realised.is_not_null()  # scored by an absolute label
    opinion = pl.col("view").is_null() | (pl.col("view") == "given")
    again = rows.with_columns(
        rank=((realised.rank() - 0.5) / realised.count()).over(together),
        relative=realised - realised.mean().over(together),
    ).with_columns(
        third=thirds("rank").cast(pl.String), right=pl.when(opinion).then(pl.col("label") == pl.col("outcome"))
    )
    reasons = {
        "label, view, horizon or expected return is not that of the recommendation": pl.col("differs"),
        "outcome is not the third that the return is in": ~former & pl.col("outcome").ne_missing(pl.col("third")),
        "hit does not say whether the label is the outcome": pl.col("hit").ne_missing(pl.col("right")),
        "relative return is not the return less the mean": (
            pl.col("relative_return_pct") - pl.col("relative")
        ).abs()
        > ROUNDING,
    }
    reason = pl.coalesce(pl.when(fails).then(pl.lit(name)) for name, fails in reasons.items())
    return again.select("id", reason=reason).drop_nulls("reason").sort("id")
