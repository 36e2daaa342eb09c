"""Time stamps: the times of a file, as vendors write them, as naive UTC.

What belongs here: the format of a file's dates, its clock's zone, and whether its bars are daily.
Kept elsewhere: which column holds the time (`layouts.py`).

All rows are read together: 02/07/2015 alone is February or July, but beside 13/07/2015 it is July. A row that does
not fit the file's format has no time, and is rejected by the contract.
"""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from boursomatic_assets.sources import DECLARATIONS_FILE, SourceError

DATE, CLOCK, OFFSET = "date", "clock", "offset"

_TIME_PARTS = (
    r"^(?P<date>\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{8}|\d{1,2}-[A-Za-z]{3}-\d{4}|[A-Za-z]{3} \d{1,2}, \d{4})"
    r"(?:[ T](?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?|\d{6}))?"
    r" ?(?P<offset>[+-]\d{2}:?\d{2}|Z)?$"
)
"""A date, maybe a clock, maybe an offset from UTC."""

_UNAMBIGUOUS_FORMS = {
    r"^\d{4}-\d{1,2}-\d{1,2}$": "%Y-%m-%d",
    r"^\d{4}/\d{1,2}/\d{1,2}$": "%Y/%m/%d",
    r"^\d{8}$": "%Y%m%d",
    r"^\d{1,2}-[A-Za-z]{3}-\d{4}$": "%d-%b-%Y",
    r"^[A-Za-z]{3} \d{1,2}, \d{4}$": "%b %d, %Y",
}
"""Forms that cannot be taken for another."""

_AMBIGUOUS = r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}$"
ORDERS = {"dmy": "%d/%m/%Y", "mdy": "%m/%d/%Y"}
"""Forms that can be taken for each other."""


@dataclass(frozen=True)
class Clock:
    """What is known of a file's times beforehand.

    Attributes:
        zone: of wall times without an offset, if they are not UTC.
        order: a key of ORDERS, where the file's own rows do not decide.
    """

    zone: str = "UTC"
    order: str | None = None


def parse_times(cells: pl.Series, clock: Clock, name: str) -> pl.DataFrame:
    """The time of each distinct cell, for a daily and for an intraday bar, and the interval that all show.

    Args:
        cells: distinct times as text.
        clock: what is known about them beforehand.
        name: the file, for the error.

    Returns:
        cell, session (its date at 00:00), instant (in UTC), both Datetime us and null where the form does not
        fit; interval ("daily", "15m", "5m", ...), the same in every row.

    Raises:
        SourceError: day and month cannot be told apart by any row of the file, or rows contradict each other.
    """
    parsed = _parse_parts(cells.drop_nulls(), clock, name)
    # 22:00 UTC is the next day in Paris: a date alone, a midnight, or a local time with its offset says which.
    date_is_certain = (pl.col(CLOCK) == dt.time()) | (pl.col(CLOCK).is_not_null() & (pl.col(OFFSET) != 0))
    wall = pl.col(DATE).dt.combine(pl.col(CLOCK), time_unit="us")
    zoned = wall.dt.replace_time_zone(clock.zone, ambiguous="null", non_existent="null")
    utc = zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return parsed.select(
        "cell",
        session=pl.when(date_is_certain).then(pl.col(DATE).cast(pl.Datetime("us"))),
        instant=pl.when(pl.col(OFFSET).is_null()).then(utc).otherwise(wall - pl.duration(minutes=OFFSET)),
        interval=pl.lit(_detect_interval(parsed)),
    )


def _parse_parts(cells: pl.Series, clock: Clock, name: str) -> pl.DataFrame:
    """The date, the clock (midnight where there is none) and the offset in minutes of each cell."""
    parts = pl.DataFrame({"cell": cells}).with_columns(
        parts=pl.col("cell").str.strip_chars().str.extract_groups(_TIME_PARTS)
    )
    parts = parts.select("cell", pl.col("parts").struct.unnest())
    order = clock.order or _detect_order(parts[DATE].drop_nulls().unique(), name)
    hours = (
        pl.col(CLOCK).str.replace(r"^(\d{2})(\d{2})(\d{2})$", "$1:$2:$3").str.replace(r"^(\d+:\d{2})$", "$1:00")
    )
    return parts.select(
        "cell",
        date=_date_expr(order),
        clock=hours.fill_null("00:00:00").str.to_time("%H:%M:%S%.f", strict=False),
        offset=_offset_minutes(),
    )


def _date_expr(order: str | None) -> pl.Expr:
    forms = _UNAMBIGUOUS_FORMS | ({_AMBIGUOUS: ORDERS[order]} if order else {})
    same = pl.col(DATE).str.replace_all(r"[.]", "/")
    numbered = pl.when(pl.col(DATE).str.contains(_AMBIGUOUS)).then(same.str.replace_all("-", "/"))
    return pl.coalesce(
        (
            numbered if pattern == _AMBIGUOUS else pl.when(pl.col(DATE).str.contains(pattern)).then(pl.col(DATE))
        ).str.to_date(form, strict=False)
        for pattern, form in forms.items()
    )


def _detect_order(dates: pl.Series, name: str) -> str | None:
    """Whether the day comes first, as all of a file's dates tell together; None if no date is written so."""
    numbered = dates.filter(dates.str.contains(_AMBIGUOUS)).str.replace_all(r"[.-]", "/")
    fits = [numbered.str.to_date(form, strict=False).is_not_null() for form in ORDERS.values()]
    only_as = {
        order: int((fit & ~other).sum()) for order, fit, other in zip(ORDERS, fits, fits[::-1], strict=True)
    }
    both = numbered.filter(fits[0] & fits[1])
    if all(only_as.values()):
        reason = f"{only_as['dmy']} dates can only be day/month and {only_as['mdy']} only month/day"
    elif any(only_as.values()):
        return max(only_as, key=lambda order: only_as[order])
    elif len(both):
        reason = f"day and month cannot be told apart: {len(both)} dates such as {both[0]} fit both ways"
    else:
        return None
    raise SourceError(f"{name}: {reason}: state `dates: dmy` or `dates: mdy` for it in {DECLARATIONS_FILE}")


def _offset_minutes() -> pl.Expr:
    """The offset from UTC in minutes; null where there is none."""
    digits = pl.col(OFFSET).str.replace("Z", "+0000").str.replace(":", "")
    minutes = digits.str.slice(1, 2).cast(pl.Int64) * 60 + digits.str.slice(3, 2).cast(pl.Int64)
    return pl.when(digits.str.starts_with("-")).then(-minutes).otherwise(minutes)


def _detect_interval(parsed: pl.DataFrame) -> str:
    """Daily if every bar has the same wall time; else the least step between two bars of one date."""
    complete = parsed.drop_nulls(["date", "clock"])
    if complete["clock"].n_unique() <= 1:
        return "daily"
    steps = complete.sort("date", "clock").select(
        pl.col("clock").cast(pl.Duration("us")).diff().over("date").dt.total_minutes()
    )["clock"]
    least = min((step for step in steps.drop_nulls().to_list() if step > 0), default=0)
    return f"{least}m" if least else "daily"
