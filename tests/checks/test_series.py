"""A partly restated series is found, until all of its bars are delivered on the new price basis."""

import numpy as np
import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.frames import IDS, delivered_bars, insert_instruments, instruments, slice_of

from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.checks.series import _find_basis_breaks, _find_partial_restatements
from boursomatic_assets.database import server_time
from boursomatic_assets.orchestration.io_manager import ChunkWrite, write_chunk
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.tables.grains import GRAINS

US = MARKETS["US"]
SPRING = all_sessions()[
    (all_sessions() >= np.datetime64("2024-01-02")) & (all_sessions() <= np.datetime64("2024-03-28"))
]
DATES = [str(date) for date in SPRING]
SESSIONS = [date for date in DATES if US.is_session(np.datetime64(date).item())]
WHOLE, LATER = slice_of("US", *DATES), slice_of("US", *DATES[-10:])


def bars_scaled(*dates: str, factor_of_acme: float = 1.0) -> pl.DataFrame:
    """Bars of two instruments with small moves; ACME's prices are multiplied by a factor."""
    place = pl.col("ts").rank("dense").cast(pl.Int64) % 7
    bars = delivered_bars("ACME BOLT", *SESSIONS).with_columns(pl.col("o", "h", "l", "c") + 0.05 * place)
    factor = pl.when(pl.col("symbol") == "ACME").then(factor_of_acme).otherwise(1.0)
    wanted = pl.col("ts").dt.to_string("%Y-%m-%d").is_in(list(dates))
    return bars.with_columns(pl.col("o", "h", "l", "c") * factor).filter(wanted)


def write_delivery(engine: Engine, bars: pl.DataFrame) -> None:
    with engine.connect() as connection:
        begun = server_time.database_time(connection)
    write_chunk(
        ChunkWrite("price_bars", GRAINS["price_bars"], WHOLE, "run", begun),
        apply_contract(bars, WHOLE, instruments(), "toy"),
    )


@pytest.fixture(autouse=True)
def _listed(migrated: Engine) -> None:
    insert_instruments(migrated)


def find_restated_series(engine: Engine) -> list[tuple[str, float, str]]:
    with engine.connect() as connection:
        found = _find_partial_restatements(connection, WHOLE)
    return [(name, round(factor, 6), f"{first:%Y-%m-%d}") for name, factor, first in found.iter_rows()]


def test_a_partial_restatement_is_found_until_the_whole_series_is_restated(migrated: Engine) -> None:
    write_delivery(migrated, bars_scaled(*SESSIONS))
    assert find_restated_series(migrated) == []
    write_delivery(migrated, bars_scaled(*SESSIONS[-8:], factor_of_acme=0.25))
    assert find_restated_series(migrated) == [(IDS["ACME"], 0.25, SESSIONS[-8])]
    write_delivery(migrated, bars_scaled(*SESSIONS, factor_of_acme=0.25))
    assert find_restated_series(migrated) == []


def test_a_single_corrected_bar_is_no_restatement(migrated: Engine) -> None:
    write_delivery(migrated, bars_scaled(*SESSIONS))
    write_delivery(migrated, bars_scaled(SESSIONS[-3], factor_of_acme=1.01))
    assert find_restated_series(migrated) == []


def test_new_bars_that_begin_with_a_split_break_the_price_basis(migrated: Engine) -> None:
    write_delivery(migrated, bars_scaled(*SESSIONS))
    assert _find_basis_breaks(LATER).is_empty()
    write_delivery(migrated, bars_scaled(*[date for date in SESSIONS if date in DATES[-10:]], factor_of_acme=0.5))
    assert _find_basis_breaks(LATER).select("instrument_id", "factor").rows() == [(IDS["ACME"], 0.5)]
    assert _find_basis_breaks(WHOLE).is_empty()
