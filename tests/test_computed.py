"""Computed sessions: what a correction makes stale is named, however far it is looked back on."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from sqlalchemy import Connection, Engine, text

from boursomatic_assets import computed
from boursomatic_assets.computed import LOOKBACK
from boursomatic_assets.markets import MARKETS, all_sessions
from boursomatic_assets.outcomes import LONGEST_HORIZON
from boursomatic_assets.slices import Slice, slices_of

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
    computed.record(connection, asset, part, computed.clock(connection), dates)


@pytest.fixture
def loaded(migrated: Engine) -> Iterator[Connection]:
    """Two years of bars, features and advice, each computed after what it needs."""
    with migrated.connect() as connection:
        for asset in ("price_bars", "features", "recommendations", "track_record"):
            compute(connection, asset, WHOLE)
        yield connection


def stale(connection: Connection, asset: str) -> list[dt.date]:
    return computed.stale_sessions(connection, asset, WHOLE)


def test_nothing_is_stale_that_was_computed_in_order(loaded: Connection) -> None:
    assert computed.stale(loaded) == []


def test_a_corrected_bar_makes_every_session_stale_that_looks_back_on_it(loaded: Connection) -> None:
    compute(loaded, "price_bars", part_of(100, 100))
    assert stale(loaded, "features") == SESSIONS[100 : 101 + LOOKBACK]
    assert stale(loaded, "recommendations") == [SESSIONS[100]]
    assert [str(one) for one in computed.stale(loaded)] == [
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
    assert computed.stale(loaded) == []


def test_advice_of_a_session_whose_model_was_trained_later_is_stale(loaded: Connection) -> None:
    train(loaded, "v2", SESSIONS[200])
    train(loaded, "refused", SESSIONS[300], promoted=False)
    assert stale(loaded, "recommendations") == SESSIONS[200:]


def test_a_version_is_stale_when_something_before_its_due_date_changed(loaded: Connection) -> None:
    train(loaded, "v1", SESSIONS[100])
    train(loaded, "v2", SESSIONS[200])
    loaded.commit()
    compute(loaded, "price_bars", part_of(100, 100))
    assert computed.stale_versions(loaded) == ["v2"]
    compute(loaded, "features", part_of(99, 99))
    assert computed.stale_versions(loaded) == ["v1", "v2"]


def train(connection: Connection, version: str, due: dt.date, *, promoted: bool = True) -> None:
    as_of = dt.datetime.combine(due, dt.time(8))
    connection.execute(
        text(
            "INSERT INTO model_versions (id, version, params_hash, metrics_json, trained_at, as_of) VALUES"
            " (gen_random_uuid(), :version, 'hash', CAST(:metrics AS json), clock_timestamp(), :as_of)"
        ),
        {"version": version, "metrics": f'{{"promoted": {str(promoted).lower()}}}', "as_of": as_of},
    )
