"""Expiry: advice is active until its horizon ends or its instrument is inactive, in any order of loading."""

from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from worlds.frames import bars, insert_instruments, insert_model_version, query_rows, recommendation_rows, slice_of

from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import slices_of
from boursomatic_assets.database import server_time
from boursomatic_assets.orchestration.io_manager import ChunkWrite, write_chunk
from boursomatic_assets.tables.activity import SESSIONS_UNTIL_INACTIVE
from boursomatic_assets.tables.chains import verification
from boursomatic_assets.tables.grains import GRAINS

US = MARKETS["US"]
DATES = [
    str(date)
    for date in all_sessions()[all_sessions() >= np.datetime64("2024-02-20")]
    if US.is_session(date.item())
]
HORIZON = 20
LOG = (
    "SELECT i.symbol, e.session::date::text, e.reason FROM recommendation_expiries e JOIN recommendations r"
    " ON r.id = e.recommendation_id JOIN instruments i ON i.id = r.instrument_id ORDER BY e.decided_at, 1"
)


@pytest.fixture
def market(migrated: Engine) -> Engine:
    """A database with instruments and a model."""
    insert_instruments(migrated)
    insert_model_version(migrated)
    return migrated


def write(engine: Engine, asset: str, market: str, rows: pl.DataFrame) -> None:
    """Write rows of some sessions as an asset does, consecutive sessions at once."""
    time = GRAINS[asset].time_column
    for part in slices_of(MARKETS[market], rows[time].dt.date()):
        with engine.connect() as connection:
            started_at = server_time.database_time(connection)
        own = rows.filter(pl.col(time).is_between(part.start, part.end, closed="left"))
        write_chunk(ChunkWrite(asset, GRAINS[asset], part, "run", started_at), own)


def load(engine: Engine, symbols: str, *dates: str, market: str = "US") -> None:
    write(engine, "price_bars", market, bars(symbols, *dates))


def advise(
    engine: Engine, symbols: str, *dates: str, horizon: int | None = HORIZON, profile: str = "moderate"
) -> None:
    rows = recommendation_rows(symbols, "US", *dates, profile=profile)
    write(engine, "recommendations", "US", rows.with_columns(horizon_days=pl.lit(horizon, pl.Int32)))


def active(engine: Engine) -> list[Any]:
    query = (
        "SELECT i.symbol, r.as_of::date::text FROM recommendations r"
        " JOIN instruments i ON i.id = r.instrument_id WHERE r.is_active ORDER BY 1, 2"
    )
    return query_rows(engine, query)


def test_advice_expires_when_its_market_has_loaded_the_session_at_which_its_horizon_ends(market: Engine) -> None:
    load(market, "ACME BOLT", DATES[0])
    advise(market, "ACME BOLT", DATES[0], horizon=3)
    load(market, "BOLT", DATES[1])
    load(market, "BOLT", DATES[2])
    assert active(market) == [("ACME", DATES[0]), ("BOLT", DATES[0])]
    load(market, "BOLT", DATES[3])
    assert active(market) == []
    assert query_rows(market, LOG) == [("ACME", DATES[3], "horizon"), ("BOLT", DATES[3], "horizon")]
    advise(market, "BOLT", DATES[3], horizon=3)
    assert active(market) == [("BOLT", DATES[3])]


def test_sessions_that_were_not_loaded_count_for_the_horizon_and_another_market_does_not(market: Engine) -> None:
    load(market, "ACME", DATES[0])
    advise(market, "ACME", DATES[0], horizon=3)
    load(market, "LUXE", DATES[9], market="EURONEXT")
    assert active(market) == [("ACME", DATES[0])]
    load(market, "BOLT", DATES[9])
    assert active(market) == []


def test_advice_without_a_horizon_expires_when_its_instrument_is_inactive(market: Engine) -> None:
    load(market, "ACME BOLT", DATES[0])
    advise(market, "ACME BOLT", DATES[0], horizon=None)
    load(market, "BOLT", *DATES[1:SESSIONS_UNTIL_INACTIVE])
    assert active(market) == [("ACME", DATES[0]), ("BOLT", DATES[0])]
    load(market, "BOLT", DATES[SESSIONS_UNTIL_INACTIVE])
    assert active(market) == [("BOLT", DATES[0])]
    assert query_rows(market, LOG) == [("ACME", DATES[SESSIONS_UNTIL_INACTIVE], "inactive")]


def test_advice_is_renewed_when_late_bars_say_that_its_instrument_traded(market: Engine) -> None:
    load(market, "ACME BOLT", DATES[0])
    advise(market, "ACME", DATES[0], horizon=40)
    load(market, "BOLT", *DATES[1 : SESSIONS_UNTIL_INACTIVE + 2])
    assert active(market) == []
    load(market, "ACME BOLT", DATES[5])
    assert active(market) == [("ACME", DATES[0])]
    newest = DATES[SESSIONS_UNTIL_INACTIVE + 1]
    assert query_rows(market, LOG) == [("ACME", newest, "inactive"), ("ACME", newest, "renewed")]


def test_history_that_is_recommended_late_is_never_active(market: Engine) -> None:
    load(market, "ACME BOLT", DATES[0], DATES[60])
    advise(market, "ACME BOLT", DATES[0])
    assert active(market) == []
    assert query_rows(market, LOG) == [("ACME", DATES[60], "horizon"), ("BOLT", DATES[60], "horizon")]


def test_what_is_known_already_is_not_written_again(market: Engine) -> None:
    load(market, "ACME BOLT", DATES[0], DATES[30])
    advise(market, "ACME BOLT", DATES[0], DATES[29])
    advise(market, "ACME", DATES[0], profile="conservative", horizon=3)
    rows = "SELECT ctid, xmin FROM recommendations UNION ALL SELECT ctid, xmin FROM recommendation_expiries"
    before = query_rows(market, rows)
    load(market, "ACME BOLT", DATES[30])
    advise(market, "ACME BOLT", DATES[29])
    assert query_rows(market, rows) == before


def test_an_expiry_breaks_no_chain_of_digests(market: Engine) -> None:
    load(market, "ACME BOLT", DATES[0])
    advise(market, "ACME BOLT", DATES[0])
    load(market, "BOLT", *DATES[1:30])
    advise(market, "BOLT", DATES[29])
    assert active(market) == [("BOLT", DATES[29])]
    with market.connect() as connection:
        assert [*verification.verify(connection, slice_of("US", *DATES[:30]))] == []


BLOCKS = [DATES[8 * block : 8 * (block + 1)] for block in range(4)]
LATE = DATES[13]
STEPS = {
    "first bars": (load, "ACME BOLT", *BLOCKS[0]),
    **{f"bars {block}": (load, "BOLT", *({*BLOCKS[block]} - {LATE})) for block in (1, 2, 3)},
    "late bars": (load, "ACME BOLT", LATE),
    **{f"advice {block}": (advise, "BOLT", dates[2], dates[7]) for block, dates in enumerate(BLOCKS)},
    "first advice": (advise, "ACME BOLT", DATES[3]),
    "cautious advice": (partial(advise, horizon=40, profile="conservative"), "ACME", DATES[4]),
}
"""What is loaded, in any order: bars and advice in blocks of sessions, and bars of one that hardly trades."""


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(sorted(STEPS)))
def test_any_order_of_loading_ends_in_the_same_active_rows(market: Engine, order: list[str]) -> None:
    with market.begin() as connection:
        connection.exec_driver_sql("TRUNCATE recommendations, price_bars, computed_sessions CASCADE")
        connection.exec_driver_sql("UPDATE instruments SET is_active = true")
    for step in order:
        function, *arguments = STEPS[step]
        function(market, *arguments)
    assert active(market) == [("ACME", DATES[4]), ("BOLT", DATES[31])]
