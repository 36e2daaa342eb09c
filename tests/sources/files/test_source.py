"""The source `files`: Parquet and CSV in a folder, cells as they stand."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest
from worlds.frames import midnight, slice_of

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.sources import INSTRUMENTS, RAW_BARS, SourceError, open_source
from boursomatic_assets.sources.files.source import Files

LAYOUT = ("symbol", "exchange", "ts", "o", "h", "l", "c", "v", "interval")
HEADER = ",".join(LAYOUT)
LINES = ["ACME,NYSE,2024-06-10,10,11,9,10.5,1000,daily", "LUXE,EURONEXT,2024-06-10,20,22,19,21,500,daily"]
START, END = midnight("2024-06-10"), midnight("2024-06-11")


def write_csv(folder: Path, *lines: str, name: str = "bars.csv") -> Files:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join([HEADER, *lines, ""]))
    return Files(folder)


def write_parquet(folder: Path, frame: pl.DataFrame, name: str = "bars.parquet") -> Files:
    frame.write_parquet(folder / name)
    return Files(folder)


def typed(lines: list[str] = LINES) -> pl.DataFrame:
    """The lines as a typed frame, as somebody would write them to Parquet."""
    cells = pl.DataFrame([line.split(",") for line in lines], schema=list(LAYOUT), orient="row")
    return cells.with_columns(pl.col(*"ohlcv").cast(pl.Float64), ts=pl.col("ts").str.to_date())


def bars(source: Files, market: str = "US") -> pl.DataFrame:
    """The bars of a market, with their raw form."""
    return source.with_raw(source.bars(MARKETS[market], START, END))


def everything(source: Files) -> pl.DataFrame:
    return pl.concat(bars(source, market) for market in MARKETS)


@pytest.mark.parametrize(
    "ts",
    [
        pl.col("ts"),
        pl.col("ts").cast(pl.Datetime("ns")),
        pl.col("ts").cast(pl.Datetime("ms", "UTC")),
        pl.col("ts").cast(pl.Datetime("us", "UTC")).dt.convert_time_zone("America/New_York"),
        pl.col("ts").cast(pl.String),
    ],
    ids=["date", "ns", "utc", "new york", "text"],
)
def test_parquet_gives_the_same_bars_as_csv(tmp_path: Path, ts: pl.Expr) -> None:
    for folder in ("csv", "parquet"):
        (tmp_path / folder).mkdir()
    told = everything(write_csv(tmp_path / "csv", *LINES)).drop("file", "line", "raw", "fault")
    assert told.equals(
        everything(write_parquet(tmp_path / "parquet", typed().with_columns(ts))).select(told.columns)
    )
    assert told.row(0) == ("ACME", "NYSE", START, 10.0, 11.0, 9.0, 10.5, 1000.0, "daily")
    assert told.height == 2


@pytest.mark.parametrize("stamp", ["2024-06-10", "2024-06-10 00:00:00", "2024-06-10T00:00:00.000"])
def test_iso_times_are_read(tmp_path: Path, stamp: str) -> None:
    source = write_csv(tmp_path, LINES[0].replace("2024-06-10", stamp))
    assert bars(source)["ts"].to_list() == [START]


@pytest.mark.parametrize("stamp", ["31/06/2024", "2024-06-31", "today", "", "6/2024", "24-06-10"])
def test_any_other_time_is_null_and_not_guessed(tmp_path: Path, stamp: str) -> None:
    source = write_csv(tmp_path, LINES[0].replace("2024-06-10", stamp))
    row = bars(source).row(0, named=True)
    assert row["ts"] is None
    assert (json.loads(row["raw"])["ts"] or "") == stamp


@pytest.mark.parametrize("cell", ["ten", "", "1 000", "10,5"])
def test_an_unreadable_number_is_null_with_its_raw_form(tmp_path: Path, cell: str) -> None:
    quoted = f'ACME,NYSE,2024-06-10,10,11,9,"{cell}",1000,daily'
    row = bars(write_csv(tmp_path, quoted)).row(0, named=True)
    assert row["c"] is None
    assert (json.loads(row["raw"])["c"] or "") == cell


@pytest.mark.parametrize("cell", ["10.50", " 10.5", "10.5 ", '"10.5"', "1.05e1", "+10.5"])
def test_a_number_is_read_however_it_is_written(tmp_path: Path, cell: str) -> None:
    lines = [LINES[0].replace("10.5", cell), LINES[0].replace("10.5", "10.500000000000002")]
    assert bars(write_csv(tmp_path, *lines))["c"].to_list() == [10.5, 10.500000000000002]


def test_only_rows_that_are_asked_for_are_read_again(tmp_path: Path) -> None:
    source = write_csv(tmp_path, LINES[0], LINES[0].replace("10.5", "ten"))
    found = source.bars(MARKETS["US"], START, END)
    assert found["raw"].null_count() == 2
    listed = pl.DataFrame({"id": "some id", "symbol": "ACME", "exchange": "NYSE"})
    delivery = apply_contract(found, slice_of("US", "2024-06-10"), listed, "files", with_raw=source.with_raw)
    assert delivery.kept.height == 1
    assert json.loads(delivery.rejected["raw"].item())["c"] == "ten"


@pytest.mark.parametrize("cell", ["NaN", "1e400", "-inf"])
def test_a_number_that_is_none_is_refused_by_name(tmp_path: Path, cell: str) -> None:
    raw = bars(write_csv(tmp_path, LINES[0].replace("10.5", cell)))
    listed = pl.DataFrame({"id": "some id", "symbol": "ACME", "exchange": "NYSE"})
    rejected = apply_contract(raw, slice_of("US", "2024-06-10"), listed, "files").rejected.row(0, named=True)
    assert rejected["reason"] == "price is not finite"
    assert json.loads(rejected["raw"])["c"] == cell


@pytest.mark.parametrize("symbol", ["00123", "NaN", "NA", "null", "TRUE", "1e5", "ÉTÉ", "A B"])
def test_a_symbol_is_text_whatever_it_looks_like(tmp_path: Path, symbol: str) -> None:
    source = write_csv(tmp_path, LINES[0].replace("ACME", symbol))
    assert bars(source)["symbol"].to_list() == [symbol]
    assert source.instruments()["symbol"].to_list() == [symbol]


def test_a_row_can_be_found_in_its_file(tmp_path: Path) -> None:
    write_csv(tmp_path, *LINES, name="2024/june.csv")
    found = bars(Files(tmp_path), "EURONEXT").row(0, named=True)
    assert (found["file"], found["line"]) == ("2024/june.csv", 3)
    assert json.loads(found["raw"]) == dict(zip(LAYOUT, LINES[1].split(","), strict=True))


def test_folders_below_and_both_formats_are_read_together(tmp_path: Path) -> None:
    write_csv(tmp_path, LINES[0], name="a/b/us.CSV")
    write_parquet(tmp_path, typed(LINES[1:]), name="paris.parquet")
    (tmp_path / "README.md").write_text("not bars")
    found = everything(Files(tmp_path))
    assert found["file"].to_list() == ["a/b/us.CSV", "paris.parquet"]
    assert found.schema == pl.Schema(RAW_BARS)


def test_a_market_gets_its_own_bars_of_the_asked_time(tmp_path: Path) -> None:
    others = [line.replace("2024-06-10", date) for line in LINES for date in ("2024-06-09", "2024-06-11")]
    source = write_csv(tmp_path, *LINES, *others)
    assert bars(source, "EURONEXT")["symbol"].to_list() == ["LUXE"]
    assert bars(source)["symbol"].to_list() == ["ACME"]


@pytest.mark.parametrize("exchange", ["MARS", "", "nyse"])
def test_a_row_of_no_known_exchange_is_delivered_once(tmp_path: Path, exchange: str) -> None:
    source = write_csv(tmp_path, LINES[0].replace("NYSE", exchange))
    assert everything(source)["exchange"].to_list() == [exchange or None]


def test_intraday_bars_are_not_delivered(tmp_path: Path) -> None:
    source = write_csv(tmp_path, LINES[0], LINES[0].replace("daily", "15m"), LINES[0].replace("daily", "weekly"))
    assert bars(source)["interval"].to_list() == ["daily", "weekly"]


def test_instruments_are_those_of_the_bars(tmp_path: Path) -> None:
    found = write_csv(tmp_path, *LINES, *LINES, ",NYSE,2024-06-10,1,1,1,1,1,daily").instruments()
    assert found.select("symbol", "exchange").rows() == [("ACME", "NYSE"), ("LUXE", "EURONEXT")]
    assert found.schema == pl.Schema(INSTRUMENTS)
    assert found["name"].null_count() == 2


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_instruments_file_describes_them(tmp_path: Path, suffix: str) -> None:
    about = pl.DataFrame(
        {"exchange": ["NYSE", "NYSE"], "symbol": ["ACME", "GHOST"], "name": ["Acme Inc.", "Ghost"]}
    )
    getattr(about, f"write_{suffix}")(tmp_path / f"instruments.{suffix}")
    found = write_csv(tmp_path, *LINES).instruments()
    assert found.select("symbol", "name", "sector").rows() == [("ACME", "Acme Inc.", None), ("LUXE", None, None)]


@pytest.mark.parametrize(
    ("about", "found"),
    [
        ({"market_cap": 3e9, "pe": 30.0}, ("mid", "high")),
        ({"market_cap": "3B", "pe": "-2"}, ("mid", None)),
        ({"market_cap_bucket": "Large Cap", "market_cap": 1e6}, ("large", None)),
        ({"market_cap_bucket": None, "market_cap": 1e6}, ("small", None)),
        ({"pe_bucket": "low"}, (None, "low")),
    ],
)
def test_buckets_are_stated_or_come_from_numbers(
    tmp_path: Path, about: dict[str, object], found: tuple[str | None, str | None]
) -> None:
    listed = pl.DataFrame([{"symbol": "ACME", "exchange": "NYSE"} | about])
    listed.write_parquet(tmp_path / "instruments.parquet")
    named = write_csv(tmp_path, LINES[0]).instruments()
    assert named.select("market_cap_bucket", "pe_bucket").row(0) == found


def test_a_bucket_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "instruments.csv").write_text("symbol,exchange,pe_bucket\nACME,NYSE,cheap\n")
    with pytest.raises(SourceError) as raised:
        write_csv(tmp_path, LINES[0]).instruments()
    assert str(raised.value) == (
        "instruments.csv: pe_bucket is 'cheap' for ACME: wanted low, medium, high, or nothing"
    )


def refusal(source: Files) -> str:
    with pytest.raises(SourceError) as raised:
        everything(source)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_missing_columns_are_named_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "june.csv").write_text("symbol,exchange,jour,o,h,l,c,v\n")
    said = refusal(Files(tmp_path))
    assert said.startswith("june.csv: the columns ['ts'] are missing; found ['symbol', 'exchange', 'jour'")


@pytest.mark.parametrize("content", [b"PAR1 this is not Parquet PAR1", b"PAR1" + bytes(64) + b"PAR1"])
def test_a_corrupt_parquet_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "june.parquet").write_bytes(content)
    assert refusal(Files(tmp_path)).startswith("june.parquet: cannot be read as parquet: ")


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path, typed(), name="june.parquet")
    whole = (tmp_path / "june.parquet").read_bytes()
    (tmp_path / "june.parquet").write_bytes(whole[: len(whole) // 2])
    assert refusal(Files(tmp_path)).startswith("june.parquet: cannot be read as parquet: ")


def test_an_empty_csv_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "june.csv").touch()
    assert refusal(Files(tmp_path)).startswith("june.csv: cannot be read as csv: ")


def test_a_file_of_a_header_alone_has_no_bars(tmp_path: Path) -> None:
    assert everything(write_csv(tmp_path)).is_empty()


@pytest.mark.parametrize("line", [LINES[0] + ",surplus", LINES[0].replace("10.5", "10,500.25")])
def test_a_line_with_too_many_cells_is_named_with_its_file(tmp_path: Path, line: str) -> None:
    assert "june.csv" in refusal(write_csv(tmp_path, line, name="june.csv"))


def test_bytes_that_are_no_text_do_not_stop_the_other_rows(tmp_path: Path) -> None:
    lines = [LINES[0].replace("ACME", "ACM\xc9"), LINES[0]]
    (tmp_path / "june.csv").write_bytes("\n".join([HEADER, *lines, ""]).encode("latin-1"))
    assert bars(Files(tmp_path))["symbol"].to_list() == ["ACM\N{REPLACEMENT CHARACTER}", "ACME"]


def test_a_line_cut_short_is_delivered_with_nulls(tmp_path: Path) -> None:
    row = bars(write_csv(tmp_path, "ACME,NYSE,2024-06-10,10,11", LINES[0])).row(0, named=True)
    assert (row["symbol"], row["l"], row["interval"]) == ("ACME", None, None)


@pytest.mark.parametrize("number", [0, 1718000000])
def test_a_bare_number_is_no_time(tmp_path: Path, number: int) -> None:
    """Seconds, milliseconds or microseconds: nobody can know, so it is refused, not lost in 1970."""
    source = write_parquet(tmp_path, typed(LINES[:1]).with_columns(ts=pl.lit(number)))
    assert bars(source)["ts"].to_list() == [None]


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    assert refusal(Files(tmp_path)) == f"{tmp_path} holds no file with bars"


def test_a_missing_folder_is_said_with_its_variable(tmp_path: Path) -> None:
    said = refusal(Files(tmp_path / "gone"))
    assert said == f"{tmp_path / 'gone'} is no folder: set BOURSOMATIC_FILES to the folder with the bars"


@pytest.mark.parametrize(
    ("kind", "files", "why"),
    [
        ("files", None, "needs a folder: set BOURSOMATIC_FILES to it"),
        ("files", "", "needs a folder: set BOURSOMATIC_FILES to it"),
        ("yahoo!", None, "there is no source 'yahoo!': set BOURSOMATIC_SOURCE to simulated, files"),
        ("yahoo,tea", None, "there is no source 'tea': set BOURSOMATIC_SOURCE to simulated, files"),
    ],
)
def test_a_source_that_cannot_be_opened_is_explained(kind: str, files: str | None, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        open_source(kind, files)


def test_the_source_files_is_opened_by_name(tmp_path: Path) -> None:
    assert open_source("files", str(tmp_path)) == Files(tmp_path)


@pytest.mark.calendar
def test_what_no_partition_holds_comes_with_the_first_or_the_newest_one(tmp_path: Path) -> None:
    cells = "ACME,NYSE,{},10,12,9,11,500,daily"
    write_csv(tmp_path, *(cells.format(date) for date in ("1984-09-07", "2024-06-12", "2024-06-13", "2999-01-04")))
    source = Files(tmp_path, first_partition=dt.datetime(2024, 6, 12))

    def years(start: dt.datetime, end: dt.datetime) -> list[int]:
        return source.bars(MARKETS["US"], start, end)["ts"].dt.year().to_list()

    day = dt.timedelta(days=1)
    assert years(source.first_partition, source.first_partition + day) == [1984, 2024]
    assert years(source.first_partition + day, source.first_partition + 2 * day) == [2024]
    assert years(source.first_partition + day, dt.datetime.now(dt.UTC).replace(tzinfo=None) + day) == [2024, 2999]
