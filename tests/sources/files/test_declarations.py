"""What `columns.yaml` says of files: what no cell shows, and errors that name the key and what it may be."""

import re
from pathlib import Path

import pytest
from worlds.deliveries import HEADER, NEXT_ROW, ROW, deliver, everything, problems, report, sound

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.declarations import NO_DECLARATION, Declaration, Declarations

BARS = HEADER + ROW
KEYS = "columns, dates, decimal, zone, symbol, exchange, interval, skip, header, resample"


def declarations(folder: Path, text: str) -> Declarations:
    (folder / "columns.yaml").write_text(text)
    return Declarations(folder)


def test_the_first_pattern_that_matches_counts(tmp_path: Path) -> None:
    said = declarations(tmp_path, '"paris/*": {exchange: XPAR}\n"*.csv": {zone: UTC}\n"*": {dates: dmy}')
    assert said.of("paris/MC.csv") == Declaration(exchange="XPAR")
    assert said.of("below/KO.csv") == Declaration(zone="UTC")
    assert said.of("KO.txt") == Declaration(dates="dmy")


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", '"IBM.csv": {zone: UTC}', '"KO.csv": {}'])
def test_nothing_need_be_said(tmp_path: Path, text: str) -> None:
    assert declarations(tmp_path, text).of("KO.csv") == NO_DECLARATION


def test_there_need_be_no_such_file(tmp_path: Path) -> None:
    assert Declarations(tmp_path).of("KO.csv") == NO_DECLARATION


@pytest.mark.parametrize("symbol", ["ON", "NO", "TRUE", "1e3", "2024-06-13", "0x10"])
def test_a_symbol_is_text_whatever_else_yaml_takes_it_for(tmp_path: Path, symbol: str) -> None:
    assert declarations(tmp_path, f'"*": {{symbol: {symbol}}}').of("KO.csv").symbol == symbol


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{dates: ymdd}", "dates of 'KO.csv' is 'ymdd': wanted dmy, mdy or ymd"),
        ("{decimal: x}", "decimal of 'KO.csv' is 'x': wanted \".\" or \",\""),
        ("{zone: Mars}", "zone of 'KO.csv' is 'Mars': wanted the name of a time zone, such as America/New_York"),
        ("{zone: ../../etc/passwd}", "zone of 'KO.csv' is '../../etc/passwd': wanted the name of a time zone"),
        ("{symbol: [KO]}", "symbol of 'KO.csv' is ['KO']: wanted a symbol of up to 50 letters, such as MC.PA"),
        ("{symbol: ''}", "symbol of 'KO.csv' is '': wanted a symbol"),
        ("{exchange: LSE}", "exchange of 'KO.csv' is 'LSE': wanted one of NYSE, NASDAQ, NYSEMKT, US, EURONEXT"),
        ("{interval: weekly}", "interval of 'KO.csv' is 'weekly': wanted daily or 15m"),
        ("{skip: some}", "skip of 'KO.csv' is 'some': wanted a number of lines"),
        ("{skip: -1}", "skip of 'KO.csv' is '-1': wanted a number of lines"),
        ("{header: no}", "header of 'KO.csv' is 'no': wanted none, if the file has no header"),
        ("{resample: 5m}", "resample of 'KO.csv' is '5m': wanted 15m"),
        ("{columns: {close: Last}}", "columns of 'KO.csv' is {'close': 'Last'}: wanted some of ts, clock, symbol"),
        ("{columns: {o: Last, c: Last}}", "columns of 'KO.csv' is {'o': 'Last', 'c': 'Last'}: wanted some of ts"),
        ("{date: dmy}", f"'KO.csv' has the key 'date': known are {KEYS}"),
        ("dmy", f"'KO.csv' is 'dmy': wanted keys below it: {KEYS}"),
        ("", f"'KO.csv' is '': wanted keys below it: {KEYS}"),
        ("{dates: dmy}\nKO.csv: {zone: UTC}", "'KO.csv' is there twice: write all of its keys below one of them"),
    ],
)
def test_what_is_not_understood_stops_the_files_that_it_is_for(tmp_path: Path, said: str, why: str) -> None:
    source = deliver(tmp_path, {"KO.csv": BARS, "IBM.csv": BARS}, declared=f"KO.csv: {said}")
    (told,) = problems(source).values()
    assert told.startswith(f"KO.csv: columns.yaml: {why}")
    assert "\n" not in told
    assert sound(source)["symbol"].to_list() == ["IBM"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "columns.yaml cannot be read in line 1"),
        ("a: b: c", "columns.yaml cannot be read in line 1"),
        ("a: {}\n\tb: {}", "columns.yaml cannot be read in line 2"),
        ("[a, b]: {zone: UTC}", "columns.yaml cannot be read in line 1"),
        ("\0", "columns.yaml cannot be read: it is no YAML. Wanted are patterns"),
        (
            "- a list",
            f"columns.yaml is not understood. Wanted are patterns of file names, each with keys below it: {KEYS}",
        ),
    ],
)
def test_a_file_that_cannot_be_read_may_be_about_any_file(tmp_path: Path, text: str, why: str) -> None:
    source = deliver(tmp_path, {"KO.csv": BARS, "IBM.csv": BARS, "columns.yaml": text})
    assert all(told.startswith(f"{name}: {why}") for name, told in problems(source).items())
    assert list(problems(source)) == ["IBM.csv", "KO.csv"]
    with pytest.raises(SourceError, match=f"^{re.escape(why)}") as raised:
        source.instruments()
    assert raised.value.refused.keys() == {"IBM.csv", "KO.csv"}


def test_headers_that_are_not_known_are_stated(tmp_path: Path) -> None:
    content = "Jour;Ouv;Max;Min;Fin;Titres\n13/06/2024;10;12;9;11;500\n"
    said = "'*': {columns: {ts: Jour, o: Ouv, h: Max, l: Min, c: Fin, v: Titres}, symbol: MC, exchange: EURONEXT}"
    source = deliver(tmp_path, {"lvmh 2024.csv": content}, declared=said)
    assert sound(source).drop("ts").rows() == [("MC", "EURONEXT", 10, 12, 9, 11, 500)]


def test_a_stated_header_is_taken_against_a_better_name(tmp_path: Path) -> None:
    content = "Date,Open,High,Low,Last,Close,Volume\n2024-06-13,10,12,9,11,11.5,500\n"
    source = deliver(tmp_path, {"KO.csv": content}, declared="'*': {columns: {c: Last}}")
    assert sound(source)["c"].to_list() == [11]


def test_a_stated_header_that_is_not_there_is_told(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": BARS}, declared="'*': {columns: {c: last}}")
    assert problems(source)["KO.csv"].startswith(
        "KO.csv: columns.yaml names the column 'last', which it lacks; found"
    )


def test_a_city_of_euronext_is_more_than_its_exchange(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": BARS}, declared="'*': {symbol: MC, exchange: XPAR}")
    assert sound(source).select("symbol", "exchange").rows() == [("MC.PA", "EURONEXT")]


def test_a_file_without_a_header_has_numbers_for_names(tmp_path: Path) -> None:
    said = "'*': {skip: 2, header: none, columns: {ts: 1, o: 2, h: 3, l: 4, c: 5, v: 6}}"
    source = deliver(tmp_path, {"KO.csv": "a vendor\nJune\n" + ROW + NEXT_ROW}, declared=said)
    assert everything(source)["line"].to_list() == [3, 4]
    assert report(source, "KO.csv") == {"recognised": "text", "lines": 4, "header": 2, "delivered": 2}


def test_lines_above_a_header_are_skipped(tmp_path: Path) -> None:
    """Without the statement the first line would be the header, or the header would not be found."""
    content = "Date,Open,High,Low,Close,Volume\n" + "about it\n" * 100 + BARS
    source = deliver(tmp_path, {"KO.csv": content}, declared="'*': {skip: 101}")
    assert everything(source)["line"].to_list() == [103]


FIVE_MINUTES = "".join(f"2024-06-13 09:{minute},10,12,9,{11 + minute / 100},500\n" for minute in range(30, 60, 5))
ADDED_UP = "'*': {zone: America/New_York, resample: 15m}"


def test_bars_of_five_minutes_are_told_until_they_may_be_added_up(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": HEADER + FIVE_MINUTES}, declared="'*': {zone: America/New_York}")
    assert problems(source)["KO.csv"] == (
        "KO.csv: its bars are of 5m, and only daily and 15m bars are kept: state `resample: 15m` for it in"
        " columns.yaml to add them up"
    )
    (tmp_path / "columns.yaml").write_text(ADDED_UP)
    found = everything(source).select("ts", *"ohlcv", "interval", "line").rows()
    assert [row[1:] for row in found] == [(10, 12, 9, 11.4, 1500, "15m", 2), (10, 12, 9, 11.55, 1500, "15m", 5)]
    assert [row[0].strftime("%H:%M") for row in found] == ["13:30", "13:45"]


def test_a_bar_that_is_there_twice_is_added_up_once(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": HEADER + FIVE_MINUTES * 2}, declared=ADDED_UP)
    assert sound(source)["v"].to_list() == [1500, 1500]
    (tmp_path / "KO.csv").write_text(HEADER + FIVE_MINUTES + "2024-06-13 09:45,10,12,9,11,501\n")
    assert sound(source)["v"].to_list() == [1500, None]


def test_hours_cannot_be_added_up(tmp_path: Path) -> None:
    hours = "2024-06-13 09:30,10,12,9,11,500\n2024-06-13 10:30,10,12,9,11,500\n"
    source = deliver(tmp_path, {"KO.csv": HEADER + hours}, declared=ADDED_UP)
    assert problems(source)["KO.csv"] == "KO.csv: its bars are of 60m, and only daily and 15m bars are kept"
