"""The source `files`: which rows of a folder are delivered for a market, an interval and a range of dates."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest
from worlds.deliveries import HEADER, ROW, deliver, everything, faults, problems
from worlds.frames import midnight, slice_of

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.sources import FILES, INSTRUMENTS, RAW_BARS, SourceError, open_source
from boursomatic_assets.sources.files.source import Files

LAYOUT = ("symbol", "exchange", "ts", "o", "h", "l", "c", "v", "interval")
LINES = ["ACME,NYSE,2024-06-10,10,11,9,10.5,1000,daily", "LUXE,EURONEXT,2024-06-10,20,22,19,21,500,daily"]
START, END = midnight("2024-06-10"), midnight("2024-06-11")


def write_csv(folder: Path, *lines: str, name: str = "bars.csv") -> Files:
    return deliver(folder, {name: "\n".join([",".join(LAYOUT), *lines, ""])})


def typed(lines: list[str]) -> pl.DataFrame:
    """The lines as a typed frame, as somebody would write them to Parquet."""
    cells = pl.DataFrame([line.split(",") for line in lines], schema=list(LAYOUT), orient="row")
    return cells.with_columns(pl.col(*"ohlcv").cast(pl.Float64), ts=pl.col("ts").str.to_date())


def bars(source: Files, market: str = "US", interval: str = "daily") -> pl.DataFrame:
    """The bars of a market on one date, with their raw form."""
    return source.with_raw(source.bars(MARKETS[market], START, END, interval))


def judged(source: Files) -> Delivery:
    """What the contract makes of the American bars."""
    listed = pl.DataFrame({"id": "some id", "symbol": "ACME", "exchange": "NYSE"})
    found = source.bars(MARKETS["US"], START, END)
    return apply_contract(found, slice_of("US", "2024-06-10"), listed, "files", with_raw=source.with_raw)


def test_rows_are_delivered_with_their_place_and_their_raw_form(tmp_path: Path) -> None:
    write_csv(tmp_path, *LINES, name="2024/june.csv")
    found = bars(Files(tmp_path), "EURONEXT").row(0, named=True)
    assert (found["file"], found["line"]) == ("2024/june.csv", 3)
    assert json.loads(found["raw"]) == dict(zip(LAYOUT, LINES[1].split(","), strict=True))


def test_folders_below_and_several_formats_are_read_together(tmp_path: Path) -> None:
    write_csv(tmp_path, LINES[0], name="a/b/us.CSV")
    found = everything(deliver(tmp_path, {"paris.parquet": typed(LINES[1:])}))
    assert found["file"].to_list() == ["a/b/us.CSV", "paris.parquet"]
    assert found.schema == pl.Schema(RAW_BARS)


def test_a_market_gets_its_own_bars_of_the_asked_time(tmp_path: Path) -> None:
    others = [line.replace("2024-06-10", date) for line in LINES for date in ("2024-06-09", "2024-06-11")]
    source = write_csv(tmp_path, *LINES, *others)
    assert bars(source, "EURONEXT")["symbol"].to_list() == ["LUXE"]
    assert bars(source)["symbol"].to_list() == ["ACME"]


@pytest.mark.parametrize(
    ("cell", "exchange"), [("MARS", "MARS"), ("", "US"), ("nyse", "NYSE"), ("XPAR", "EURONEXT")]
)
def test_a_row_is_delivered_once_whatever_its_exchange(tmp_path: Path, cell: str, exchange: str) -> None:
    source = write_csv(tmp_path, LINES[0].replace("NYSE", cell))
    assert everything(source)["exchange"].to_list() == [exchange]


@pytest.mark.parametrize("symbol", ["FR0000121014", "VOD LN Equity", "A company and its whole name"])
def test_a_symbol_of_an_unknown_form_is_delivered_once_and_refused(tmp_path: Path, symbol: str) -> None:
    source = write_csv(tmp_path, LINES[0], LINES[0].replace("ACME,NYSE", f"{symbol},"))
    assert faults(source) == {3: "symbol is of an unknown form"}
    assert dict(judged(source).rejected.select("line", "reason").iter_rows()) == faults(source)
    assert source.instruments()["symbol"].to_list() == ["ACME"]


def test_a_row_without_a_symbol_is_delivered_for_the_contract_to_refuse(tmp_path: Path) -> None:
    source = write_csv(tmp_path, LINES[0].replace("ACME", " "))
    assert judged(source).rejected["reason"].to_list() == ["symbol is missing"]


def test_15m_bars_are_delivered_apart_and_all_others_as_daily(tmp_path: Path) -> None:
    stamped = LINES[0].replace("2024-06-10", "2024-06-10 14:00:00")
    source = write_csv(tmp_path, LINES[0], stamped.replace("daily", "15m"), LINES[0].replace("daily", "weekly"))
    assert bars(source)["interval"].to_list() == ["daily", "weekly"]
    assert bars(source, interval="15m")["ts"].to_list() == [midnight("2024-06-10 14:00")]


def test_only_rows_that_are_asked_for_are_read_again(tmp_path: Path) -> None:
    source = write_csv(tmp_path, LINES[0], LINES[0].replace("10.5", "ten"))
    assert source.bars(MARKETS["US"], START, END)["raw"].null_count() == 2
    delivery = judged(source)
    assert delivery.kept.height == 1
    assert json.loads(delivery.rejected["raw"].item())["c"] == "ten"


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("NaN", "price is not finite"),
        ("1e400", "price is not finite"),
        ("ten", "price is of an unknown form"),
        ("", "price is missing"),
        ("n/a", "price is missing"),
    ],
)
def test_a_number_that_is_none_is_refused_by_name(tmp_path: Path, cell: str, reason: str) -> None:
    rejected = judged(write_csv(tmp_path, LINES[0].replace("10.5", cell))).rejected.row(0, named=True)
    assert rejected["reason"] == reason
    assert (json.loads(rejected["raw"])["c"] or "") == cell


@pytest.mark.parametrize("cell", ["10.50", " 10.5", "10.5 ", '"10.5"', "1.05e1", "+10.5", "$10.50"])
def test_a_number_is_read_however_it_is_written(tmp_path: Path, cell: str) -> None:
    lines = [LINES[0].replace("10.5", cell), LINES[0].replace("10.5", "10.500000000000002")]
    assert bars(write_csv(tmp_path, *lines))["c"].to_list() == [10.5, 10.500000000000002]


@pytest.mark.parametrize(
    ("opened", "closed", "number"),
    [
        ("10", "10 000", 10000),
        ("10", '"10,5"', 10.5),
        ("10.25", '"10,500.5"', 10500.5),
        ("10.25", '"10,500"', 10500),
    ],
)
def test_columns_decide_together_what_a_comma_is(tmp_path: Path, opened: str, closed: str, number: float) -> None:
    line = f"ACME,NYSE,2024-06-10,{opened},11,9,{closed},1000,daily"
    assert bars(write_csv(tmp_path, line))["c"].to_list() == [number]


def test_columns_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    source = write_csv(tmp_path, 'ACME,NYSE,2024-06-10,10.25,11,9,"10,5",1000,daily')
    assert "1 numbers can only have a decimal point and 1 only a decimal comma" in problems(source)["bars.csv"]


@pytest.mark.parametrize("symbol", ["00123", "NAN", "NA", "NULL", "TRUE", "1E5", "ÉTÉ", "A B C"])
def test_a_symbol_is_text_whatever_it_looks_like(tmp_path: Path, symbol: str) -> None:
    source = write_csv(tmp_path, LINES[0].replace("ACME", symbol.lower()))
    assert bars(source)["symbol"].to_list() == [symbol]
    assert source.instruments()["symbol"].to_list() == [symbol]


def test_letters_of_a_windows_code_page_are_read(tmp_path: Path) -> None:
    content = "\n".join([",".join(LAYOUT), LINES[0].replace("ACME", "ACMÉ"), LINES[0], ""])
    assert bars(deliver(tmp_path, {"june.csv": content.encode("cp1252")}))["symbol"].to_list() == ["ACMÉ", "ACME"]


@pytest.mark.parametrize("stamp", ["31/06/2024", "2024-06-31", "today", "6/2024"])
def test_a_time_of_an_unknown_form_is_told_as_that(tmp_path: Path, stamp: str) -> None:
    rejected = judged(write_csv(tmp_path, LINES[0].replace("2024-06-10", stamp))).rejected.row(0, named=True)
    assert rejected["reason"] == "time is of an unknown form"
    assert json.loads(rejected["raw"])["ts"] == stamp


def test_a_number_of_1970_is_no_time(tmp_path: Path) -> None:
    """Whether days, seconds or anything else since 1970: nobody can know."""
    source = deliver(tmp_path, {"bars.parquet": typed(LINES[:1]).with_columns(ts=pl.lit(0))})
    assert bars(source)["ts"].to_list() == [None]


def test_instruments_are_those_of_the_bars(tmp_path: Path) -> None:
    found = write_csv(tmp_path, *LINES, *LINES, ",NYSE,2024-06-10,1,1,1,1,1,daily").instruments()
    assert found.select("symbol", "exchange").rows() == [("ACME", "NYSE"), ("LUXE", "EURONEXT")]
    assert found.schema == pl.Schema(INSTRUMENTS)
    assert found["name"].null_count() == 2


def test_a_file_that_is_not_understood_is_told_for_each_market_and_the_others_go_on(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"notes.txt": "buy low\nsell high\n", "image.csv": b"\x89PNG\0\0\0\n"})
    write_csv(tmp_path, *LINES)
    for market in MARKETS:
        found = bars(source, market)
        told = {
            row["file"]: json.loads(row["raw"])["error"]
            for row in found.filter(pl.col("line").is_null()).to_dicts()
        }
        assert told == problems(source)
        assert found.drop_nulls("line").height == 1
    assert told["notes.txt"].startswith("notes.txt: no column is known as date (`ts`), open (`o`), high (`h`)")
    assert not judged(source).complete


def test_what_became_of_each_file_is_told(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": HEADER + ROW, "notes.txt": "buy low\n", "README": "", ".DS_Store": ""})
    told = source.files()
    assert told.schema == pl.Schema(FILES)
    assert told.select("file", "lines", "header", "delivered", "passed_over").rows() == [
        ("KO.csv", 2, 1, 1, False),
        ("notes.txt", 0, 0, 0, False),
        (".DS_Store", 0, 0, 0, True),
        ("README", 0, 0, 0, True),
    ]


def refusal(source: Files) -> str:
    with pytest.raises(SourceError) as raised:
        bars(source)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_folder_without_a_file_that_is_understood_is_an_error(tmp_path: Path) -> None:
    assert refusal(Files(tmp_path)).startswith(f"{tmp_path} holds no file with bars: put some there")
    assert refusal(deliver(tmp_path, {"june.csv": ""})) == "june.csv: cannot be read as csv: it is empty"


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
