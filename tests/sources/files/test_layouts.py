"""Vendors' files: what their headers, dates and numbers mean, recognised from the content alone."""

import gzip
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from worlds.frames import midnight

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.layouts import symbol_from_name
from boursomatic_assets.sources.files.source import Files

DAY = midnight("2024-06-13")
YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume"
WIDE_FIELDS = "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume"
WIDE_SYMBOLS = "Ticker,MC.PA,AAPL,MC.PA,AAPL,MC.PA,AAPL,MC.PA,AAPL,MC.PA,AAPL"

MUTATIONS = int(os.environ.get("BOURSOMATIC_TEST_MUTATIONS", "300"))

LAYOUTS = {
    "tidy": ("x.csv", "symbol,exchange,ts,o,h,l,c,v,interval\nAAPL,US,2024-06-13,10,12,9,11,500,daily"),
    "stooq": (
        "x.txt",
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
        "AAPL.US,D,20240613,000000,10,12,9,11,500,0",
    ),
    "stooq without a header": ("x.txt", "AAPL.US,D,20240613,000000,10,12,9,11,500,0"),
    "yahoo, by symbol": ("AAPL.csv", f"{YAHOO}\n2024-06-13,10,12,9,11,10.7,500"),
    "a name before the symbol": ("prices__aapl.us.csv", f"{YAHOO}\n2024-06-13,10,12,9,11,10.7,500"),
    "pandas-datareader": ("AAPL.csv", "Date,High,Low,Open,Close,Volume,Adj Close\n2024-06-13,12,9,10,11,500,10.7"),
    "yfinance with its offset": (
        "AAPL.csv",
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n2024-06-13 00:00:00-04:00,10,12,9,11,500,0,0",
    ),
    "yfinance, three lines": (
        "x.csv",
        "Price,Adj Close,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,,\n"
        "2024-06-13,10.7,11,12,9,10,500",
    ),
    "a ticker first": (
        "x.csv",
        "Ticker,Date,Open,High,Low,Close,Volume,Adj Close\nAAPL,2024-06-13,10,12,9,11,500,1",
    ),
    "semicolons and commas": ("AAPL.csv", f"{YAHOO}\n13.06.2024;10,0;12;9;11,0;10,7;500".replace(",A", ";A")),
    "abbreviated volume": ("AAPL.csv", f"{YAHOO}\n2024-06-13,10,12,9,11,10.7,0.5K"),
    "a month's name": ("AAPL.csv", f"{YAHOO}\n13-Jun-2024,10,12,9,11,10.7,500"),
    "tabs": ("AAPL.tsv", f"{YAHOO}\n2024-06-13,10,12,9,11,10.7,500".replace(",", "\t")),
}


def read(folder: Path, name: str, content: str | bytes) -> pl.DataFrame:
    """The bars of both markets in a folder of one more file."""
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return everything(folder)


def everything(folder: Path) -> pl.DataFrame:
    start, end = midnight("1980-01-01"), midnight("2030-01-01")
    source = Files(folder)
    return source.with_raw(pl.concat(source.bars(market, start, end) for market in MARKETS.values()))


def content_of(layout: str) -> tuple[str, str]:
    name, content = LAYOUTS[layout]
    if layout.startswith("semicolons"):
        header, row = content.split("\n")
        return name, f"{header.replace(',', ';')}\n{row}"
    return name, content


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\N{BOM}"])
def test_every_layout_gives_the_same_bar(tmp_path: Path, layout: str, ends: str, mark: str) -> None:
    name, content = content_of(layout)
    found = read(tmp_path, name, mark + content.replace("\n", ends) + ends)
    assert found.drop("file", "line", "raw", "fault").rows() == [("AAPL", "US", DAY, 10, 12, 9, 11, 500, "daily")]
    assert found["line"].item() == content.count("\n") + 1


def test_a_wide_file_has_a_series_for_each_symbol(tmp_path: Path) -> None:
    for name, head in (("a.csv", (WIDE_FIELDS, WIDE_SYMBOLS)), ("b.csv", (WIDE_SYMBOLS, WIDE_FIELDS))):
        lines = [*head, "Date,,,,,,,,,,", "2024-06-13,11,21,12,22,9,19,10,20,500,600", ""]
        (tmp_path / name).write_text("\n".join(lines))
    found = everything(tmp_path)
    assert set(found.drop("file", "line", "raw", "fault").rows()) == {
        ("AAPL", "US", DAY, 20, 22, 19, 21, 600, "daily"),
        ("MC.PA", "EURONEXT", DAY, 10, 12, 9, 11, 500, "daily"),
    }
    assert found.height == 4
    assert all("MC.PA" not in raw for raw in found.filter(pl.col("symbol") == "AAPL")["raw"])


@pytest.mark.parametrize("packed", ["gz", "zip"])
def test_an_archive_is_read_by_its_content(tmp_path: Path, packed: str) -> None:
    content = LAYOUTS["tidy"][1]
    if packed == "gz":
        (tmp_path / "bars.dat").write_bytes(gzip.compress(content.encode()))
    else:
        with zipfile.ZipFile(tmp_path / "bars.dat", "w") as archive:
            archive.writestr("inside/x.csv", content)
    found = everything(tmp_path)
    assert found["symbol"].to_list() == ["AAPL"]
    assert found["file"].item() == ("bars.dat" if packed == "gz" else "bars.dat/inside/x.csv")
    assert json.loads(found["raw"].item())["c"] == "11"


def test_what_a_mac_adds_to_an_archive_is_passed_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bars.zip", "w") as archive:
        archive.writestr("AAPL.csv", LAYOUTS["tidy"][1])
        archive.writestr("__MACOSX/._AAPL.csv", b"\0\5\x16\7")
        archive.writestr(".DS_Store", b"\0\0\0\1Bud1")
    assert everything(tmp_path)["file"].to_list() == ["bars.zip/AAPL.csv"]


FRENCH = "Date;Ouverture;Plus haut;Plus bas;Clôture;Volume\n13/06/2024;10,0;12,0;9,0;11,0;500\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_a_french_spreadsheet_is_read_as_it_was_saved(
    tmp_path: Path, encoding: str, packed: Callable[[bytes], bytes]
) -> None:
    mark = "\N{BOM}" if encoding == "utf-16-be" else ""
    (tmp_path / "MC.PA.csv").write_bytes(packed((mark + FRENCH).encode(encoding)))
    found = everything(tmp_path)
    assert found.drop("file", "line", "raw", "fault").rows() == [
        ("MC.PA", "EURONEXT", DAY, 10, 12, 9, 11, 500, "daily")
    ]
    assert json.loads(found["raw"].item())["Clôture"] == "11,0"


@pytest.mark.parametrize("cut", [1, 3])
def test_two_bytes_a_letter_that_are_cut_are_no_text(tmp_path: Path, cut: int) -> None:
    (tmp_path / "MC.PA.csv").write_bytes(FRENCH.encode("utf-16")[:-cut])
    (tmp_path / "AAPL.csv").write_text(LAYOUTS["tidy"][1])
    found = everything(tmp_path).filter(pl.col("file") == "MC.PA.csv")
    assert "cannot be unpacked" in found["raw"][0]


@pytest.mark.parametrize(
    ("dates", "month"),
    [(["02/07/2015", "13/07/2015"], 7), (["02/07/2015", "02/13/2015"], 2), (["02-07-2015", "13-07-2015"], 7)],
)
def test_all_rows_of_a_file_decide_its_dates(tmp_path: Path, dates: list[str], month: int) -> None:
    rows = "\n".join(f"{date},10,12,9,11,10.7,500" for date in dates)
    assert {ts.month for ts in read(tmp_path, "AAPL.csv", f"{YAHOO}\n{rows}\n")["ts"]} == {month}


@pytest.mark.parametrize(
    ("dates", "why"),
    [
        (["02/07/2015", "03/07/2015"], "day and month cannot be told apart: 2 dates such as 0"),
        (["02/07/2015", "13/07/2015", "07/13/2015"], "1 dates can only be day/month and 1 only month/day"),
    ],
)
def test_undecided_dates_are_an_error_until_they_are_stated(tmp_path: Path, dates: list[str], why: str) -> None:
    rows = "\n".join(f"{date},10,12,9,11,10.7,500" for date in dates)
    with pytest.raises(SourceError, match=f"^AAPL.csv: {why}") as raised:
        read(tmp_path, "AAPL.csv", f"{YAHOO}\n{rows}\n")
    assert str(raised.value).endswith("state `dates: dmy` or `dates: mdy` for it in columns.yaml")
    (tmp_path / "columns.yaml").write_text('"*.csv": {dates: dmy}')
    assert everything(tmp_path)["ts"][0] == midnight("2015-07-02")


def test_what_no_detection_finds_is_stated_beside_the_files(tmp_path: Path) -> None:
    (tmp_path / "columns.yaml").write_text(
        "'paris/*.csv':\n  columns: {ts: Jour, o: Ouv, h: Haut, l: Bas, c: Clot, v: Titres}\n"
        "  symbol: MC\n  exchange: EURONEXT\n"
    )
    (tmp_path / "paris").mkdir()
    found = read(tmp_path, "paris/lvmh 2024.csv", "Jour;Ouv;Haut;Bas;Clot;Titres\n13/06/2024;10;12;9;11;500\n")
    assert found.drop("file", "line", "raw", "fault").rows() == [
        ("MC", "EURONEXT", DAY, 10, 12, 9, 11, 500, "daily")
    ]


@pytest.mark.parametrize("said", ["'*': {date: dmy}", "- a list", "'*': dmy", "{"])
def test_a_statement_that_is_none_is_explained(tmp_path: Path, said: str) -> None:
    (tmp_path / "columns.yaml").write_text(said)
    with pytest.raises(SourceError, match=r"^columns.yaml: wanted a pattern of file names with columns, dates"):
        read(tmp_path, *LAYOUTS["tidy"])


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("AAPL.US,5,20260305,153000", "2026-03-05 14:30"),  # Warsaw in winter, New York too
        ("AAPL.US,5,20260310,143000", "2026-03-10 13:30"),  # New York has changed its clock, Warsaw has not
        ("AAPL.US,5,20260330,153000", "2026-03-30 13:30"),  # both have
    ],
)
def test_stooqs_intraday_clock_is_warsaws(tmp_path: Path, written: str, utc: str) -> None:
    found = read(tmp_path, "x.txt", f"{written},10,12,9,11,500,0\n")
    assert (found["ts"].item(), found["interval"].item()) == (midnight(utc), "5m")


def test_an_offset_gives_intraday_bars_their_instant_and_daily_ones_their_date(tmp_path: Path) -> None:
    header = "Datetime,Open,High,Low,Close,Volume"
    times = ["2019-12-16 17:00:00+01:00", "2019-12-16 17:05:00+01:00"]
    read(tmp_path, "MC.PA.csv", "\n".join([header, *(f"{time},10,12,9,11,500" for time in times), ""]))
    found = read(tmp_path, "OR.PA.csv", f"{header}\n2023-02-03 01:00:00+01:00,10,12,9,11,500\n")
    assert found.select("symbol", "ts", "interval").rows() == [
        ("MC.PA", midnight("2019-12-16 16:00"), "5m"),
        ("MC.PA", midnight("2019-12-16 16:05"), "5m"),
        ("OR.PA", midnight("2023-02-03"), "daily"),
    ]


def test_a_daily_bar_stamped_in_another_zone_has_no_date(tmp_path: Path) -> None:
    """22:00 UTC is the next day in Paris: which is meant, nobody can tell."""
    found = read(
        tmp_path, "MC.PA.csv", "Date,Open,High,Low,Close,Volume\n2024-06-12 22:00:00+00:00,10,12,9,11,500\n"
    )
    assert found["ts"].to_list() == [None]


@pytest.mark.parametrize(
    ("cell", "number"), [("1.234,5", 1234.5), ("1234,5", 1234.5), ("10.5", None), ("1.234", 1234.0), ("", None)]
)
def test_a_decimal_comma_is_the_whole_files(tmp_path: Path, cell: str, number: float | None) -> None:
    rows = f"2024-06-12;1;1;1;1,5;1\n2024-06-13;{cell};1;1;1,5;1\n"
    assert read(tmp_path, "AAPL.csv", f"Date;Open;High;Low;Close;Volume\n{rows}")["o"][1] == number


def test_a_file_that_is_not_understood_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("buy low\nsell high\n")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"symbol" * 1000)[:-20])
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\0\0\0\n")
    found = read(tmp_path, *LAYOUTS["tidy"])
    told = {
        row["file"]: json.loads(row["raw"])["error"] for row in found.filter(pl.col("line").is_null()).to_dicts()
    }
    assert told["notes.txt"].startswith(
        "notes.txt: the columns ['ts', 'o', 'h', 'l', 'c', 'v'] are missing; found"
    )
    assert told["cut.csv.gz"].startswith("cut.csv.gz: cannot be unpacked: ")
    assert told["image.csv"] == "image.csv: neither Parquet nor text: wanted bars as Parquet or CSV"
    assert found.filter(pl.col("line").is_not_null()).height == 1


@pytest.mark.parametrize("name", ["my prices.csv", "f_AZN.L_T20_fails.csv", ".csv", "x" * 30])
def test_a_name_that_is_no_symbol_is_not_taken_for_one(name: str) -> None:
    with pytest.raises(SourceError, match="no column names the symbol"):
        symbol_from_name(name)


@pytest.mark.slow
def test_damaged_files_never_crash_and_never_give_a_date_that_is_not_written(tmp_path: Path) -> None:
    """Bytes changed, cut, doubled and dropped at random: each date that is read stands in its row."""
    chance = random.Random(20)
    for _ in range(MUTATIONS):
        name, content = content_of(chance.choice([layout for layout in LAYOUTS if "wide" not in layout]))
        lines = content.split("\n")
        data = bytearray("\n".join([*lines, *[lines[-1]] * 3, ""]).encode())
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[place] = chance.randrange(256)
                case 1:
                    del data[place : place + chance.randint(1, 9)]
                case 2:
                    data[place:place] = data[: chance.randint(1, 30)]
                case _:
                    data[place : place + 1] = chance.choice([b",", b"\n", b'"', b"\r", b"\0", b";", b"-", b"/"])
        for path in tmp_path.iterdir():
            path.unlink()
        try:
            found = read(tmp_path, name, bytes(data))
        except SourceError as error:
            assert "\n" not in str(error)
            continue
        for row in found.filter(pl.col("ts").is_not_null()).iter_rows(named=True):
            ts, raw = row["ts"], row["raw"].replace("Jun", "06")
            assert f"{ts.year:04}" in raw, (ts, raw)
            assert str(ts.month) in raw, (ts, raw)
            assert str(ts.day) in raw, (ts, raw)
