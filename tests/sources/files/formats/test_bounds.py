"""Bounds: what would fill the memory is refused by name, at once, and its neighbours are read."""

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from worlds.deliveries import HEADER, NEXT_ROW, ROW, deliver, problems, sound
from worlds.workbooks import workbook

from boursomatic_assets.sources.files.formats import bounds
from boursomatic_assets.sources.files.source import Files

BARS = HEADER + ROW
ZEROS = bytes(bounds.SMALL_BYTES + 1)


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    "bomb.gz": lambda: gzip.compress(ZEROS),
    "bomb.bz2": lambda: bz2.compress(ZEROS),
    "bomb.xz": lambda: lzma.compress(ZEROS),
    "bomb.zip": lambda: zipped({"KO.csv": ZEROS}),
    "twice.zip": lambda: zipped({"KO.csv.bz2": bz2.compress(ZEROS)}),
    "book.xlsx": lambda: zipped({"xl/workbook.xml": ZEROS, "xl/worksheets/sheet1.xml": b""}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_becomes_far_larger_is_refused_by_name_and_its_neighbour_is_read(tmp_path: Path, name: str) -> None:
    source = deliver(tmp_path, {name: BOMBS[name](), "IBM.csv": BARS})
    ((told, why),) = problems(source).items()
    assert told.startswith(name)
    assert f"become more than 512 MiB or {bounds.MOST_RATIO} times as many: unpack it, and split it" in why
    assert "\n" not in why
    assert sound(source)["symbol"].to_list() == ["IBM"]


def test_what_a_vendor_packs_well_is_read(tmp_path: Path) -> None:
    days = pl.date_range(pl.date(1950, 1, 2), pl.date(2024, 1, 2), "1d", eager=True)
    rows = "".join(f"{day},10.5,12.5,9.5,11.5,500\n" for day in days) * 20
    packed = gzip.compress((HEADER + rows).encode())
    assert len(rows) > bounds.SMALL_BYTES
    assert len(rows) / len(packed) < bounds.MOST_RATIO
    deliver(tmp_path, {"KO.csv.gz": packed})
    assert problems(Files(tmp_path)) == {}


def test_members_that_lie_over_each_other_and_too_many_members_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = ZEROS[: len(ZEROS) // 2 + 1]
    source = deliver(tmp_path, {"sum.zip": zipped({"KO.csv": half, "IBM.csv": half}), "MC.PA.csv": BARS})
    assert "become more than" in problems(source)["sum.zip"]
    monkeypatch.setattr(bounds, "MOST_MEMBERS", 2)
    deliver(tmp_path, {"many.zip": zipped(dict.fromkeys(("A.csv", "B.csv", "C.csv"), b""))})
    assert problems(source)["many.zip"] == "many.zip: holds 3 members: pack 2 at most into an archive"


def test_a_size_that_an_archive_lies_about_does_not_help(tmp_path: Path) -> None:
    """Both headers of the member say that it is one byte long."""
    honest = zipped({"KO.csv": ZEROS})
    lying = honest.replace(len(ZEROS).to_bytes(4, "little"), (1).to_bytes(4, "little"))
    assert lying != honest
    source = deliver(tmp_path, {"lies.zip": lying, "IBM.csv": BARS})
    assert "lies.zip/KO.csv" in problems(source)


@pytest.mark.parametrize("name", ["../KO.csv", "/etc/KO.csv", "a/../../KO.csv", "..\\KO.csv"])
def test_a_member_that_leaves_its_archive_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "bars"
    source = deliver(folder, {"bars.zip": zipped({name: BARS.encode(), "IBM.csv": BARS.encode()})})
    ((_, why),) = problems(source).items()
    assert why.endswith("its name leaves the archive: pack it anew")
    assert sound(source)["symbol"].to_list() == ["IBM"]
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["bars", "bars/bars.zip"]


WIDE = ",".join(f"c{n}" for n in range(100_000))
FORMS: dict[str, Callable[[], str | bytes]] = {
    "wide.csv": lambda: f"Date,Close,{WIDE}\n2024-06-13,1\n",
    "wide.json": lambda: "[{" + ",".join(f'"c{n}": 1' for n in range(bounds.MOST_COLUMNS + 1)) + "}]",
    "instruments.csv": lambda: f"symbol,exchange,{WIDE}\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_too_many_columns_are_refused_at_once(tmp_path: Path, name: str) -> None:
    source = deliver(tmp_path, {name: FORMS[name](), "IBM.csv": BARS})
    begin = time.monotonic()
    ((told, why),) = problems(source).items()
    assert time.monotonic() - begin < 20
    assert told == name
    assert "columns: wanted 10,000 at most, so split it" in why
    assert len(why) < 200
    assert sound(source)["symbol"].to_list() == ["IBM"]


LONG = "x" * (bounds.LONGEST_CELL + 1)


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("KO.csv", f"{BARS}{LONG},1,1,1,1,1\n{NEXT_ROW}", "a cell of line 3 has 10,001 bytes"),
        ("head.csv", f"{LONG},Open\n1,2\n", "a cell of line 1 has 10,001 bytes"),
        ("KO.json", f'[{{"Date": "{LONG}", "Close": 1}}]', "a cell of row 1 has 10,001 letters"),
        ("KO.xlsx", workbook([["Date", "Close"], [LONG, 1]]), "a cell of row 2 has 10,001 letters"),
    ],
)
def test_a_cell_that_is_too_long_is_refused_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, place: str
) -> None:
    assert place in problems(deliver(tmp_path, {name: content, "IBM.csv": BARS}))[name]


def test_long_lines_of_short_cells_are_read(tmp_path: Path) -> None:
    others = ",".join(f"x{n}" for n in range(3_000))
    text = f"{HEADER.strip()},{others}\n{ROW.strip()},{others}\n"
    assert problems(deliver(tmp_path, {"KO.csv": text})) == {}


def test_a_sheet_with_a_cell_at_its_far_end_is_refused(tmp_path: Path) -> None:
    """A reader makes a cell for each place before it: 17 billion of them."""
    sheet = b'<worksheet><sheetData><row r="1"><c r="A1"/><c r="XFD1048576"/></row></sheetData></worksheet>'
    book = zipped({"xl/workbook.xml": b"<workbook/>", "xl/worksheets/sheet1.xml": sheet})
    told = problems(deliver(tmp_path, {"KO.xlsx": book, "IBM.csv": BARS}))["KO.xlsx"]
    assert told == "KO.xlsx: a sheet has cells as far as row 1,048,576 and column 16,384: save it as CSV"


def test_a_typed_file_of_too_many_rows_is_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pa.parquet.write_table(pa.table({"c0": pa.nulls(10_000_000)}), tmp_path / "KO.parquet")
    assert (tmp_path / "KO.parquet").stat().st_size < 100_000
    monkeypatch.setattr(bounds, "MOST_TYPED_CELLS", 9_999_999)
    told = problems(deliver(tmp_path, {"IBM.csv": BARS}))["KO.parquet"]
    assert told == "KO.parquet: says that it has 10,000,000 rows of 1 columns: split it"


MEMORY = """
import resource, sys
from pathlib import Path
from boursomatic_assets.sources.files.source import Files

begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
told = Files(Path(sys.argv[1])).files()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin) >> 10)
"""


@pytest.mark.slow
def test_a_gigabyte_of_zeros_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(bytes(1 << 24)) * 64)  # parts are packed by themselves
    deliver(tmp_path, {"IBM.csv": BARS})
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    used = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert used < 600, "megabytes"
