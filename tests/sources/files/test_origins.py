"""Each bar says which line of which file it came from, whatever the file is."""

import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path

import polars as pl
import pytest
from worlds.deliveries import HEADER, deliver, everything
from worlds.workbooks import workbook

from boursomatic_assets.sources.files.formats.contents import identify

TEXT = f"{HEADER}2024-06-13,10,12,9,11,500\n\n2024-06-14,11,13,10,12,600\n"
"""Two bars, in the lines 2 and 4."""

BARS = [
    {"date": "2024-06-13", "open": 10, "high": 12, "low": 9, "close": 11, "volume": 500},
    {"date": "2024-06-14", "open": 11, "high": 13, "low": 10, "close": 12, "volume": 600},
]
COLUMNS = ("Date", "Open", "High", "Low", "Close", "Volume")
NOTED = 'Symbol,Date,Open,High,Low,Close,Volume,Note\nKO,{},10,12,9,{},500,"split\n2:1"\nKO,{},11,13,10,{},600,\n'


def zipped(name: str, content: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def sheet() -> bytes:
    rows = [list(bar.values()) for bar in BARS]
    return workbook([["Exported on a Friday"], COLUMNS, rows[0], [None] * 6, rows[1]])


FILES: dict[str, tuple[str, bytes, bytes, dict[float, int]]] = {
    "a text with a blank line": ("KO.csv", TEXT.encode(), TEXT.encode(), {11.0: 2, 12.0: 4}),
    "lines above the header": (
        "KO.txt",
        (b"Exported on a Friday\nby a vendor\n\n" + TEXT.encode()),
        (b"Exported on a Friday\nby a vendor\n\n" + TEXT.encode()),
        {11.0: 5, 12.0: 7},
    ),
    "a cell of two lines": (
        "noted.csv",
        (noted := NOTED.format("2024-06-13", 11, "2024-06-14", 12).encode()),
        noted,
        {11.0: 2, 12.0: 4},
    ),
    "carriage returns": ("KO.csv", (old := TEXT.replace("\n", "\r").encode()), old, {11.0: 2, 12.0: 4}),
    "gzip": ("KO.csv.gz", gzip.compress(TEXT.encode()), TEXT.encode(), {11.0: 2, 12.0: 4}),
    "a member of an archive": ("all.zip/KO.csv", zipped("KO.csv", TEXT), TEXT.encode(), {11.0: 2, 12.0: 4}),
    "a workbook": ("KO.xlsx", sheet(), sheet(), {11.0: 3, 12.0: 5}),
    "JSON": ("KO.json", (one := json.dumps(BARS).encode()), one, {11.0: 1, 12.0: 2}),
    "JSON lines": (
        "KO.jsonl",
        (each := "\n\n".join(map(json.dumps, BARS)).encode()),
        each,
        {11.0: 1, 12.0: 3},
    ),
    "Parquet": (
        "KO.parquet",
        (typed := (lambda out: (pl.DataFrame(BARS).write_parquet(out), out.getvalue())[1])(io.BytesIO())),
        typed,
        {11.0: 1, 12.0: 2},
    ),
}
"""The name of a file, its bytes, what is in them once they are unpacked, and the line of each close."""


@pytest.mark.parametrize("form", FILES)
def test_a_bar_says_the_line_and_the_content_of_its_file(tmp_path: Path, form: str) -> None:
    name, packed, content, lines = FILES[form]
    source = deliver(tmp_path, {name.split("/")[0]: packed})
    digest = hashlib.sha256(content).hexdigest()
    bars = everything(source)
    assert bars["fault"].null_count() == bars.height
    assert dict(bars.select("c", "line").iter_rows()) == lines
    assert set(bars.select("file", "file_id").rows()) == {(name, identify(name, digest))}
    told = source.files().select("file", "digest", "file_id").rows()
    assert told == [(name, digest, identify(name, digest))]


def test_files_of_other_names_or_contents_have_other_numbers() -> None:
    numbers = {identify(name, digest) for name in ("a", "a.csv") for digest in ("0" * 64, "1" * 64)}
    assert len(numbers) == 4
    assert all(-(2**63) <= number < 2**63 for number in numbers)
    assert identify("a", "0" * 64) == identify("a", "0" * 64)
