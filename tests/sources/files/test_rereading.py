"""Rejected rows of files, read again from the cells that are kept of them."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from worlds.frames import midnight

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.sources.files.source import Files
from boursomatic_assets.sources.raw_rows import READ_AGAIN, REJECTED

YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume"
BARE = "bare.txt: {header: none, skip: 0, symbol: KO, columns: {ts: 1, o: 2, h: 3, l: 4, c: 5, v: 6}}"
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
    "JSON lines": ("AAPL.jsonl", '{"date":"2024-06-13","open":1.5,"high":2,"low":1,"close":"x","volume":5}'),
    "no header": ("bare.txt", "2024-06-13;1,5;2,5;1;2;x\n2024-06-14;1,5;2,5;1;2;5"),
    "an empty column without a header": ("AAPL.csv", f"{YAHOO}\n2024-06-13,1,2,1,2,1,5,\n2024-06-14,1,2,1,x,1,5,"),
    "spellings of symbols": ("x.csv", "symbol,exchange,ts,o,h,l,c,v\n brk/b,XNYS,2024-06-13,1,2,1,x,5"),
    "an identifier": ("x.csv", "symbol,ts,o,h,l,c,v\nFR0000121014,2024-06-13,1,2,1,2,5"),
    "more and fewer cells": (
        "AAPL.csv",
        f"{YAHOO}\n2024-06-13,1,2,1,2,1,5,6\n2024-06-14,1,2,1,2,1\n2024-06-15,1,2,1,2,1,5",
    ),
    "weeks apart": (
        "AAPL.csv",
        f"{YAHOO}\n2024-06-03,1,2,1,2,1,5\n2024-06-10,1,2,1,2,1,5\n2024-06-17,1,2,1,2,1,5",
    ),
}


def read(source: Files, interval: str = "daily") -> pl.DataFrame:
    """All rows of a folder with their cells, and the interval that they are delivered for."""
    start, end = midnight("2020-01-01"), midnight("2025-01-01")
    rows = pl.concat(source.bars(market, start, end, interval) for market in MARKETS.values())
    return source.with_raw(rows).with_row_index("id").with_columns(pl.col("id").cast(pl.String), reason="fault")


def read_again(source: Files, rows: pl.DataFrame, interval: str = "daily") -> pl.DataFrame:
    return source.read_again(rows.with_columns(interval=pl.lit(interval)).select(*REJECTED))


def values(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(*READ_AGAIN).drop("file", "line", "raw").sort(pl.col("id").cast(pl.Int64))


@pytest.mark.parametrize("layout", FILES)
def test_a_row_is_read_again_as_it_was_read_in_its_file(tmp_path: Path, layout: str) -> None:
    name, content = FILES[layout]
    (tmp_path / name).write_bytes(content.encode())
    (tmp_path / "columns.yaml").write_text(BARE)
    source, interval = Files(tmp_path), "15m" if "15m" in layout else "daily"
    rows = read(source, interval)
    assert rows["line"].drop_nulls().len()
    assert values(read_again(source, rows, interval)).equals(values(rows), null_equal=True)
    for row in rows.drop_nulls("fault").iter_slices(1):
        assert values(read_again(source, row, interval))["fault"].to_list() == row["fault"].to_list()


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


def test_a_number_of_parquet_has_a_decimal_point_though_its_text_may_have_thousands(tmp_path: Path) -> None:
    prices = {"o": 10.125, "h": 12.375, "l": 9.625, "c": 11.875, "v": 500}
    pl.DataFrame([{"symbol": "KO", "ts": dt.date(2024, 6, 13), **prices}]).write_parquet(tmp_path / "bars.parquet")
    rows = read(Files(tmp_path))
    assert values(read_again(Files(tmp_path), rows)).equals(values(rows))


def told(again: pl.DataFrame) -> list[str]:
    assert again["id"].null_count() == again.height
    return again["raw"].str.json_path_match("$.error").to_list()


def test_what_the_rejected_rows_alone_do_not_show_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "dates.csv").write_text(
        "symbol,ts,o,h,l,c,v\nACME,13/06/2024,1,2,1,2,5\nACME,12/06/2024,1,2,1,2,5\n"
    )
    (tmp_path / "sign.csv").write_text(
        "symbol;ts;o;h;l;c;v\nACME;2024-06-13;1;2;1;2;1.234\nACME;2024-06-14;1;2;1;1,5;5\n"
    )
    (tmp_path / "step.csv").write_text("symbol,ts,o,h,l,c,v\nACME,2024-06-13T13:30-04:00,1,2,1,2,5\n")
    source = Files(tmp_path)
    telling = (pl.col("file") == "dates.csv") & (pl.col("line") == 2) | (pl.col("file") == "sign.csv") & (
        pl.col("line") == 3
    )
    rows = read(source).filter(~telling).sort("file")
    errors = told(read_again(source, rows))
    assert [error.partition(":")[0] for error in errors] == ["dates.csv", "sign.csv", "step.csv"]
    assert "state `dates: dmy` or `dates: mdy`" in errors[0]
    assert "1 numbers such as 1.234 fit both ways" in errors[1]
    assert "state `interval:` for it in columns.yaml" in errors[2]
    (tmp_path / "columns.yaml").write_text(
        'dates.csv: {dates: dmy}\nsign.csv: {decimal: ","}\nstep.csv: {interval: daily}'
    )
    again = read_again(source, rows)
    assert again["ts"].to_list() == [midnight("2024-06-12"), midnight("2024-06-13"), midnight("2024-06-13")]
    assert again["v"].to_list() == [5.0, 1234.0, 5.0]


def test_a_row_that_looks_right_by_itself_keeps_what_its_file_said_of_it(tmp_path: Path) -> None:
    """Until a statement says how to read it without the others."""
    commas = "".join(f"2024-05-{day};1,5;2,5;1,5;2,5;500\n" for day in range(10, 31))
    (tmp_path / "KO.csv").write_text(f"Date;Open;High;Low;Close;Volume\n{commas}2024-06-13;1.5;2.5;1.5;2.5;500\n")
    source = Files(tmp_path)
    row = read(source).drop_nulls("fault")
    assert row["fault"].to_list() == ["price is of an unknown form"]
    assert read_again(source, row)["fault"].to_list() == ["price is of an unknown form"]
    (tmp_path / "columns.yaml").write_text('KO.csv: {decimal: "."}')
    assert read_again(source, row).select("o", "c", "fault").rows() == [(1.5, 2.5, None)]


def test_rows_of_which_only_some_are_rejected_lie_apart_without_being_weekly_bars(tmp_path: Path) -> None:
    days = "".join(f"2024-06-{day:02},1,2,1,2,1,5\n" for day in range(3, 28))
    (tmp_path / "KO.csv").write_text(f"{YAHOO}\n{days}")
    rows = read(Files(tmp_path)).gather_every(7)
    assert rows.height > 3
    assert read_again(Files(tmp_path), rows)["fault"].null_count() == rows.height


def test_a_bar_that_was_added_up_is_not_made_of_its_first_part(tmp_path: Path) -> None:
    times = "".join(f"KO,2024-06-13T14:{minute}Z,1,2,1,2,5\n" for minute in (30, 35, 40))
    (tmp_path / "bars.csv").write_text(f"symbol,ts,o,h,l,c,v\n{times}")
    (tmp_path / "columns.yaml").write_text("bars.csv: {resample: 15m}")
    source = Files(tmp_path)
    rows = read(source, "15m")
    assert rows["v"].to_list() == [15.0]
    assert told(read_again(source, rows, "15m")) == [
        "bars.csv: its bars are added up from several rows: load its sessions again"
    ]


def test_a_row_is_read_again_without_its_file(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text("Day,o,h,l,c,v\n13/06/2024,1,2,1,2,5\n")
    (tmp_path / "columns.yaml").write_text("bars.csv: {columns: {ts: Day}, symbol: ACME, exchange: NASDAQ}")
    source = Files(tmp_path)
    rows = read(source)
    assert rows["exchange"].to_list() == ["NASDAQ"]
    (tmp_path / "bars.csv").unlink()
    (tmp_path / "columns.yaml").write_text("bars.csv: {columns: {ts: Day}, symbol: ACME, exchange: NYSE}")
    assert read_again(source, rows).select("symbol", "exchange", "c").rows() == [("ACME", "NYSE", 2.0)]
