"""Words: cells that say the same again and again, such as symbols and dates, and what each different one means.

What belongs here: how such cells are held, the distinct ones, and the look-up of what they mean.
Kept elsewhere: which columns are words (`files/layouts/layout.py`), what they mean (`files/intervals.py`,
`files/listings.py`).

A column of words is a Categorical with categories of its own: each cell is a small number, so that a meaning is
looked up in a table, in a tenth of the time that a look-up of text takes. Text that is read line by line, and what
has a type, is looked up as it is.
"""

import numpy as np
import polars as pl


def kind_of_words() -> pl.Categorical:
    """The type of one column of words."""
    return pl.Categorical(pl.Categories.random())


def distinct_cells(cells: pl.Series) -> pl.Series:
    """The distinct cells; words are text."""
    distinct = cells.unique()
    return distinct.cast(pl.String) if isinstance(distinct.dtype, pl.Categorical) else distinct


def look_up(cells: pl.Series, known: pl.Series, meanings: pl.Series) -> pl.Series:
    """What each cell means, null if it is not known.

    Args:
        cells: words, text, or what has a type.
        known: distinct cells; of words, as text.
        meanings: of the known cells.
    """
    if known.is_empty():
        return pl.repeat(None, len(cells), dtype=meanings.dtype, eager=True)
    if not isinstance(cells.dtype, pl.Categorical):
        found = cells.cast(known.dtype)
        return found.replace_strict(known, meanings, default=None, return_dtype=meanings.dtype)
    codes, of_known = cells.to_physical(), known.cast(cells.dtype).to_physical()
    empty: int = 1 + max(codes.max() or 0, of_known.max() or 0)  # type: ignore[assignment, operator]
    places = np.full(empty + 1, len(known))
    places[of_known.fill_null(empty)] = np.arange(len(known))
    table = meanings.extend_constant(None, 1).gather(places)
    if not codes.has_nulls() and table.null_count() == 1:  # all are known, and without nulls it is faster
        table = table.head(empty)
    return gather_pieces(table, codes.fill_null(empty)).alias(cells.name)


def gather_pieces(table: pl.Series, places: pl.Series) -> pl.Series:
    """What stands at each place of a table, null where there is none.

    Piece by piece, so that the result is cut as the places are: polars copies columns that are cut differently.
    """
    pieces = places.get_chunks()
    return table.gather(places) if len(pieces) == 1 else pl.concat([table.gather(piece) for piece in pieces])


def map_words(cells: pl.Expr, known: pl.Series, meanings: pl.Series) -> pl.Expr:
    """`look_up` of an expression."""
    return cells.map_batches(lambda found: look_up(found, known, meanings), return_dtype=meanings.dtype)
