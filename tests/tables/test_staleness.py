"""Computed sessions: what a correction makes stale is named, however far it is looked back on."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from sqlalchemy import Connection, Engine, text
from worlds.platform import LAST

from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.advice.profiles import RISK_PROFILES
from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.database import server_time
from boursomatic_assets.tables import staleness
from boursomatic_assets.tables.staging import advisory_lock
from boursomatic_assets.tables.staleness import LOOKBACK

US = MARKETS["US"]
SESSIONS = [date for date in US.sessions().tolist() if dt.date(2022, 1, 1) < date < dt.date(2024, 1, 1)]


def part_of(first: int, last: int) -> Slice:
    """The slice of consecutive sessions, by their places in SESSIONS."""
    dates = all_sessions()
    within = (dates >= np.datetime64(SESSIONS[first])) & (dates <= np.datetime64(SESSIONS[last]))
    (part,) = slices_of(US, dates[within].tolist())
    return part


WHOLE = part_of(0, len(SESSIONS) - 1)


def compute(connection: Connection, asset: str, part: Slice, touched: list[dt.date] | None = None) -> None:
    """Say that a slice was computed, and that these dates changed, or all of them."""
    dates = pl.Series(part.sessions if touched is None else touched, dtype=pl.Date).cast(pl.Datetime("us"))
    staleness.record(connection, asset, part, server_time.database_time(connection), dates)


@pytest.fixture
def loaded(migrated: Engine) -> Iterator[Connection]:
    """Two years of bars, features and advice, each computed after what it needs."""
    with migrated.connect() as connection:
        for asset in ("price_bars", "features", "recommendations", "track_record"):
            compute(connection, asset, WHOLE)
        yield connection


def stale(connection: Connection, asset: str) -> list[dt.date]:
    return staleness.stale_sessions(connection, asset, WHOLE)


def test_nothing_is_stale_that_was_computed_in_order(loaded: Connection) -> None:
    assert staleness.find_stale_sessions(loaded) == []


def test_a_corrected_bar_makes_every_session_stale_that_looks_back_on_it(loaded: Connection) -> None:
    compute(loaded, "price_bars", part_of(100, 100))
    assert stale(loaded, "features") == SESSIONS[100 : 101 + LOOKBACK]
    assert stale(loaded, "recommendations") == [SESSIONS[100]]
    assert [str(one) for one in staleness.find_stale_sessions(loaded)] == [
        f"features US {SESSIONS[100]} .. {SESSIONS[100 + LOOKBACK]} (314 sessions)",
        f"recommendations US {SESSIONS[100]} .. {SESSIONS[100]} (1 sessions)",
        f"track_record US {SESSIONS[100]} .. {SESSIONS[100 + LONGEST_HORIZON]} (61 sessions)",
    ]


def test_what_is_computed_anew_is_stale_no_more_even_if_it_came_out_the_same(loaded: Connection) -> None:
    compute(loaded, "price_bars", part_of(100, 100))
    compute(loaded, "features", part_of(100, 150), touched=[SESSIONS[101]])
    assert stale(loaded, "features") == SESSIONS[151 : 101 + LOOKBACK]
    assert stale(loaded, "recommendations") == SESSIONS[100:102]


def test_what_is_computed_again_for_nothing_is_not_written(loaded: Connection) -> None:
    number = "SELECT pg_current_xact_id_if_assigned() IS NULL"
    loaded.commit()
    compute(loaded, "features", WHOLE, touched=[])
    compute(loaded, "price_bars", WHOLE, touched=[])
    assert loaded.scalar(text(number))


def test_the_other_market_is_not_concerned(loaded: Connection) -> None:
    (paris,) = slices_of(MARKETS["EURONEXT"], [SESSIONS[100]])
    compute(loaded, "price_bars", paris)
    assert staleness.find_stale_sessions(loaded) == []


def test_advice_is_stale_from_the_session_on_whose_speaker_was_decided_later(loaded: Connection) -> None:
    train(loaded, "v2", SESSIONS[200], "promoted", "v2")
    train(loaded, "v3", SESSIONS[300], "refused", "v2")
    assert stale(loaded, "recommendations") == SESSIONS[200:]


def test_a_decision_that_leaves_the_speaker_makes_no_advice_stale(loaded: Connection) -> None:
    train(loaded, "v2", SESSIONS[200], "promoted", "v2")
    compute(loaded, "recommendations", WHOLE)
    train(loaded, "v3", SESSIONS[300], "refused", "v2")
    assert stale(loaded, "recommendations") == []
    train(loaded, "v4", SESSIONS[400], "withdrawn", None)
    assert stale(loaded, "recommendations") == SESSIONS[400:], "which is HOLD from then on"


def test_a_persons_decision_concerns_the_first_session_that_closes_after_it(loaded: Connection) -> None:
    train(loaded, "v2", SESSIONS[200], "promoted", "v2")
    train(loaded, "v3", SESSIONS[210], "refused", "v2")
    compute(loaded, "recommendations", WHOLE)
    decide(loaded, "v3", "forced", "v3", US.closes(SESSIONS[300]) + dt.timedelta(seconds=1))
    assert stale(loaded, "recommendations") == SESSIONS[301:]
    decide(loaded, "v2", "forced", "v2", US.closes(SESSIONS[250]))
    assert stale(loaded, "recommendations") == SESSIONS[301:], "v2 spoke then anyway"
    decide(loaded, "v3", "forced", "v3", US.closes(SESSIONS[240]))
    assert stale(loaded, "recommendations") == SESSIONS[240:]


def test_a_version_is_stale_when_something_before_its_due_date_changed(loaded: Connection) -> None:
    train(loaded, "v1", SESSIONS[100], "promoted", "v1")
    train(loaded, "v2", SESSIONS[200], "promoted", "v2")
    loaded.commit()
    compute(loaded, "price_bars", part_of(100, 100))
    assert staleness.stale_versions(loaded) == ["v2"]
    compute(loaded, "features", part_of(99, 99))
    assert staleness.stale_versions(loaded) == ["v1", "v2"]


def train(connection: Connection, version: str, due: dt.date, kind: str, speaker: str | None) -> None:
    as_of = dt.datetime.combine(due, dt.time(8))
    connection.execute(
        text(
            "INSERT INTO model_versions (id, version, params_hash, metrics_json, trained_at, as_of) VALUES"
            " (gen_random_uuid(), :version, 'hash', '{}', clock_timestamp(), :as_of)"
        ),
        {"version": version, "as_of": as_of},
    )
    decide(connection, version, kind, speaker, as_of)


def decide(connection: Connection, version: str, kind: str, speaker: str | None, at: dt.datetime) -> None:
    connection.execute(
        text(
            "INSERT INTO model_decisions"
            " (id, version_id, effective_at, kind, speaker_id, reason, numbers, decided_by, decided_at)"
            " SELECT gen_random_uuid(), v.id, :at, :kind, s.id, '', '{}', :by, clock_timestamp()"
            " FROM model_versions v LEFT JOIN model_versions s ON s.version = :speaker WHERE v.version = :version"
        ),
        {
            "at": at,
            "kind": kind,
            "speaker": speaker,
            "version": version,
            "by": "ann" if kind == "forced" else "gate",
        },
    )


@pytest.mark.parametrize(("written", "waits"), [("price_bars|US", True), ("price_bars|EURONEXT", False)])
def test_a_computation_beside_a_writer_of_its_inputs_began_when_that_one_did(
    migrated: Engine, written: str, waits: bool
) -> None:
    """What the writer commits is timed before it can be seen, so it must count as later."""
    with migrated.connect() as writer, migrated.connect() as reader:
        advisory_lock(writer, written)
        changed = server_time.database_time(writer)
        assert (staleness.input_read_time(reader, "features", WHOLE) < changed) is waits
        assert staleness.input_read_time(reader, "price_bars", WHOLE) > changed, (
            "which is computed from nothing here"
        )


HORIZONS = {profile.horizon for profile in RISK_PROFILES}


def superseded(engine: Engine, session: dt.date) -> list[dt.date]:
    """The scored sessions of a small platform that are stale once a session's advice has changed."""
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


def test_superseded_advice_makes_those_sessions_stale_on_which_it_is_due(filled: Engine) -> None:
    *_, changed = (date for date in US.sessions().tolist() if date < LAST - dt.timedelta(days=40))
    after = [date for date in US.sessions().tolist() if changed < date <= LAST]
    assert superseded(filled, changed) == [after[ahead - 1] for ahead in sorted(HORIZONS) if ahead <= len(after)]


def test_superseded_advice_that_is_not_due_yet_makes_nothing_stale(filled: Engine) -> None:
    assert superseded(filled, LAST) == []
