"""Staleness: a correction makes all sessions stale that look back on it, and only those."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from sqlalchemy import Connection, Engine, text
from worlds.platform import LAST

from boursomatic_assets.advice.bands import MEMORY
from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.advice.profiles import RISK_PROFILES
from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.database import server_time
from boursomatic_assets.features import price_basis
from boursomatic_assets.tables import staleness
from boursomatic_assets.tables.staging import advisory_lock
from boursomatic_assets.tables.staleness import LOOKBACK

US = MARKETS["US"]
SESSIONS = [date for date in US.sessions().tolist() if dt.date(2022, 1, 1) < date < dt.date(2024, 1, 1)]


def part_of(first: int, last: int) -> Slice:
    """The slice of consecutive sessions, by their positions in SESSIONS."""
    dates = all_sessions()
    within = (dates >= np.datetime64(SESSIONS[first])) & (dates <= np.datetime64(SESSIONS[last]))
    (part,) = slices_of(US, dates[within].tolist())
    return part


WHOLE = part_of(0, len(SESSIONS) - 1)


def compute(connection: Connection, asset: str, part: Slice, touched: list[dt.date] | None = None) -> None:
    """Record that a slice was computed, and that these dates changed; by default all of them."""
    dates = pl.Series(part.sessions if touched is None else touched, dtype=pl.Date).cast(pl.Datetime("us"))
    staleness.record(connection, asset, part, server_time.database_time(connection), dates)


@pytest.fixture
def loaded(migrated: Engine) -> Iterator[Connection]:
    """Two years of bars, features and recommendations, each computed after its inputs."""
    with migrated.connect() as connection:
        for asset in ("price_bars", "features", "recommendations", "track_record"):
            compute(connection, asset, WHOLE)
        yield connection


def stale(connection: Connection, asset: str) -> list[dt.date]:
    return staleness.stale_sessions(connection, asset, WHOLE)


def test_sessions_computed_in_order_are_not_stale(loaded: Connection) -> None:
    assert staleness.find_stale_sessions(loaded) == []


def test_a_corrected_bar_makes_every_session_stale_that_looks_back_on_it(loaded: Connection) -> None:
    compute(loaded, "price_bars", part_of(100, 100))
    assert stale(loaded, "features") == SESSIONS[100 : 101 + LOOKBACK]
    assert stale(loaded, "recommendations") == [SESSIONS[100]]
    scored = LONGEST_HORIZON + price_basis.LOOKBACK
    assert [str(one) for one in staleness.find_stale_sessions(loaded)] == [
        f"features US {SESSIONS[100]} .. {SESSIONS[100 + LOOKBACK]} (314 sessions)",
        f"recommendations US {SESSIONS[100]} .. {SESSIONS[100]} (1 sessions)",
        f"track_record US {SESSIONS[100]} .. {SESSIONS[100 + scored]} (107 sessions)",
    ]


def test_a_session_that_is_computed_again_is_not_stale_even_if_its_rows_are_the_same(loaded: Connection) -> None:
    compute(loaded, "price_bars", part_of(100, 100))
    compute(loaded, "features", part_of(100, 150), touched=[SESSIONS[101]])
    assert stale(loaded, "features") == SESSIONS[151 : 101 + LOOKBACK]
    assert stale(loaded, "recommendations") == SESSIONS[100 : 101 + MEMORY], "of whose bands 101 is a part"


def test_an_unneeded_computation_is_not_recorded(loaded: Connection) -> None:
    number = "SELECT pg_current_xact_id_if_assigned() IS NULL"
    loaded.commit()
    compute(loaded, "features", WHOLE, touched=[])
    compute(loaded, "price_bars", WHOLE, touched=[])
    assert loaded.scalar(text(number))


def test_the_other_market_is_not_stale(loaded: Connection) -> None:
    (paris,) = slices_of(MARKETS["EURONEXT"], [SESSIONS[100]])
    compute(loaded, "price_bars", paris)
    assert staleness.find_stale_sessions(loaded) == []


def test_recommendations_are_stale_from_the_first_session_whose_champion_was_decided_later(
    loaded: Connection,
) -> None:
    train(loaded, "v2", SESSIONS[200], "promoted", "v2")
    train(loaded, "v3", SESSIONS[300], "refused", "v2")
    assert stale(loaded, "recommendations") == SESSIONS[200:]


def test_a_decision_that_keeps_the_champion_makes_no_recommendation_stale(loaded: Connection) -> None:
    train(loaded, "v2", SESSIONS[200], "promoted", "v2")
    compute(loaded, "recommendations", WHOLE)
    train(loaded, "v3", SESSIONS[300], "refused", "v2")
    assert stale(loaded, "recommendations") == []
    train(loaded, "v4", SESSIONS[400], "withdrawn", None)
    assert stale(loaded, "recommendations") == SESSIONS[400:], "which is HOLD from then on"


def test_a_persons_decision_takes_effect_at_the_first_close_after_it(loaded: Connection) -> None:
    train(loaded, "v2", SESSIONS[200], "promoted", "v2")
    train(loaded, "v3", SESSIONS[210], "refused", "v2")
    compute(loaded, "recommendations", WHOLE)
    decide(loaded, "v3", "forced", "v3", US.close_time(SESSIONS[300]) + dt.timedelta(seconds=1))
    assert stale(loaded, "recommendations") == SESSIONS[301:]
    decide(loaded, "v2", "forced", "v2", US.close_time(SESSIONS[250]))
    assert stale(loaded, "recommendations") == SESSIONS[301:], "v2 was champion then anyway"
    decide(loaded, "v3", "forced", "v3", US.close_time(SESSIONS[240]))
    assert stale(loaded, "recommendations") == SESSIONS[240:]


def test_a_decision_about_a_newer_revision_takes_the_place_of_the_former_one(loaded: Connection) -> None:
    train(loaded, "v2", SESSIONS[200], "promoted", "v2")
    train(loaded, "v3", SESSIONS[300], "refused", "v2")
    compute(loaded, "recommendations", WHOLE)
    train(loaded, "v3.r2", SESSIONS[300], "refused", "v2")
    assert stale(loaded, "recommendations") == [], "the champion is the same"
    train(loaded, "v2.r2", SESSIONS[200], "promoted", "v2.r2")
    train(loaded, "v3.r3", SESSIONS[300], "refused", "v2.r2")
    assert stale(loaded, "recommendations") == SESSIONS[200:]
    compute(loaded, "recommendations", WHOLE)
    train(loaded, "v3.r4", SESSIONS[300], "promoted", "v3.r4")
    assert stale(loaded, "recommendations") == SESSIONS[300:]
    compute(loaded, "recommendations", WHOLE)
    train(loaded, "v3.r5", SESSIONS[300], "refused", "v2.r2")
    assert stale(loaded, "recommendations") == SESSIONS[300:], "which v3.r4 spoke for until now"


def test_a_version_is_to_be_looked_at_when_something_before_its_due_date_changed(loaded: Connection) -> None:
    train(loaded, "v1", SESSIONS[100], "promoted", "v1")
    train(loaded, "v2", SESSIONS[200], "promoted", "v2")
    loaded.commit()
    compute(loaded, "price_bars", part_of(100, 100))
    assert staleness.versions_before_changes(loaded) == ["v2"]
    compute(loaded, "features", part_of(99, 99))
    assert staleness.versions_before_changes(loaded) == ["v1", "v2"]


def train(connection: Connection, version: str, due: dt.date, kind: str, champion: str | None) -> None:
    as_of = dt.datetime.combine(due, dt.time(8))
    connection.execute(
        text(
            "INSERT INTO model_versions (id, version, params_hash, metrics_json, trained_at, as_of, revision)"
            " SELECT gen_random_uuid(), :version, 'hash', '{}', clock_timestamp(), :as_of, count(*) + 1"
            " FROM model_versions WHERE as_of = :as_of"
        ),
        {"version": version, "as_of": as_of},
    )
    decide(connection, version, kind, champion, as_of)


def decide(connection: Connection, version: str, kind: str, champion: str | None, at: dt.datetime) -> None:
    connection.execute(
        text(
            "INSERT INTO model_decisions"
            " (id, version_id, effective_at, kind, speaker_id, reason, numbers, decided_by, decided_at)"
            " SELECT gen_random_uuid(), v.id, :at, :kind, s.id, '', '{}', :by, clock_timestamp()"
            " FROM model_versions v LEFT JOIN model_versions s ON s.version = :champion WHERE v.version = :version"
        ),
        {
            "at": at,
            "kind": kind,
            "champion": champion,
            "version": version,
            "by": "ann" if kind == "forced" else "gate",
        },
    )


@pytest.mark.parametrize(("written", "waits"), [("price_bars|US", True), ("price_bars|EURONEXT", False)])
def test_a_computation_beside_a_writer_of_its_inputs_starts_with_that_transaction(
    migrated: Engine, written: str, waits: bool
) -> None:
    """The writer's rows have a time before its commit, and must count as later."""
    with migrated.connect() as writer, migrated.connect() as reader:
        advisory_lock(writer, written)
        changed = server_time.database_time(writer)
        assert (staleness.input_read_time(reader, "features", WHOLE) < changed) is waits
        assert staleness.input_read_time(reader, "price_bars", WHOLE) > changed, "which has no inputs here"


HORIZONS = {profile.horizon for profile in RISK_PROFILES}


def stale_after_superseding(engine: Engine, session: dt.date) -> list[dt.date]:
    """The stale sessions of the track record after the recommendations of a session have changed."""
    with engine.connect() as connection:
        changed = (
            "UPDATE computed_sessions SET changed_at = clock_timestamp()"
            " WHERE asset = 'recommendations' AND market = 'US' AND session = :session"
        )
        connection.execute(text(changed), {"session": session})
        return next(
            (
                list(one.sessions)
                for one in staleness.find_stale_sessions(connection)
                if one.asset == "track_record"
            ),
            [],
        )


def test_superseded_recommendations_make_the_sessions_stale_on_which_their_horizons_end(filled: Engine) -> None:
    *_, changed = (date for date in US.sessions().tolist() if date < LAST - dt.timedelta(days=40))
    after = [date for date in US.sessions().tolist() if changed < date <= LAST]
    assert stale_after_superseding(filled, changed) == [
        after[ahead - 1] for ahead in sorted(HORIZONS) if ahead <= len(after)
    ]


def test_superseded_recommendations_with_open_horizons_make_nothing_stale(filled: Engine) -> None:
    assert stale_after_superseding(filled, LAST) == []
