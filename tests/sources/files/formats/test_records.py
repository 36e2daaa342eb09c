"""Workbooks, JSON, Parquet and Arrow: read as well as the same cells in a text."""

import datetime as dt
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from worlds.deliveries import HEADER, NEXT_ROW, ROW, deliver, everything, faults, problems, report, sound
from worlds.workbooks import Cell, workbook

NAMES = HEADER.strip().split(",")
DATES = [dt.date(2024, 6, 13), dt.date(2024, 6, 14)]
BARS: list[list[Cell]] = [list(NAMES), [DATES[0], 10, 12, 9, 11, 500], [DATES[1], 11, 13, 10, 12, 600]]
FRAME = pl.DataFrame(
    {"Date": DATES, "Open": [10, 11], "High": [12, 13], "Low": [9, 10], "Close": [11, 12], "Volume": [500, 600]}
)
OBJECTS = [dict(zip(NAMES, (str(row[0]), *row[1:]), strict=True)) for row in BARS[1:]]


@pytest.fixture
def wanted(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The same bars as a text."""
    return sound(deliver(tmp_path_factory.mktemp("text"), {"KO.csv": HEADER + ROW + NEXT_ROW}))


def as_arrow(frame: pl.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.write_ipc(content)
    return content.getvalue()


def as_lines(*objects: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


def timed(*times: Cell) -> list[list[Cell]]:
    """The rows of BARS with other times."""
    return [list(NAMES), *([time, *row[1:]] for time, row in zip(times, BARS[1:], strict=True))]


# Workbooks


@pytest.mark.parametrize(
    "rows",
    [
        BARS,
        [list(NAMES), *([str(cell) for cell in row] for row in BARS[1:])],
        timed(*(dt.datetime.combine(day, dt.time(16)) for day in DATES)),
        timed(20240613.0, 20240614.0),
        [["Prices of a share"], [], *([None, *row] for row in BARS)],
    ],
    ids=["typed", "text", "stamped at the close", "compact", "below a title"],
)
def test_a_workbook_is_read_as_it_is_shown(tmp_path: Path, rows: list[list[Cell]], wanted: pl.DataFrame) -> None:
    assert sound(deliver(tmp_path, {"KO.xlsx": workbook(rows, [])})).equals(wanted)


def test_rows_of_a_workbook_are_accounted_for(tmp_path: Path) -> None:
    rows = [["A title"], *BARS, [], ["2024-06-17", "ten", 1, 1, 1, 1], ["Total", None, None, None, None, 1100]]
    source = deliver(tmp_path, {"KO.xlsx": workbook(rows)})
    assert report(source, "KO.xlsx") == {
        "recognised": "workbook",
        "lines": 7,
        "header": 2,
        "blank": 1,
        "footer": 1,
        "delivered": 3,
    }
    assert faults(source) == {6: "price is of an unknown form"}
    assert json.loads(everything(source)["raw"][2])["Open"] == "ten"


def test_a_number_of_a_workbook_keeps_all_its_digits(tmp_path: Path) -> None:
    rows = [list(NAMES), [DATES[0], 10.123456789012345, 12.000000000000002, 9, 11, 4190000]]
    found = sound(deliver(tmp_path, {"KO.xlsx": workbook(rows)}))
    assert found.select("o", "h", "v").row(0) == (10.123456789012345, 12.000000000000002, 4190000)


@pytest.mark.parametrize(
    ("sheets", "why"),
    [
        ([BARS, BARS], "has 2 sheets with cells: save the sheet with bars as a CSV file of its own"),
        ([[]], "has no cell: save the sheet with bars as a CSV file of its own"),
    ],
)
def test_a_workbook_of_several_sheets_is_told(tmp_path: Path, sheets: list[list[list[Cell]]], why: str) -> None:
    assert problems(deliver(tmp_path, {"KO.xlsx": workbook(*sheets)})) == {
        "KO.xlsx": f"KO.xlsx: a workbook that {why}"
    }


@pytest.mark.parametrize("content", [b"PK\x03\x04 this is none", b"\xd0\xcf\x11\xe0 nor this"])
def test_a_workbook_that_cannot_be_read_is_told(tmp_path: Path, content: bytes) -> None:
    (told,) = problems(deliver(tmp_path, {"KO.xlsx": content})).values()
    assert told.startswith("KO.xlsx: ")
    assert "\n" not in told


# JSON


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(OBJECTS),
        json.dumps(OBJECTS, indent=2),
        as_lines(*OBJECTS),
        "\N{BOM}" + as_lines(*OBJECTS).replace("\n", "\r\n"),
        json.dumps({"status": "ok", "results": OBJECTS}),
        as_lines(*({key.lower(): str(value) for key, value in one.items()} for one in OBJECTS)),
    ],
    ids=["list", "indented", "lines", "lines of Windows", "answer", "all text"],
)
def test_json_is_read_as_a_list_or_by_lines(tmp_path: Path, content: str, wanted: pl.DataFrame) -> None:
    assert sound(deliver(tmp_path, {"KO.json": content})).equals(wanted)


@pytest.mark.parametrize("key", ["symbol", "ticker"])
def test_an_answer_says_whose_bars_it_holds(tmp_path: Path, key: str) -> None:
    bar = {"t": 1718236800000, "o": 10, "h": 12, "l": 9, "c": 11, "v": 500, "vw": 10.8}
    found = sound(deliver(tmp_path, {"A.json": json.dumps({key: "BRK.B", "results": [bar]})}))
    assert found["symbol"].to_list() == ["BRK.B"]


def test_a_line_that_is_no_object_is_refused_by_its_number(tmp_path: Path) -> None:
    first, second = as_lines(*OBJECTS).splitlines()
    twice = '{"Date": "2024-06-17", "Open": 1, "Open": 2}'
    source = deliver(tmp_path, {"KO.jsonl": f"{first}\n\n{second[:30]}\n[1]\n{twice}\n{second}\n"})
    assert faults(source) == dict.fromkeys((3, 4, 5), "line is no record of its format")
    assert report(source, "KO.jsonl") == {"recognised": "JSON lines", "lines": 6, "blank": 1, "delivered": 5}


@pytest.mark.parametrize("content", ['{"a": ["b"]}', "[[1, 2]]", '["a"]'])
def test_json_of_another_shape_is_told(tmp_path: Path, content: str) -> None:
    (told,) = problems(deliver(tmp_path, {"KO.json": content})).values()
    assert told.startswith("KO.json: ")


@pytest.mark.parametrize("content", [json.dumps(OBJECTS)[:-9], "[" * 99999, '{"a":' * 99999, '{"a": 1}{"a": 1}'])
def test_json_that_is_cut_is_told(tmp_path: Path, content: str) -> None:
    assert problems(deliver(tmp_path, {"KO.json": content})) == {
        "KO.json": "KO.json: JSON that is cut or broken: write a list of bars, or one object a line"
    }


def test_a_text_may_begin_like_json(tmp_path: Path, wanted: pl.DataFrame) -> None:
    assert sound(deliver(tmp_path, {"KO.csv": "[Prices]\n" + HEADER + ROW + NEXT_ROW})).equals(wanted)


# Parquet and Arrow


DATE = pl.col("Date")
SECONDS = DATE.cast(pl.Datetime("us")).dt.epoch("s")


@pytest.mark.parametrize(
    "change",
    {
        "date": DATE,
        "naive midnight": DATE.cast(pl.Datetime("ms")),
        "midnight of New York": DATE.cast(pl.Datetime("us")).dt.replace_time_zone("America/New_York"),
        "midnight of Paris": DATE.cast(pl.Datetime("ns")).dt.replace_time_zone("Europe/Paris"),
        "midnight of UTC in New York": DATE.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(
            "America/New_York"
        ),
        "text": DATE.cast(pl.String),
        "dictionary": DATE.cast(pl.String).cast(pl.Categorical),
        "bytes": DATE.cast(pl.String).cast(pl.Binary),
        "compact": DATE.dt.to_string("%Y%m%d").cast(pl.Int32),
        "seconds": SECONDS,
        "seconds with a fraction": SECONDS.cast(pl.Float64),
        "milliseconds": SECONDS * 1000,
        "microseconds": SECONDS * 10**6,
        "nanoseconds": SECONDS * 10**9,
        "decimals": pl.col("Open", "High", "Low", "Close").cast(pl.Decimal(10, 4)),
        "text prices": pl.col("Open", "High", "Low", "Close", "Volume").cast(pl.String),
        "single precision": pl.col("Open", "High", "Low", "Close").cast(pl.Float32),
    }.items(),
    ids=lambda change: change[0],
)
@pytest.mark.parametrize("packed", ["parquet", "arrow"])
def test_typed_files_are_read_as_well_as_text(
    tmp_path: Path, change: tuple[str, pl.Expr], packed: str, wanted: pl.DataFrame
) -> None:
    frame = FRAME.with_columns(change[1])
    source = deliver(tmp_path, {f"KO.{packed}": as_arrow(frame) if packed == "arrow" else frame})
    assert sound(source).equals(wanted)
    assert report(source, f"KO.{packed}") == {"recognised": packed.title(), "lines": 2, "delivered": 2}


def test_decimals_are_the_doubles_nearest_to_them(tmp_path: Path) -> None:
    frame = FRAME.with_columns(
        Close=pl.Series([Decimal("11.1"), Decimal("12.000000000000002")], dtype=pl.Decimal(20, 15))
    )
    assert sound(deliver(tmp_path, {"KO.parquet": frame}))["c"].to_list() == [11.1, 12.000000000000002]


def test_a_typed_date_beside_a_typed_clock_is_one_time(tmp_path: Path) -> None:
    clock = pl.Series("Time", [dt.time(9, 30), dt.time(9, 45)])
    frame = FRAME.with_columns(clock, Date=pl.lit(DATES[0]))
    assert "have no offset from UTC" in problems(deliver(tmp_path, {"KO.parquet": frame}))["KO.parquet"]
    found = sound(deliver(tmp_path, {}, declared="'*': {zone: America/New_York}"))
    assert found["ts"].dt.to_string("%H:%M").to_list() == ["13:30", "13:45"]


def test_rows_of_a_typed_file_have_numbers_and_raw_cells(tmp_path: Path) -> None:
    frame = FRAME.with_columns(
        Symbol=pl.Series(["KO", None]), Blob=pl.lit(b"\xff"), line=pl.lit("x"), fault=pl.lit(7)
    )
    rows = everything(deliver(tmp_path, {"bars.parquet": frame})).sort("line")
    assert rows.select("line", "symbol", "fault").rows() == [(1, "KO", None), (2, None, None)]
    assert json.loads(rows["raw"][1])["Open"] == 11


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"Open": pl.lit(True)}, "the column 'Open' holds Boolean and cannot be o"),
        ({"Open": pl.Series([[1.0], [2.0]])}, "the column 'Open' holds List(Float64) and cannot be o"),
        ({"Open": pl.lit(DATES[0])}, "the column 'Open' holds Date and cannot be o"),
    ],
)
def test_a_column_of_a_type_that_cannot_be_is_told(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    source = deliver(tmp_path, {"KO.parquet": FRAME.with_columns(**change), "IBM.csv": HEADER + ROW})
    assert problems(source) == {
        "KO.parquet": f"KO.parquet: {why}: name another one under `columns:` in columns.yaml"
    }
    assert sound(source)["symbol"].to_list() == ["IBM"]


def test_a_date_of_no_year_of_four_digits_is_none(tmp_path: Path) -> None:
    dates = pl.Series("Date", [2**31 - 1, 19888], dtype=pl.Int32).cast(pl.Date)
    rows = everything(deliver(tmp_path, {"KO.parquet": FRAME.with_columns(dates)})).sort("line")
    assert rows["ts"].dt.date().to_list() == [None, DATES[1]]


def test_a_midnight_of_paris_is_no_date_of_an_american_bar(tmp_path: Path) -> None:
    stamped = FRAME.with_columns(Date=DATE.cast(pl.Datetime("us", "UTC")) - pl.duration(hours=2))
    source = deliver(tmp_path, {"MC.PA.parquet": stamped, "KO.parquet": stamped})
    assert sound(source).select("symbol", pl.col("ts").dt.date()).rows() == [("MC.PA", date) for date in DATES]
    assert faults(source) == dict.fromkeys((1, 2), "time is of an unknown form")


@pytest.mark.parametrize(
    "content", [b"PAR1 this is none PAR1", b"ARROW1\0\0 nor this", b"PAR1" + bytes(64) + b"PAR1"]
)
def test_a_damaged_file_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (told,) = problems(deliver(tmp_path, {"KO.parquet": content})).values()
    assert told.startswith("KO.parquet: cannot be read as ")
    assert "\n" not in told
