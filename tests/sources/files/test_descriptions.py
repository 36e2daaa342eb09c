"""Names, sectors and buckets of instruments, from a file beside the bars that may be missing or broken."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from worlds.deliveries import HEADER, ROW, deliver, problems, report, sound

from boursomatic_assets.sources import INSTRUMENTS
from boursomatic_assets.sources.files.source import Files

BARS = HEADER + ROW
ACME = "symbol,exchange,date,open,high,low,close,volume\nACME,NYSE,2024-06-10,10,11,9,10.5,1000\n"


def described(folder: Path, name: str, content: str | bytes | pl.DataFrame) -> Files:
    return deliver(folder, {"bars.csv": ACME, name: content})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_instruments_file_describes_the_instruments_of_the_bars(tmp_path: Path, suffix: str) -> None:
    about = pl.DataFrame({"exchange": ["NYSE"] * 2, "symbol": ["ACME", "GHOST"], "name": ["Acme Inc.", "Ghost"]})
    content = about.write_csv() if suffix == "csv" else about
    source = described(tmp_path, f"instruments.{suffix}", content)
    assert source.instruments().schema == pl.Schema(INSTRUMENTS)
    assert source.instruments().select("symbol", "name", "sector").rows() == [("ACME", "Acme Inc.", None)]
    header = {"header": 1} if suffix == "csv" else {}
    told = {"recognised": "descriptions of instruments", "lines": 2 + len(header), "delivered": 2}
    assert report(source, f"instruments.{suffix}") == told | header


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_french_spreadsheet_is_read_as_it_was_saved(tmp_path: Path, encoding: str) -> None:
    content = "symbol;exchange;name\nEPA:MC;;Société d'exemple\n".encode(encoding)
    source = deliver(tmp_path, {"MC.PA.csv": BARS, "instruments.csv": content})
    assert source.instruments()["name"].to_list() == ["Société d'exemple"]


@pytest.mark.parametrize(
    ("about", "found"),
    [
        ({"market_cap": 3e9, "pe": 30.0}, ("mid", "high")),
        ({"market_cap": "3B", "pe": "-2"}, ("mid", None)),
        ({"market_cap_bucket": "Large Cap", "market_cap": 1e6}, ("large", None)),
        ({"market_cap_bucket": None, "market_cap": 1e6}, ("small", None)),
        ({"PE_bucket": "low"}, (None, "low")),
    ],
)
def test_buckets_are_stated_or_come_from_numbers(
    tmp_path: Path, about: dict[str, Any], found: tuple[str | None, str | None]
) -> None:
    listed = pl.DataFrame([{"symbol": "ACME", "exchange": "NYSE"} | about])
    named = described(tmp_path, "instruments.parquet", listed).instruments()
    assert named.select("market_cap_bucket", "pe_bucket").row(0) == found


LISTED = {"symbol": ["ACME"], "exchange": ["NYSE"]}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (
            "csv",
            "symbol,exchange,pe_bucket\nACME,NYSE,cheap\n",
            "pe_bucket is 'cheap' for ACME: wanted low, medium",
        ),
        ("csv", "symbol,name\nACME,Acme\n", "no column is called exchange; found symbol, name"),
        ("csv", "symbol,exchange,Name,name\n", "two columns have the same name"),
        ("csv", "", "no column is called exchange, symbol"),
        ("csv", "symbol,exchange\0\n", "neither text, Parquet, Arrow nor a workbook"),
        ("parquet", b"PAR1 this is none PAR1", "cannot be read as parquet: "),
        ("parquet", pl.DataFrame(LISTED | {"market_cap": [[1]]}), "cannot be read: it is damaged"),
        ("parquet", pl.DataFrame(LISTED | {"name": [b"\xff"]}), "cannot be read: it is damaged"),
    ],
)
def test_one_that_cannot_be_read_is_told_and_left_out(
    tmp_path: Path, name: str, content: str | bytes | pl.DataFrame, why: str
) -> None:
    source = described(tmp_path, f"instruments.{name}", content)
    (told,) = problems(source).values()
    assert told.startswith(f"instruments.{name}: {why}")
    assert "\n" not in told
    assert source.instruments().select("symbol", "name").rows() == [("ACME", None)]
    assert sound(source).height == 1


def test_what_is_too_long_is_cut_and_told(tmp_path: Path) -> None:
    content = f"symbol,exchange,name,sector\nACME,NYSE,{'é' * 300},{'s' * 200}\n"
    source = described(tmp_path, "instruments.csv", content)
    assert source.instruments().select("name", "sector").row(0) == ("é" * 255, "s" * 100)
    notes = "1 cells of name cut to 255 characters, 1 cells of sector cut to 100 characters"
    assert report(source, "instruments.csv")["recognised"] == f"descriptions of instruments, {notes}"


def test_blank_lines_are_none_and_a_cell_may_have_two(tmp_path: Path) -> None:
    content = 'symbol,exchange,name\n\nACME,NYSE,"Acme\nInc."\n,,\n'
    source = described(tmp_path, "instruments.csv", content)
    assert source.instruments()["name"].to_list() == ["Acme\nInc."]
    counts = {"lines": 4, "header": 1, "blank": 2, "delivered": 1}
    assert report(source, "instruments.csv") == {"recognised": "descriptions of instruments"} | counts


def test_the_first_of_two_descriptions_counts(tmp_path: Path) -> None:
    content = "symbol,exchange,name\nACME,NYSE,first\nacme,XNYS,second\n"
    assert described(tmp_path, "instruments.csv", content).instruments()["name"].to_list() == ["first"]
