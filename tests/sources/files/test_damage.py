"""Damaged files: each line is accounted for, or the file is told; nothing crashes, and no date is made up.

BOURSOMATIC_TEST_EXAMPLES says how many files are damaged, among others.
"""

import csv
import io
import json
import random
import re
from pathlib import Path

import polars as pl
import pytest
from conftest import EXAMPLES
from worlds.deliveries import deliver, everything
from worlds.layouts import LAYOUTS
from worlds.workbooks import workbook

from boursomatic_assets.sources.files.source import Files

MUTATIONS = 4 * EXAMPLES

NAMES = ["Symbol", "Date", "Open", "High", "Low", "Close", "Volume"]
ROWS = [["AAPL", f"2024-06-{day}", 10.25, 12.5, 9.125, 11.0, 500] for day in (11, 12, 13, 14)]
FRAME = pl.DataFrame(ROWS, schema=NAMES, orient="row")


def texts() -> dict[str, tuple[str, bytes]]:
    """A file of four bars of every vendor's layout."""
    found = {}
    for layout, (name, content) in LAYOUTS.items():
        *head, row = content.split("\n")
        rows = [row.replace("13", str(day), 1) if "US0" not in row else row for day in (11, 12, 13, 14)]
        found[layout] = (name, "\n".join([*head, *rows, ""]).encode())
    return found


def packed() -> dict[str, tuple[str, bytes]]:
    """The same bars in other formats."""
    parquet, plain, arrow = io.BytesIO(), io.BytesIO(), io.BytesIO()
    FRAME.write_parquet(parquet)
    FRAME.write_parquet(plain, compression="uncompressed")
    FRAME.write_ipc(arrow)
    objects = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    return {
        "workbook": ("x.xlsx", workbook([[*NAMES], *ROWS])),
        "JSON lines": ("x.jsonl", "".join(json.dumps(one) + "\n" for one in objects).encode()),
        "JSON": ("x.json", json.dumps(objects).encode()),
        "Parquet": ("x.parquet", parquet.getvalue()),
        "Parquet, uncompressed": ("x.parquet", plain.getvalue()),
        "Arrow": ("x.arrow", arrow.getvalue()),
    }


TEXTS, PACKED = texts(), packed()


def damage(content: bytes, chance: random.Random) -> bytes:
    """Bytes that are changed, dropped, doubled or replaced by signs that mean something."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        if not data:
            break
        place = chance.randrange(len(data))
        match chance.randrange(5):
            case 0:
                data[place] = chance.randrange(256)
            case 1:
                del data[place : place + chance.randint(1, 9)]
            case 2:
                data[place:place] = data[: chance.randint(1, 30)]
            case 3 if chance.random() < 0.2:
                del data[place + 1 :]
            case _:
                data[place : place + 1] = chance.choice(
                    [b",", b"\n", b'"', b"\r", b"\0", b";", b"-", b"/", b"#", b" "]
                )
    return bytes(data)


def physical_lines(content: bytes) -> list[str]:
    """The lines of a text, whichever system wrote their ends."""
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = content.decode("utf-16" if utf_16 else "latin-1", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n") if text else []


def records_of_csv(lines: list[str]) -> int:
    """The least number of records that Python's reader finds with any separator, 0 if it finds a stray mark."""
    counts = [len(lines)]
    for separator in ",;\t|":
        try:
            counts.append(
                sum(1 for _ in csv.reader((line + "\n" for line in lines), delimiter=separator, strict=True))
            )
        except csv.Error:
            return 0
    return min(counts)


def require_accounted(source: Files) -> pl.DataFrame | None:
    """The rows of a file, each line once and the sum closed; None if the file is told."""
    row, *others = source.files().to_dicts()
    if others:  # an archive, whose parts that make it a workbook have lost their names
        assert all(one["problem"] or one["passed_over"] for one in (row, *others))
        return None
    rows = everything(source)
    if row["problem"]:
        assert row["problem"].startswith(f"{row['file']}: ")
        assert "\n" not in row["problem"]
        assert "report it" not in row["problem"]  # which a defect of the code asks for
        assert rows.is_empty()
        return None
    named = sum(row[kind] for kind in ("header", "blank", "comments", "footer"))
    assert row["lines"] == named + row["delivered"]
    lines = rows["line"].to_list()
    assert len(set(lines)) == len(lines) == row["delivered"]
    return rows


def require_lines(rows: pl.DataFrame, source: Files, content: bytes, whole: set[str]) -> None:
    """All lines of a text are counted, and those that are not damaged are delivered under their numbers."""
    lines = physical_lines(content)
    counted = source.files()["lines"].item()
    assert records_of_csv(lines) <= counted <= len(lines)
    if b'"' not in content:
        assert counted == len(lines)
    if counted == len(lines):
        sound = {number for number, line in enumerate(lines, start=1) if line in whole}
        assert sound <= set(rows["line"])


def require_written(rows: pl.DataFrame) -> None:
    """Each date stands in its row."""
    for row in rows.filter(pl.col("interval") == "daily").drop_nulls("ts").iter_rows(named=True):
        ts, raw = row["ts"], row["raw"]
        assert f"{ts.year % 100:02}" in raw, (ts, raw)
        assert str(ts.day) in raw, (ts, raw)
        assert str(ts.month) in raw or re.search(r"\d\W*[A-Za-z]{3}", raw), (ts, raw)


def damaged(folder: Path, chosen: tuple[str, bytes], chance: random.Random) -> tuple[Files, bytes]:
    name, content = chosen
    for path in folder.iterdir():
        path.unlink()
    data = damage(content, chance)
    return deliver(folder, {name: data}), data


@pytest.mark.slow
def test_each_line_of_a_damaged_text_is_accounted_for(tmp_path: Path) -> None:
    chance = random.Random(20)
    told = 0
    for number in range(MUTATIONS):
        layout = chance.choice(list(TEXTS))
        source, data = damaged(tmp_path, TEXTS[layout], chance)
        try:
            rows = require_accounted(source)
            if rows is not None:
                require_lines(rows, source, data, set(TEXTS[layout][1].decode().split("\n")[-5:-1]))
                require_written(rows)
        except BaseException as error:
            error.add_note(f"mutation {number} of {layout}: {data!r}")
            raise
        told += rows is None
    assert 0.05 * MUTATIONS < told < 0.7 * MUTATIONS


@pytest.mark.slow
def test_each_row_of_a_damaged_file_of_another_format_is_accounted_for(tmp_path: Path) -> None:
    chance = random.Random(21)
    for number in range(MUTATIONS // 3):
        kind = chance.choice(list(PACKED))
        source, data = damaged(tmp_path, PACKED[kind], chance)
        try:
            rows = require_accounted(source)
            if rows is not None and kind == "JSON lines":
                require_lines(rows, source, data, set(PACKED[kind][1].decode().splitlines()))
        except BaseException as error:
            error.add_note(f"mutation {number} of {kind}: {data!r}")
            raise


def test_a_file_that_is_not_damaged_is_read(tmp_path: Path) -> None:
    for number, (name, content) in enumerate((TEXTS | PACKED).values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        rows = require_accounted(deliver(folder, {name: content}))
        assert rows is not None
        assert rows.select(pl.col("ts").dt.day(), "symbol", "fault").rows() == [
            (day, "AAPL", None) for day in (11, 12, 13, 14)
        ]
