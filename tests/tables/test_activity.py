"""Activity: an instrument without bars becomes inactive, is never deleted, and is active from its next bar."""

from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine
from worlds.frames import bars, insert_instruments, query_rows, slice_of

from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.database import server_time
from boursomatic_assets.orchestration.io_manager import ChunkWrite, write_chunk
from boursomatic_assets.tables.activity import SESSIONS_UNTIL_INACTIVE
from boursomatic_assets.tables.grains import GRAINS

US = MARKETS["US"]
DATES = [
    str(date)
    for date in all_sessions()[all_sessions() >= np.datetime64("2024-01-02")]
    if US.is_session(date.item())
]


@pytest.fixture(autouse=True)
def _instruments(migrated: Engine) -> None:
    insert_instruments(migrated)


def deliver(engine: Engine, symbols: str, *dates: str) -> None:
    """Write bars session by session, as a schedule does."""
    for date in dates:
        with engine.connect() as connection:
            started_at = server_time.database_time(connection)
        written = ChunkWrite("price_bars", GRAINS["price_bars"], slice_of("US", date), "run", started_at)
        write_chunk(written, bars(symbols, date))


def active(engine: Engine) -> dict[str, Any]:
    query = "SELECT symbol, is_active FROM instruments WHERE exchange <> 'EURONEXT' ORDER BY symbol"
    return dict(query_rows(engine, query))


def test_an_instrument_without_bars_for_a_month_is_inactive_until_it_has_one_again(migrated: Engine) -> None:
    deliver(migrated, "ACME BOLT", DATES[0])
    deliver(migrated, "BOLT", *DATES[1:SESSIONS_UNTIL_INACTIVE])
    assert active(migrated) == {"ACME": True, "BOLT": True}
    deliver(migrated, "BOLT", DATES[SESSIONS_UNTIL_INACTIVE])
    assert active(migrated) == {"ACME": False, "BOLT": True}
    deliver(migrated, "ACME BOLT", DATES[SESSIONS_UNTIL_INACTIVE + 1])
    assert active(migrated) == {"ACME": True, "BOLT": True}


def test_history_that_is_loaded_late_activates_no_instrument(migrated: Engine) -> None:
    deliver(migrated, "BOLT", *DATES[10 : 11 + SESSIONS_UNTIL_INACTIVE])
    deliver(migrated, "ACME BOLT", *DATES[:3])
    assert active(migrated) == {"ACME": False, "BOLT": True}


def test_an_instrument_that_never_had_a_bar_stays_as_it_is(migrated: Engine) -> None:
    deliver(migrated, "BOLT", *DATES[: SESSIONS_UNTIL_INACTIVE + 2])
    assert active(migrated) == {"ACME": True, "BOLT": True}
