"""Parquet and Arrow: whatever is damaged in a file raises an error that names it."""

import datetime as dt
import io
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.formats.contents import File
from boursomatic_assets.sources.files.formats.typed import read_typed

FRAME = pl.DataFrame(
    {
        "symbol": ["KO", "IBM"] * 20,
        "date": pl.Series([f"2024-06-{day:02}" for day in range(1, 21)] * 2).str.to_date(),
        "close": [float(number) for number in range(40)],
    }
)


def written(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "arrow":
        FRAME.write_ipc(buffer)
    else:
        FRAME.write_parquet(buffer, compression="zstd" if kind == "packed" else "uncompressed")
    return buffer.getvalue()


def read(folder: Path, content: bytes, number: int = 0) -> pl.DataFrame:
    path = folder / "bars"
    path.write_bytes(content)
    return read_typed(File("bars", path, len(content), number))


@pytest.mark.parametrize("kind", ["packed", "plain", "arrow"])
def test_a_sound_file_is_read_as_it_was_written(tmp_path: Path, kind: str) -> None:
    assert read(tmp_path, written(kind)).cast(FRAME.schema).equals(FRAME)  # type: ignore[arg-type]


def test_values_of_a_dictionary_are_read(tmp_path: Path) -> None:
    dates = pa.array([dt.date(2024, 6, 13), None, dt.date(2024, 6, 13), dt.date(2024, 6, 14)])
    table = pa.table({"date": pa.chunked_array([dates.dictionary_encode(), dates[3:].dictionary_encode()])})
    with pa.OSFile(str(tmp_path / "written"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.unify_dictionaries())

    frame = read(tmp_path, (tmp_path / "written").read_bytes())

    assert frame["date"].to_list() == [*dates.to_pylist(), dt.date(2024, 6, 14)]


def test_two_columns_of_one_name_are_told(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table([[1.5], [2.5]], ["close", "close"]), tmp_path / "written")
    with pytest.raises(SourceError, match="bars: cannot be read as parquet: "):
        read(tmp_path, (tmp_path / "written").read_bytes())


def test_text_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    table = pa.table({"symbol": pa.array([b"KO", b"\xc2K"]).cast(pa.string(), safe=False)})
    pa.parquet.write_table(table, tmp_path / "written")
    with pytest.raises(SourceError, match="bars: cannot be read as parquet: "):
        read(tmp_path, (tmp_path / "written").read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["packed", "plain", "arrow"])
def test_no_damaged_byte_ends_the_process(tmp_path: Path, kind: str) -> None:
    """A length of a page that is far too large makes some readers abort: nothing could catch that."""
    content, told = written(kind), 0
    for place in range(8, len(content), 3):
        damaged = content[:place] + bytes([0x7F if place % 2 else 0xFF]) + content[place + 1 :]
        try:
            read(tmp_path, damaged, number=place)
        except SourceError as error:
            assert str(error).startswith("bars: cannot be read as ")
            told += 1
    assert told > 10
