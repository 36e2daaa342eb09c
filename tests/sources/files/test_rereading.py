"""Rejected rows of files, read again from the cells that are kept of them."""

from pathlib import Path

import polars as pl
import pytest
from worlds.frames import midnight

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.sources import RAW_BARS
from boursomatic_assets.sources.files.source import Files

YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume"
STOOQ = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
WIDE = (
    "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n"
    "Ticker,MC.PA,AAPL,MC.PA,AAPL,MC.PA,AAPL,MC.PA,AAPL,MC.PA,AAPL\nDate,,,,,,,,,,\n"
)
FILES = {
    "our names": ("x.csv", "symbol,exchange,ts,o,h,l,c,v,interval\nACME,NYSE,2024-06-13,10,12,9,11,500,daily"),
    "the symbol in the name": (
        "prices__aapl.us.csv",
        f"{YAHOO}\n2024-06-13,10,12,9,ten,10.7,500\n2024-06-14,,,,,,",
    ),
    "an offset": ("AAPL.csv", f"{YAHOO}\n2024-06-13 00:00:00-04:00,10,12,9,11,10.7,500"),
    "decimal commas": ("MC.PA.csv", "Date;Open;High;Low;Close;Volume\n13.06.2024;10,50;1.012,1;9;x;500"),
    "abbreviated volume": ("AAPL.csv", f"{YAHOO}\n2024-06-13,10,12,9,11,10.7,4.1K"),
    "stooq": ("x.txt", f"{STOOQ}AAPL.US,D,20240613,000000,10,12,9,11,500,0"),
    "stooq, 15m": ("x.txt", f"{STOOQ}AAPL.US,15,20240613,153000,10,12,9,11,500,0"),
    "stooq without a header": ("x.txt", "AAPL.US,D,20240613,000000,10,12,9,11,500,0"),
    "a series for each symbol": ("x.csv", f"{WIDE}2024-06-13,11,21,12,22,9,19,10,20,500,x\n2024-06-14,,,,,,,,,,"),
    "quotes and line ends": ("AAPL.csv", f'{YAHOO},Remark\n2024-06-13,1,2,1,"2",1,5,"a ""b"";\nc"\n'),
    "NUL": ("AAPL.csv", f"{YAHOO},Remark\n" + "2024-06-13,1,2,1,2,1,5,\n" * 3 + "2024-06-14,1,2,1,2,1,5,a\0b"),
}


def read(source: Files, interval: str = "daily") -> pl.DataFrame:
    """All rows of a folder with their cells, and the interval that they are delivered for."""
    start, end = midnight("2020-01-01"), midnight("2025-01-01")
    rows = pl.concat(source.bars(market, start, end, interval) for market in MARKETS.values())
    return source.with_raw(rows).with_row_index("id").with_columns(pl.col("id").cast(pl.String))


def read_again(source: Files, rows: pl.DataFrame, interval: str = "daily") -> pl.DataFrame:
    ledger = rows.select("id", "file", "line", "raw", interval=pl.lit(interval, pl.String))
    return source.read_again(ledger)


def values(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("id", *RAW_BARS).drop("file", "line", "raw").sort(pl.col("id").cast(pl.Int64))


@pytest.mark.parametrize("layout", FILES)
def test_a_row_is_read_again_as_it_was_read_in_its_file(tmp_path: Path, layout: str) -> None:
    name, content = FILES[layout]
    (tmp_path / name).write_bytes(content.encode())
    source, interval = Files(tmp_path), "15m" if "15m" in layout else "daily"
    rows = read(source, interval)
    assert rows.height
    assert values(read_again(source, rows, interval)).equals(values(rows), null_equal=True)


STAMPS = {
    "date": pl.col("ts").cast(pl.Date),
    "nanoseconds": pl.col("ts").cast(pl.Datetime("ns")),
    "zone": pl.col("ts").dt.replace_time_zone("America/New_York"),
    "text": pl.col("ts").dt.to_string("%Y-%m-%d"),
}


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_row_of_parquet_is_read_again(tmp_path: Path, stamp: str) -> None:
    """A midnight with a zone is no date in a typed column, and one in its text."""
    bars = {"symbol": "MC.PA", "exchange": "EURONEXT", "o": 10.5, "h": 0.1 + 0.2, "l": 1e22, "c": 11.0, "v": 500}
    frame = pl.DataFrame([{**bars, "ts": midnight("2024-06-13")}])
    frame.with_columns(STAMPS[stamp]).write_parquet(tmp_path / "bars.parquet")
    rows = read(Files(tmp_path))
    again = read_again(Files(tmp_path), rows)
    assert values(again).drop("ts").equals(values(rows).drop("ts"))
    assert again["ts"].to_list() == [midnight("2024-06-13")]


def told(again: pl.DataFrame) -> list[str]:
    assert again["id"].null_count() == again.height
    return again["raw"].str.json_path_match("$.error").to_list()


def test_what_the_rejected_rows_alone_do_not_show_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "dates.csv").write_text(
        "symbol,ts,o,h,l,c,v\nACME,13/06/2024,1,2,1,2,5\nACME,12/06/2024,1,2,1,2,5\n"
    )
    (tmp_path / "sign.csv").write_text('symbol,ts,o,h,l,c,v\nACME,2024-06-13,1,2,1,2,"1,234"\n')
    (tmp_path / "step.csv").write_text("symbol,ts,o,h,l,c,v\nACME,2024-06-13T13:30-04:00,1,2,1,2,5\n")
    source = Files(tmp_path)
    rows = read(source).filter(pl.col("ts").ne_missing(midnight("2024-06-13")) | (pl.col("file") != "dates.csv"))
    errors = told(read_again(source, rows))
    assert [error.partition(":")[0] for error in errors] == ["dates.csv", "sign.csv", "step.csv"]
    assert "state `dates: dmy` or `dates: mdy`" in errors[0]
    assert "whether 1,234 has a decimal comma" in errors[1]
    assert "state `interval:` for it in columns.yaml" in errors[2]
    (tmp_path / "columns.yaml").write_text("dates.csv: {dates: dmy}\nstep.csv: {interval: daily}")
    again = read_again(source, rows).drop_nulls("id")
    assert again["ts"].to_list() == [midnight("2024-06-12"), midnight("2024-06-13")]


def test_a_row_is_read_again_without_its_file(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text("Day,o,h,l,c,v\n13/06/2024,1,2,1,2,5\n")
    (tmp_path / "columns.yaml").write_text("bars.csv: {columns: {ts: Day}, symbol: ACME, exchange: MARS}")
    source = Files(tmp_path)
    rows = read(source)
    (tmp_path / "bars.csv").unlink()
    (tmp_path / "columns.yaml").write_text("bars.csv: {columns: {ts: Day}, symbol: ACME, exchange: NYSE}")
    assert read_again(source, rows).select("symbol", "exchange", "c").rows() == [("ACME", "NYSE", 2.0)]
