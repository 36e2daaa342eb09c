"""The same bars in many dialects: each is read as identical bits, or told; none differs silently."""

import csv
import datetime as dt
import io
import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from worlds.deliveries import EARLIEST, LATEST, deliver, problems
from worlds.workbooks import Cell, workbook

from boursomatic_assets.calendars.markets import MARKETS

COLUMNS = ["Symbol", "Date", "Open", "High", "Low", "Close", "Volume"]
KEYS = ["symbol", "exchange", "ts", *"ohlcv"]

Bar = tuple[str, dt.date, Decimal, Decimal, Decimal, Decimal, int]


def bars(first: dt.date) -> list[Bar]:
    """Six bars of a cheap share and of a dear one, with two to four decimals."""
    return [
        (symbol, first + dt.timedelta(days=n), *(Decimal(price) + n for price in prices), 1234567 + 999 * n)
        for symbol, prices in (
            ("NVR", ("7601.25", "7690.1234", "7555.5", "7612.75")),
            ("RMS.PA", ("998.5", "1001.125", "990.0625", "998.75")),
        )
        for n in range(6)
    ]


BARS = bars(dt.date(2024, 6, 11))
UNDECIDED = bars(dt.date(2024, 6, 3))
"""Bars on days that are months too."""


def truth(rows: list[Bar]) -> pl.DataFrame:
    exchanges = {"NVR": "US", "RMS.PA": "EURONEXT"}
    listed = [
        (row[0], exchanges[row[0]], dt.datetime.combine(row[1], dt.time()), *map(float, row[2:])) for row in rows
    ]
    return pl.DataFrame(listed, schema=KEYS, orient="row", schema_overrides={"ts": pl.Datetime("us")}).sort(KEYS)


@dataclass(frozen=True)
class Dialect:
    """How a text is written."""

    separator: str
    decimal: str
    thousands: str
    quoting: int
    date: str = "%Y-%m-%d"
    encoding: str = "utf-8"
    end: str = "\n"
    form: str = "english"


DATES = [
    *("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%y"),
    *("%d-%b-%Y", "%d %b %y", "%B %d, %Y", "%a, %d %b %Y", "%Y-%m-%dT00:00:00Z", "%Y-%m-%d 00:00:00-04:00"),
    *("%m/%d/%Y 4:00 PM", "%d/%m/%Y 16:00", "%Y%m%d160000"),
]
ENCODINGS = ["utf-8", "utf-8-sig", "cp1252", "utf-16"]

FRENCH = ["Ticker", "Date", "Ouverture", "Plus haut", "Plus bas", "Clôture", "Titres"]
ANGLED = ["<TICKER>", "<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"]

Table = list[list[str]]

FORMS: dict[str, Callable[[Table], Table]] = {
    "english": lambda rows: [COLUMNS, *rows],
    "french": lambda rows: [FRENCH, *rows],
    "angled": lambda rows: [ANGLED, *rows],
    "in capitals, newest first": lambda rows: [[name.upper() for name in COLUMNS], *rows[::-1]],
    "in another order": lambda rows: [row[::-1] for row in [COLUMNS, *rows]],
    "below a title": lambda rows: [["Prices of shares"], [], COLUMNS, *rows],
    "with a total": lambda rows: [COLUMNS, *rows, ["Total"], ["Source: a vendor"]],
    "with comments": lambda rows: [["# of today"], COLUMNS, *rows[:3], [], ["# and yesterday"], *rows[3:]],
    "numbered": lambda rows: [["", *COLUMNS], *([str(n), *row] for n, row in enumerate(rows))],
    "numbered without a header": lambda rows: [COLUMNS, *([str(n), *row] for n, row in enumerate(rows))],
    "with an empty cell at the end": lambda rows: [COLUMNS, *([*row, ""] for row in rows)],
    "with the last price too": lambda rows: [[*COLUMNS, "Last"], *([*row, row[2]] for row in rows)],
    "repeated": lambda rows: [COLUMNS, *rows[:5], COLUMNS, *rows[5:]],
}


def number(value: Decimal | int, dialect: Dialect) -> str:
    """A number with the signs of a dialect."""
    return f"{value:,}".translate({ord(","): dialect.thousands, ord("."): dialect.decimal})


def as_text(dialect: Dialect, rows: list[Bar]) -> bytes:
    table = [
        [row[0], row[1].strftime(dialect.date), *(number(value, dialect) for value in row[2:])] for row in rows
    ]
    written = io.StringIO()
    writer = csv.writer(
        written, delimiter=dialect.separator, lineterminator=dialect.end, quoting=dialect.quoting, escapechar="\\"
    )
    writer.writerows(FORMS[dialect.form](table))
    return written.getvalue().encode(dialect.encoding)


def dialects(each: int) -> Iterator[Dialect]:
    """Each way of separating cells and writing numbers, with some ways of writing all else, chosen by chance."""
    chance = random.Random(17)
    thousands = ["", ",", ".", " ", "'", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"]
    quoting = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL]
    for separator, decimal, grouped, quoted in itertools.product(",;\t|", ".,", thousands, quoting):
        for _ in range(each if grouped != decimal else 0):
            others = (chance.choice(DATES), chance.choice(ENCODINGS), chance.choice(["\n", "\r\n", "\r"]))
            dialect = Dialect(separator, decimal, grouped, quoted, *others, chance.choice(list(FORMS)))
            narrow = grouped == "\N{NARROW NO-BREAK SPACE}" and dialect.encoding == "cp1252"
            yield replace(dialect, encoding="utf-8") if narrow else dialect


def differences(
    folder: Path, files: dict[str, bytes | str | pl.DataFrame], rows: list[Bar]
) -> tuple[set[str], set[str]]:
    """The names of the files that are told, and of those that are read as other bars."""
    plain = as_text(Dialect(",", ".", "", csv.QUOTE_MINIMAL), rows)  # one file that is read in any case
    source = deliver(folder, files | {"plain.csv": plain})
    told = set(problems(source))
    rows_of_all = pl.concat(source.bars(market, EARLIEST, LATEST) for market in MARKETS.values())
    found = rows_of_all.drop_nulls("line").partition_by("file", as_dict=True)
    wanted = truth(rows)
    read = {name: found[name,] for name in files if (name,) in found}
    assert told.isdisjoint(read)
    assert told | set(read) == set(files)
    differing = {
        name
        for name, frame in read.items()
        if not frame.select(KEYS).sort(KEYS).equals(wanted) or not frame["fault"].is_null().all()
    }
    return told, differing


@pytest.mark.slow
@pytest.mark.parametrize("each", [1, pytest.param(2, marks=pytest.mark.drill)])
def test_a_text_is_read_as_the_same_bars_in_each_dialect(tmp_path: Path, each: int) -> None:
    """With two dates, encodings and forms for each way of writing numbers as a drill; its short twin has one."""
    by_name = {f"{n}.txt": dialect for n, dialect in enumerate(dialects(each))}
    assert len(by_name) > 75 * each
    files: dict[str, bytes | str | pl.DataFrame] = {name: as_text(one, BARS) for name, one in by_name.items()}
    told, differing = differences(tmp_path, files, BARS)
    assert [by_name[name] for name in sorted(differing)] == []
    assert [by_name[name] for name in sorted(told)] == []


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_table_is_read(tmp_path: Path, form: str) -> None:
    dialect = Dialect(";", ",", ".", csv.QUOTE_MINIMAL, form=form)
    assert differences(tmp_path, {"a.csv": as_text(dialect, BARS)}, BARS) == (set(), set())


@pytest.mark.slow
def test_what_a_dialect_does_not_decide_is_told(tmp_path: Path) -> None:
    """Days that are months too, and numbers whose only sign may be one between thousands."""
    by_name = {f"{n}.txt": dialect for n, dialect in enumerate(dialects(each=1))}
    files: dict[str, bytes | str | pl.DataFrame] = {name: as_text(one, UNDECIDED) for name, one in by_name.items()}
    told, differing = differences(tmp_path, files, UNDECIDED)
    assert differing == set()
    numbered = {name for name, one in by_name.items() if one.date.startswith(("%d/%m", "%m/%d", "%d.%m"))}
    assert told == numbered
    assert 15 < len(told) < 60


@pytest.mark.parametrize(("decimal", "thousands"), [(".", ""), (",", ""), (".", ","), (",", ".")])
def test_numbers_that_can_be_read_both_ways_are_told(tmp_path: Path, decimal: str, thousands: str) -> None:
    """Either the decimals or the thousands are left away, so that one sign is left."""
    three = [(*row[:2], *(Decimal("123.456"),) * 4, 999) for row in BARS]
    whole = [(*row[:2], *(Decimal(7601),) * 4, 17345) for row in BARS]
    rows = whole if thousands else three
    dialect = Dialect(";", decimal, thousands, csv.QUOTE_MINIMAL)
    told, _ = differences(tmp_path, {"a.csv": as_text(dialect, rows)}, rows)
    assert told == {"a.csv"}


def in_other_formats() -> dict[str, bytes | str | pl.DataFrame]:
    """The bars in formats that are no text."""
    listed = [[row[0], row[1], *map(float, row[2:])] for row in BARS]
    texts = [[row[0], str(row[1]), *map(str, row[2:])] for row in BARS]
    objects = [dict(zip(COLUMNS, [row[0], str(row[1]), *row[2:]], strict=True)) for row in listed]
    frame = pl.DataFrame(listed, schema=COLUMNS, orient="row")
    exact = pl.DataFrame(
        BARS, schema=COLUMNS, orient="row", schema_overrides=dict.fromkeys(COLUMNS[2:6], pl.Decimal(20, 4))
    )
    arrow = io.BytesIO()
    frame.write_ipc(arrow, compression="zstd")
    header: list[Cell] = [*COLUMNS]
    return {
        "typed.xlsx": workbook([header, *listed]),
        "text.xlsx": workbook([header, *texts]),
        "list.json": json.dumps(objects),
        "lines.jsonl": "".join(json.dumps(one) + "\n" for one in objects),
        "text.jsonl": "".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in texts),
        "typed.parquet": frame,
        "exact.parquet": exact,
        "text.parquet": pl.DataFrame(texts, schema=COLUMNS, orient="row"),
        "bars.arrow": arrow.getvalue(),
    }


def test_other_formats_are_read_as_the_same_bars(tmp_path: Path) -> None:
    assert differences(tmp_path, in_other_formats(), BARS) == (set(), set())
