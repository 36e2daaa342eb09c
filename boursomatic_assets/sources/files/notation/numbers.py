"""Numbers: the cells of a file as numbers, in the one way of writing that all of them show.

What belongs here: decimal signs, separators of thousands, currencies, signs, exponents and abbreviations.
Kept elsewhere: which columns are numbers (`files/layouts/`), which are possible prices (`quality/contract.py`).

All cells are read together: 7,601 alone is seven thousand or seven point six, but beside 7,5 it is 7.601. A cell
that does not fit the others has no number, and is rejected.
"""

from collections.abc import Sequence
from functools import partial

import polars as pl

from boursomatic_assets.sources import DECLARATIONS_FILE, UNSTATED, SourceError

DECIMAL_SIGNS = (".", ",")

CLEAR_MAJORITY = 20
"""So many times as many cells as those against it, and the cells against it are single errors."""

_BLANKS = r"[\s\u00a0\u2007\u2009\u202f'’]"
_CURRENCY = r"(?:US\$|[$€£¥]|(?i:USD|EUR|GBP|CHF))"
_EXPONENT = r"(?:[eE][+-]?\d{1,4})?$"
_EXPONENT_BY_SUFFIX = {"k": 3, "m": 6, "mn": 6, "mio": 6, "b": 9, "bn": 9, "mrd": 9}
_SUFFIX = r"^(.*[\d.,])\s*(?i:(k|mn|mio|m|bn|b|mrd))\.?$"


def detect_decimal_sign(cells: Sequence[pl.Series], separator: str, name: str, fractions: int = 0) -> str:
    """The decimal sign of all cells together: a point or a comma.

    Args:
        cells: the columns of prices and volumes, as text.
        separator: what is between the cells of a line. Where it is a comma, a point is a decimal sign: where a
            comma is one, the cells are cut by something else.
        name: the file, for the error.
        fractions: how many cells of other columns have a decimal point for sure.

    Raises:
        SourceError: the cells can be read both ways, or contradict each other.
    """
    written = pl.concat([column.rename("cell") for column in cells]).drop_nulls()
    without_comma = not written.str.contains(",", literal=True).any()
    if without_comma and (separator == "," or _shows_point(written.head(1000)) or _shows_point(written)):
        return "."
    plain = _cleaned(written)
    counts = {sign: int(_surely(plain, sign).sum()) for sign in DECIMAL_SIGNS}
    counts["."] += fractions
    both = written.filter(plain.str.contains(r"^[+-]?[1-9]\d{0,2}[.,]\d{3}(?:e000\d)?$"))
    least, most = sorted(DECIMAL_SIGNS, key=lambda sign: counts[sign])
    if counts[least] and counts[most] < CLEAR_MAJORITY * counts[least]:
        reason = f"{counts['.']} numbers can only have a decimal point and {counts[',']} only a decimal comma"
    elif counts[most] or both.is_empty():
        return most if counts[most] else "."
    else:
        reason = (
            f"decimal signs cannot be told from thousands: {len(both)} numbers such as {both[0]} fit both ways"
        )
    raise SourceError(
        f'{name}: {reason}: state `decimal: "."` or `decimal: ","` for it in {DECLARATIONS_FILE}',
        decimal=f'{UNSTATED}  # "." or ","',
    )


def _shows_point(cells: pl.Series) -> bool:
    """Whether some cell with a point and no comma cannot have a separator of thousands in that place."""
    pointed = cells.filter(cells.str.contains(".", literal=True))
    either_way = r"^\D*[1-9]\d{0,2}\.\d{3}\D*$|\..*\."
    return pointed.is_empty() or bool((~pointed.str.contains(either_way)).any())


def _surely(plain: pl.Series, sign: str) -> pl.Series:
    """Whether each cell can only be read with this decimal sign."""
    s, other = (r"\.", ",") if sign == "." else (",", r"\.")
    forms = (
        rf"^[^{s}]*{s}(?:\d{{1,2}}|\d{{4,}}){_EXPONENT}",  # not three digits behind it
        rf"^[+-]?(?:0|\d{{4,}})?{s}\d+{_EXPONENT}",  # nothing, a zero or four digits before it
        rf"{other}[^{s}]*{s}\d*{_EXPONENT}",  # the other one before it
        rf"^[+-]?\d{{1,3}}(?:{other}\d{{2,3}}){{2,}}$",  # the other one twice
        rf"^[+-]?\d{s}\d+[eE](?:[+-]|\d{{1,3}}$)",  # one digit before it, and an exponent that is written
    )
    return (
        plain.to_frame("cell")
        .select(pl.any_horizontal(pl.col("cell").str.contains(form) for form in forms))
        .to_series()
    )


def number_expr(column: str, sign: str) -> pl.Expr:
    """The cells of a column as numbers, null where they are none."""
    read = partial(read_numbers, sign=sign)
    return pl.col(column).map_batches(read, return_dtype=pl.Float64(), is_elementwise=True)


def read_numbers(cells: pl.Series, sign: str) -> pl.Series:
    """The numbers of cells that are written with this decimal sign, null where they are none.

    Nearly all cells are digits and the sign, so that only the others are cleaned.

    An abbreviation is an exponent, so that 4.19M is the double nearest to 4190000.
    """
    other = "," if sign == "." else "."
    numbers = cells.str.replace(sign, ".", literal=True).cast(pl.Float64, strict=False)
    odd = cells.is_not_null() & (numbers.is_null() | cells.str.contains(other, literal=True))
    if not odd.any():
        return numbers
    distinct = cells.filter(odd).unique()
    meanings = _read_odd(distinct, sign, other)
    return numbers.zip_with(~odd, cells.replace_strict(distinct, meanings, default=None, return_dtype=pl.Float64))


def _read_odd(cells: pl.Series, sign: str, other: str) -> pl.Series:
    plain = _cleaned(cells)
    tail = f"(?:[{sign}]\\d*)?{_EXPONENT}"
    grouped = plain.str.contains(rf"^[+-]?\d{{1,3}}(?:[{other}]\d{{2,3}})*[{other}]\d{{3}}{tail}")
    whole = plain.zip_with(~grouped, plain.str.replace_all(other, "", literal=True))
    foreign = whole.str.contains(other, literal=True)
    return whole.set(foreign, None).str.replace(sign, ".", literal=True).cast(pl.Float64, strict=False)


def _cleaned(cells: pl.Series) -> pl.Series:
    """Cells without what is no part of their numbers: currencies, blanks between thousands, brackets.

    An abbreviation becomes an exponent of four digits: 4.190K may be 4,190,000, and 4.190e3 may not.
    """
    plain = cells.str.strip_chars().str.replace_all("−", "-", literal=True)
    plain = plain.str.replace(r"^\((.*)\)$", "-${1}").str.replace(r"^([^-].*?)\s*-$", "-${1}")
    plain = plain.str.replace(rf"^([+-]?){_CURRENCY}\s*", "${1}").str.replace(rf"\s*{_CURRENCY}$", "")
    grouped = plain.str.contains(rf"^[+-]?\d{{1,3}}(?:{_BLANKS}\d{{3}})+(?:[.,]\d+)?(?:\D.*)?$")
    plain = plain.zip_with(~grouped, plain.str.replace_all(rf"(\d){_BLANKS}", "${1}"))
    parts = plain.str.extract_groups(_SUFFIX).struct.unnest().fill_null("")
    number, suffix = parts.get_columns()
    exponent = suffix.str.to_lowercase().replace_strict(_EXPONENT_BY_SUFFIX, default=None, return_dtype=pl.Int64)
    abbreviated = number.str.strip_chars() + "e000" + exponent.cast(pl.String)
    return plain.zip_with(exponent.is_null(), abbreviated)
