"""Dates: the dates of a file, in the one order of day, month and year that all of them show.

What belongs here: orders, years of two digits, names of months.
Kept elsewhere: clocks, offsets and zones (`times.py`).
"""

import polars as pl

from boursomatic_assets.sources import DECLARATIONS_FILE, UNSTATED, SourceError

DATE = "date"
"""The column of dates."""

CLEAR_MAJORITY = 20
"""So many times as many dates as those against them, and the dates against them are single errors."""

CLEARLY_CLOSER = 10
"""So many times as long a span of dates shows that years of two digits are days."""

_MONTHS = {
    **dict.fromkeys(("jan", "janv", "januar", "january", "janvier", "enero", "ene", "gen"), 1),
    **dict.fromkeys(("feb", "fev", "fevr", "february", "fevrier", "febr"), 2),
    **dict.fromkeys(("mar", "mars", "march", "marz", "mrz", "mrt", "maart"), 3),
    **dict.fromkeys(("apr", "avr", "avril", "april", "abr"), 4),
    **dict.fromkeys(("may", "mai", "mei"), 5),
    **dict.fromkeys(("jun", "juin", "june", "juni"), 6),
    **dict.fromkeys(("jul", "juil", "juillet", "july", "juli"), 7),
    **dict.fromkeys(("aug", "aout", "august", "ago"), 8),
    **dict.fromkeys(("sep", "sept", "september", "septembre"), 9),
    **dict.fromkeys(("oct", "okt", "october", "octobre", "oktober", "out"), 10),
    **dict.fromkeys(("nov", "november", "novembre"), 11),
    **dict.fromkeys(("dec", "dez", "dic", "december", "decembre", "dezember"), 12),
}
"""Names of months in the languages of both markets, without accents and in small letters."""

_YEAR_FIRST = r"^\d{4}/\d{1,2}/\d{1,2}$"

_NUMBERED = r"^\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})$"

ORDERS = {"dmy": "$3/$2/$1", "mdy": "$3/$1/$2", "ymd": "$1/$2/$3"}
"""Orders of numbers that can be taken for each other, and how each is written with its year first."""

FORM_BY_ORDER = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}


def numbered_date() -> pl.Expr:
    """A date as three numbers between slashes; a month's name as its number, behind its day or its year."""
    date = pl.col(DATE)
    plain = date.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase()
    month = plain.str.extract(r"([a-z]{3,9})").replace_strict(_MONTHS, default=None, return_dtype=pl.Int64)
    numbers = plain.str.extract_all(r"\d+")
    first, last = numbers.list.first(), numbers.list.last()
    year_first = first.str.len_chars() == 4
    named = (
        pl.when(year_first)
        .then(pl.format("{}/{}/{}", first, month, last))
        .otherwise(pl.format("{}/{}/{}", last.pipe(_with_century), month, first))
    )
    compact = date.str.replace(r"^(\d{4})(\d{2})(\d{2})$", "$1/$2/$3")
    return pl.when(plain.str.contains("[a-z]")).then(named).otherwise(compact.str.replace_all(r"[-.]", "/"))


def _with_century(year: pl.Expr) -> pl.Expr:
    """A year of two digits as one from 1970 to 2069; another one as it is."""
    number = year.cast(pl.Int64, strict=False)
    century = pl.when(number >= 70).then(pl.lit("19")).otherwise(pl.lit("20"))
    return pl.when(year.str.len_chars() == 2).then(century + year).otherwise(year)


def _dates_in_order(order: str) -> pl.Expr:
    """Dates of three numbers in this order, the year with two digits or at the end; null where they do not fit."""
    numbered = pl.col("numbered")
    swapped = numbered.str.replace(r"^(\d+)/(\d+)/(\d+)$", ORDERS[order]).str.splitn("/", 2)
    year = swapped.struct[0]
    four = _with_century(year)
    date = pl.concat_str(four, swapped.struct[1], separator="/").str.to_date("%Y/%m/%d", strict=False)
    fits = numbered.str.contains(_NUMBERED) & (year.str.len_chars().is_in([2, 4]))
    return pl.when(fits).then(date)


def date_expr(order: str | None) -> pl.Expr:
    """The date of the columns `date` and `numbered`; null where it is none in this order."""
    iso = pl.when(pl.col("numbered").str.contains(_YEAR_FIRST)).then(pl.col("numbered"))
    forms = [iso.str.to_date("%Y/%m/%d", strict=False)]
    if order:
        forms.append(_dates_in_order(order))
    return pl.coalesce(forms)


def detect_order(parts: pl.DataFrame, stated: str | None, name: str) -> str | None:
    """The order of day, month and year, as stated, or as all of a file's dates tell; None: none is needed.

    Raises:
        SourceError: they do not tell it, or what is stated fits none of them.
    """
    numbered = parts.filter(pl.col("numbered").str.contains(_NUMBERED)).unique("numbered", maintain_order=True)
    if numbered.is_empty() or numbered.height * CLEAR_MAJORITY < parts.height:
        return stated  # none, or single errors among dates that begin with their year
    read = numbered.select(**{order: _dates_in_order(order) for order in ORDERS})
    if stated:
        if read[stated].null_count() == read.height:
            raise _undecided(name, f"dates are stated as {stated}, and {numbered['cell'][0]} does not fit that")
        return stated
    if _year_comes_first(numbered, read, name):
        return "ymd"
    return _day_or_month_first(numbered["numbered"], read, name)


def _undecided(name: str, reason: str) -> SourceError:
    return SourceError(
        f"{name}: {reason}: state `dates: dmy` or `dates: mdy` for it in {DECLARATIONS_FILE}",
        dates=f"{UNSTATED}  # dmy or mdy",
    )


def _year_comes_first(numbered: pl.DataFrame, read: pl.DataFrame, name: str) -> bool:
    """Whether years of two digits stand first: no other order fits, or dates are much closer together so.

    Between points the year is always last.

    Raises:
        SourceError: nothing tells years from days.
    """
    if read["ymd"].has_nulls() or numbered[DATE].str.contains(".", literal=True).any():
        return False
    others = [read[order] for order in ("dmy", "mdy") if not read[order].has_nulls()]
    own, *spans = (_days(dates) for dates in (read["ymd"], *others))
    if all(own * CLEARLY_CLOSER < span for span in spans):
        return True
    if any(span * CLEARLY_CLOSER < own for span in spans):
        return False
    raise SourceError(
        f"{name}: day and year cannot be told apart: {len(numbered)} dates such as {numbered['cell'][0]} fit both"
        f" ways: state `dates: dmy`, `dates: mdy` or `dates: ymd` for it in {DECLARATIONS_FILE}",
        dates=f"{UNSTATED}  # dmy, mdy or ymd",
    )


def _days(dates: pl.Series) -> int:
    """How many days lie between the first and the last of some dates."""
    days: list[int] = dates.cast(pl.Int32).to_list()
    return max(days) - min(days)


def _day_or_month_first(numbered: pl.Series, read: pl.DataFrame, name: str) -> str | None:
    """Whether the day comes first, as all of a file's dates tell together; None if no date fits."""
    fits = [read[order].is_not_null() for order in ("dmy", "mdy")]
    only_as = {"dmy": int((fits[0] & ~fits[1]).sum()), "mdy": int((fits[1] & ~fits[0]).sum())}
    both = numbered.filter(fits[0] & fits[1])
    least, most = sorted(only_as, key=lambda order: only_as[order])
    if only_as[least] and only_as[most] < CLEAR_MAJORITY * only_as[least]:
        raise _undecided(name, f"{only_as['dmy']} dates can only be day/month and {only_as['mdy']} only month/day")
    if only_as[most]:
        return most
    if len(both):
        raise _undecided(
            name, f"day and month cannot be told apart: {len(both)} dates such as {both[0]} fit both ways"
        )
    return None
