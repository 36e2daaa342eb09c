"""Typed files: Parquet and Arrow, whose columns have types.

What belongs here: reading all rows of one, with a reader that raises on whatever is damaged.
Kept elsewhere: which of its columns mean something (`files/scan.py`).

pyarrow reads them: polars 2.1 aborts the process on some damaged pages (`memory allocation of ... bytes failed`),
which nothing can catch.
"""

from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.formats import bounds
from boursomatic_assets.sources.files.formats.contents import File, damaged
from boursomatic_assets.sources.words import kind_of_words

PARQUET, ARROW = b"PAR1", b"ARROW1"

_TEXTS = (pa.string(), pa.large_string(), pa.string_view())

_UNREADABLE = (
    *(pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException),
    *(OSError, MemoryError, ValueError),
)
"""What is raised for a file that is damaged, or has a type that polars does not know."""


def kind_of(content: bytes) -> str | None:
    """`Parquet`, `Arrow`, or None for anything else."""
    return "Parquet" if content.startswith(PARQUET) else "Arrow" if content.startswith(ARROW) else None


def read_typed(file: File) -> pl.DataFrame:
    """All rows and columns of a Parquet or an Arrow file; text that is a dictionary there is Categorical.

    Raises:
        SourceError: it is damaged, or cannot be read.
    """
    content = file.read()
    try:
        buffer = pa.BufferReader(content)
        table = _read_parquet(buffer, file) if content.startswith(PARQUET) else _read_arrow(buffer, file)
        with ThreadPoolExecutor(2) as threads:
            columns = threads.map(_as_series, table.columns)
            return pl.DataFrame(
                [column.alias(name) for name, column in zip(table.column_names, columns, strict=True)]
            )
    except SourceError:
        raise
    except _UNREADABLE as error:
        raise damaged(file.name, f"read as {str(kind_of(content)).lower()}", error) from None


def _as_series(column: pa.ChunkedArray) -> pl.Series:
    """A column as polars has it; of a dictionary the values, for which polars itself takes twice as long."""
    column.validate(full=True)  # indices of dictionaries, and text that is not UTF-8
    if not pa.types.is_dictionary(column.type) or not column.num_chunks:
        return pl.Series(column)
    unified = column.unify_dictionaries()
    codes = pa.chunked_array([chunk.indices for chunk in unified.chunks]).combine_chunks()
    values = pl.Series(unified.chunk(0).dictionary)
    if values.dtype == pl.String:
        values = values.cast(kind_of_words())
    if len(values) == 1 and not codes.null_count:
        return values.new_from_index(0, len(codes))
    return values.gather(pl.Series(codes))


def _read_arrow(buffer: pa.BufferReader, file: File) -> pa.Table:
    opened = pa.ipc.open_file(buffer)
    bounds.require_columns(len(opened.schema), file.name)
    return opened.read_all()


def _read_parquet(buffer: pa.BufferReader, file: File) -> pa.Table:
    """The table with text as dictionaries, which takes half of the time: symbols are the same again and again."""
    opened = pa.parquet.ParquetFile(buffer)
    bounds.require_typed(opened.metadata.num_rows, opened.metadata.num_columns, file.name)
    texts = [field.name for field in opened.schema_arrow if field.type in _TEXTS]
    return pa.parquet.ParquetFile(buffer, metadata=opened.metadata, read_dictionary=texts, pre_buffer=True).read()
