"""Rejected rows of sources without files, read again from the JSON that is kept of them."""

from pathlib import Path

import pandas as pd
import polars as pl
from worlds.frames import delivered_bars, instruments, midnight, slice_of
from worlds.loopback import instruments_of

from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.sources.network.fallback import Fallback
from boursomatic_assets.sources.network.stooq import Stooq, parse_bars
from boursomatic_assets.sources.network.yahoo import Yahoo, to_raw_bars
from boursomatic_assets.sources.raw_rows import READ_AGAIN, REJECTED
from boursomatic_assets.sources.simulated.source import Simulated

MONDAY = midnight("2024-06-10")
LISTED = instruments_of(**{"BRK.B": "NYSE", "MC.PA": "EURONEXT"})
BAR = ["ts", *"ohlcv", "interval"]


def ledger(rows: pl.DataFrame) -> pl.DataFrame:
    """Delivered rows as rejected ones."""
    numbered = rows.with_row_index("id").with_columns(
        pl.col("id").cast(pl.String), line=pl.lit(None, pl.Int64), reason=pl.lit("some rule is broken")
    )
    return numbered.select(*REJECTED)


def test_a_row_that_the_contract_has_written_down_is_read_again_to_the_last_bit() -> None:
    raw = delivered_bars("ACME BOLT", "2024-06-10", c=0.1 + 0.2, v=1e22, o=None)
    rejected = apply_contract(raw, slice_of("US", "2024-06-10"), instruments(), "toy").rejected
    again = Simulated().read_again(ledger(rejected.drop("id").with_columns(interval=pl.lit("other"))))
    assert again.schema == pl.Schema(READ_AGAIN)
    assert again.drop("id", "file", "line", "raw").equals(raw.drop("file", "line", "file_id", "raw"))


def yahoo_rows(symbol: str) -> pl.DataFrame:
    index = pd.DatetimeIndex([MONDAY]).tz_localize("America/New_York")
    cells = {"Open": 10.0, "High": 12.0, "Low": 9.0, "Close": float("nan"), "Adj Close": 1.0, "Volume": 500}
    return to_raw_bars(pd.DataFrame([cells], index=index), symbol, "daily")


def test_a_row_of_a_service_is_that_of_the_instrument_whose_name_the_service_was_asked_for() -> None:
    yahoo, stooq = Yahoo(LISTED, Path("nowhere")), Stooq(LISTED)
    american, french = yahoo_rows("BRK-B"), yahoo_rows("MC.PA")
    downloaded = parse_bars("Date,Open,High,Low,Close,Volume\n2024-06-10,1,2,1,2,N/D\n", "brk-b.us")
    rows = pl.concat([american, french, downloaded])
    again = Fallback((yahoo, stooq)).read_again(ledger(rows))
    assert again.select("symbol", "exchange").rows() == [
        ("BRK.B", "NYSE"),
        ("MC.PA", "EURONEXT"),
        ("BRK.B", "NYSE"),
    ]
    assert again.select(BAR).equals(rows.select(BAR))


def test_a_row_of_an_instrument_that_is_not_listed_any_more_is_told() -> None:
    again = Yahoo(LISTED, Path("nowhere")).read_again(ledger(yahoo_rows("GONE")))
    assert again.select("id", "file", "raw").rows() == [
        (None, "yahoo:GONE", '{"error":"yahoo:GONE: is not listed any more"}')
    ]
