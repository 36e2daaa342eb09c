"""Vendors' files: what their headers mean, recognised from the content alone."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from worlds.deliveries import HEADER, ROW, deliver, everything, faults, problems, report, sound
from worlds.frames import midnight
from worlds.layouts import LAYOUTS, YAHOO

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.layouts.layout import symbol_from_name, unique_names

DAY = midnight("2024-06-13")
WIDE_FIELDS = "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume"
WIDE_SYMBOLS = "Ticker,MC.PA,AAPL,MC.PA,AAPL,MC.PA,AAPL,MC.PA,AAPL,MC.PA,AAPL"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\N{BOM}"])
def test_every_layout_gives_the_same_bar(tmp_path: Path, layout: str, ends: str, mark: str) -> None:
    name, content = LAYOUTS[layout]
    found = everything(deliver(tmp_path, {name: mark + content.replace("\n", ends) + ends}))
    assert found.drop("file", "line", "file_id", "raw", "fault").rows() == [
        ("AAPL", "US", DAY, 10, 12, 9, 11, 500, "daily")
    ]
    assert found["line"].item() == content.count("\n") + 1


@pytest.mark.parametrize(
    ("layout", "recognised"),
    [
        ("stooq", "Stooq text"),
        ("yahoo, by symbol", "Yahoo text"),
        ("nasdaq", "Nasdaq text"),
        ("metatrader", "MetaTrader text"),
        ("euronext", "Euronext text"),
        ("tidy", "text"),
    ],
)
def test_a_vendor_is_recognised_by_its_headers(tmp_path: Path, layout: str, recognised: str) -> None:
    name, content = LAYOUTS[layout]
    assert report(deliver(tmp_path, {name: content}), name)["recognised"] == recognised


def test_a_wide_file_has_a_series_for_each_symbol(tmp_path: Path) -> None:
    files = {}
    for name, head in (("a.csv", (WIDE_FIELDS, WIDE_SYMBOLS)), ("b.csv", (WIDE_SYMBOLS, WIDE_FIELDS))):
        files[name] = "\n".join([*head, "Date,,,,,,,,,,", "2024-06-13,11,21,12,22,9,19,10,20,500,600", ""])
    found = everything(deliver(tmp_path, files))
    assert set(found.drop("file", "line", "file_id", "raw", "fault").rows()) == {
        ("AAPL", "US", DAY, 20, 22, 19, 21, 600, "daily"),
        ("MC.PA", "EURONEXT", DAY, 10, 12, 9, 11, 500, "daily"),
    }
    assert found.height == 4
    assert all("MC.PA" not in raw for raw in found.filter(pl.col("symbol") == "AAPL")["raw"])


FRENCH = "Date;Ouverture;Plus haut;Plus bas;Clôture;Volume\n13/06/2024;10,0;12,0;9,0;11,0;500\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_a_french_spreadsheet_is_read_as_it_was_saved(
    tmp_path: Path, encoding: str, packed: Callable[[bytes], bytes]
) -> None:
    mark = "\N{BOM}" if encoding == "utf-16-be" else ""
    found = everything(deliver(tmp_path, {"MC.PA.csv": packed((mark + FRENCH).encode(encoding))}))
    assert found.drop("file", "line", "file_id", "raw", "fault").rows() == [
        ("MC.PA", "EURONEXT", DAY, 10, 12, 9, 11, 500, "daily")
    ]
    assert json.loads(found["raw"].item())["Clôture"] == "11,0"


@pytest.mark.parametrize("cut", [1, 3])
def test_two_bytes_a_letter_that_are_cut_are_no_text(tmp_path: Path, cut: int) -> None:
    source = deliver(tmp_path, {"MC.PA.csv": FRENCH.encode("utf-16")[:-cut], "KO.csv": HEADER + ROW})
    assert problems(source) == {
        "MC.PA.csv": "MC.PA.csv: cannot be unpacked: its last letter is cut, as by a download"
    }


@pytest.mark.parametrize(
    ("headers", "close"),
    [
        ("Last,Close", 12),
        ("Close,Last", 11),
        ("Close/Last,x", 11),
        ("Price,Last", 12),
        ("Adj Close,Close", 12),
    ],
)
def test_the_better_of_two_names_is_the_column(tmp_path: Path, headers: str, close: float) -> None:
    source = deliver(tmp_path, {"KO.csv": f"Date,Open,High,Low,{headers},Volume\n2024-06-13,10,12,9,11,12,500\n"})
    assert sound(source)["c"].to_list() == [close]


def test_two_columns_of_one_name_are_asked_about(tmp_path: Path) -> None:
    content = "Date,Open,High,Low,Close,close,Volume\n2024-06-13,10,12,9,11,12,500\n"
    source = deliver(tmp_path, {"KO.csv": content})
    told = "the columns 'Close' and 'close' both claim to be c: name one of them under `columns:` in columns.yaml"
    assert problems(source) == {"KO.csv": f"KO.csv: {told}"}
    assert sound(deliver(tmp_path, {}, declared="'*': {columns: {c: close}}"))["c"].to_list() == [12]


def test_headers_are_told_apart_by_their_place() -> None:
    assert unique_names(["a", "b", "a", "a.2", "line"]) == ("a", "b", "a.2", "a.2.3", "line.4")


def test_columns_that_have_no_header_stand_behind_the_others_or_before_them(tmp_path: Path) -> None:
    behind = HEADER + ROW.replace("\n", ",x\n")
    before = HEADER + "0," + ROW
    named = "," + HEADER + "0," + ROW
    source = deliver(tmp_path, {"KO.csv": behind, "IBM.csv": before, "PEP.csv": named})
    assert sound(source).drop("symbol").rows() == [("US", DAY, 10, 12, 9, 11, 500)] * 3


def test_columns_whose_place_nothing_says_are_asked_about(tmp_path: Path) -> None:
    content = HEADER + ROW.replace("2024-06-13", "x,y").replace("\n", ",z\n")
    assert "its lines have 2 cells more than headers" in problems(deliver(tmp_path, {"KO.csv": content}))["KO.csv"]


@pytest.mark.parametrize("above", ["about it\n", "sep=;\n", '"Prices"\n"From 2024"\nKO\n\n', "[Data]\n"])
def test_lines_above_the_header_are_a_part_of_it(tmp_path: Path, above: str) -> None:
    source = deliver(tmp_path, {"KO.csv": above + (HEADER + ROW).replace(",", ";")})
    assert sound(source)["c"].to_list() == [11]
    assert report(source, "KO.csv")["header"] == above.count("\n") + 1


def test_what_is_missing_is_named_with_what_is_wanted(tmp_path: Path) -> None:
    (told,) = problems(deliver(tmp_path, {"KO.csv": "Jour,Open,High,Low,Close,Volume\n"})).values()
    assert told.startswith("KO.csv: no column is known as date (`ts`); found Jour, Open")
    assert told.endswith("name them under `columns:` in columns.yaml")


@pytest.mark.parametrize("header", ["isin", "Name"])
def test_a_file_s_name_is_not_the_symbol_of_several_instruments(tmp_path: Path, header: str) -> None:
    rows = [ROW.replace("\n", f",{whose}\n").replace("13", day) for whose, day in (("FR1", "13"), ("FR2", "14"))]
    headers = HEADER.replace("\n", f",{header}\n")
    (told,) = problems(deliver(tmp_path, {"X.csv": headers + "".join(rows)})).values()
    assert told.startswith(f"X.csv: the column {header!r} names 2 instruments, such as 'FR1' and 'FR2', and no")
    assert not problems(deliver(tmp_path, {"X.csv": headers + rows[0]}))


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("AAPL.US,15,20260305,153000", "2026-03-05 14:30"),  # Warsaw in winter, New York too
        ("AAPL.US,15,20260310,143000", "2026-03-10 13:30"),  # New York has changed its clock, Warsaw has not
        ("AAPL.US,15,20260330,153000", "2026-03-30 13:30"),  # both have
    ],
)
def test_stooqs_intraday_clock_is_warsaws(tmp_path: Path, written: str, utc: str) -> None:
    found = everything(deliver(tmp_path, {"x.txt": f"{written},10,12,9,11,500,0\n"}))
    assert (found["ts"].item(), found["interval"].item()) == (midnight(utc), "15m")


def test_other_headers_between_angle_brackets_are_not_stooqs(tmp_path: Path) -> None:
    content = "<Date>,<Time>,<Open>,<High>,<Low>,<Close>,<Volume>\n" + "".join(
        f"20240613,09{minute}00,10,12,9,11,500\n" for minute in (30, 45)
    )
    assert "state `zone:` for it in columns.yaml" in problems(deliver(tmp_path, {"KO.csv": content}))["KO.csv"]


def test_an_offset_gives_intraday_bars_their_instant_and_daily_ones_their_date(tmp_path: Path) -> None:
    header = "Datetime,Open,High,Low,Close,Volume"
    quarters = [f"{header}\n", *(f"2019-12-16 17:{m}:00+01:00,10,12,9,11,500\n" for m in ("00", "15"))]
    daily = f"{header}\n2023-02-03 01:00:00+01:00,10,12,9,11,500\n"
    found = everything(deliver(tmp_path, {"MC.PA.csv": "".join(quarters), "OR.PA.csv": daily}))
    assert found.select("symbol", "ts", "interval").sort("symbol", "ts").rows() == [
        ("MC.PA", midnight("2019-12-16 16:00"), "15m"),
        ("MC.PA", midnight("2019-12-16 16:15"), "15m"),
        ("OR.PA", midnight("2023-02-03"), "daily"),
    ]


def test_bars_that_all_lie_weeks_apart_are_no_daily_ones(tmp_path: Path) -> None:
    weeks = "".join(f"2024-05-{day:02},10,12,9,11,500\n" for day in (6, 13, 20, 28))
    assert set(faults(deliver(tmp_path, {"KO.csv": HEADER + weeks})).values()) == {
        "bars lie weeks apart: they are no daily ones"
    }
    (tmp_path / "KO.csv").write_text(HEADER + weeks + "2024-05-29,10,12,9,11,500\n")
    assert faults(deliver(tmp_path, {})) == {}


@pytest.mark.parametrize(
    ("name", "symbol"), [("KO.csv", "KO"), ("below/mc.pa.csv.gz", "mc.pa"), ("prices__aapl.us.txt", "aapl.us")]
)
def test_a_file_is_named_after_its_symbol(name: str, symbol: str) -> None:
    assert symbol_from_name(name) == symbol


@pytest.mark.parametrize("name", ["my prices.csv", "f_AZN.L_T20_fails.csv", ".csv", "x" * 30])
def test_a_name_that_is_no_symbol_is_not_taken_for_one(name: str) -> None:
    with pytest.raises(SourceError, match="no column names the symbol"):
        symbol_from_name(name)


def test_yahoos_adjusted_close_is_not_the_close(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"AAPL.csv": f"{YAHOO}\n2024-06-13,10,12,9,11,10.7,500\n"})
    assert sound(source)["c"].to_list() == [11]
