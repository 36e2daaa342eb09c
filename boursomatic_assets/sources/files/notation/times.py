"""Times: the time stamps of a file, as vendors write them, as naive UTC.

What belongs here: the format of a file's dates, its clock's zone, and whether its bars are daily.
Kept elsewhere: which column holds the time (`files/layouts/`).

All rows are read together: 02/07/2015 alone is February or July, but beside 13/07/2015 it is July. A row that does
not fit the file's format has no time, and is rejected by the contract.
"""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from boursomatic_assets.sources import DECLARATIONS_FILE, UNSTATED, SourceError
from boursomatic_assets.sources.files.notation.dates import (
    DATE,
    FORM_BY_ORDER,
    date_expr,
    detect_order,
    numbered_date,
)

CLOCK, OFFSET = "clock", "offset"

_TIME_PARTS = (
    r"^(?:[A-Za-z]{2,9}\.?,? )?"  # the day of the week
    r"(?P<date>\d{1,4}-\d{1,2}-\d{1,4}|\d{1,4}/\d{1,2}/\d{1,4}|\d{1,4}\.\d{1,2}\.\d{1,4}|\d{8}"
    r"|\d{1,2}[-/ .]{1,2}\pL{3,9}\.?[-/ ,]{1,2}(?:\d{4}|\d{2})|\pL{3,9}\.? \d{1,2},? \d{4}"
    r"|\d{4}[- ]\pL{3,9}[- ]\d{1,2})"
    r"(?:(?:[ T]|, )(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?|\d{6}|\d{4}) ?(?P<half>[AaPp]\.?[Mm]\.?)?"
    r" ?(?P<offset>[+-]\d{2}(?::?\d{2})?|Z|UTC|GMT)?)?$"
)
"""A date, maybe a clock, maybe an offset from UTC."""

_COMPACT = (
    r"^((?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))((?:[01]\d|2[0-3])(?:[0-5]\d){1,2})(?:\.0+)?$"
)
"""A date and a clock without anything between them; no epoch of a market's bars looks so."""

_EPOCH = r"^(\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19})(?:\.\d+)?$"

_UNIT_BY_DIGITS = {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}
"""The unit of a time since 1970, by the digits that it has in the decades of any market's bars."""

LATEST_CLOCK = dt.time(22)
"""From here on a clock in UTC may belong to the next day of Paris."""

_UTC = ("UTC", "Etc/UTC", "GMT")


@dataclass(frozen=True)
class Clock:
    """What is known of a file's times beforehand.

    Attributes:
        zone: of wall times without an offset; None: nothing says it.
        order: a key of ORDERS, where the file's own rows do not decide.
        interval: of the bars, where it is stated.
    """

    zone: str | None = None
    order: str | None = None
    interval: str | None = None


def parse_times(cells: pl.Series, clock: Clock, name: str) -> pl.DataFrame:
    """The time of each distinct cell, for a daily and for an intraday bar, and the interval that all show.

    Args:
        cells: distinct times as text.
        clock: what is known about them beforehand.
        name: the file, for the error.

    Returns:
        cell, session (its date at 00:00), instant (in UTC), both Datetime us and null where the form does not
        fit; paris, whether a midnight of Paris says the session, which it does not for other markets;
        interval ("daily", "15m", "5m", ...), the same in every row; form, in which dates are written.

    Raises:
        SourceError: day and month cannot be told apart by any row of the file, rows contradict each other, or
            wall times need a zone that nothing says.
    """
    if clock.interval in (None, "daily") and (dates := _iso_dates(cells)) is not None:
        return dates
    parsed = _parse_parts(cells.drop_nulls(), clock, name)
    interval = clock.interval or _detect_interval(parsed)
    _require_zone(parsed, interval, clock, name)
    wall = pl.col(DATE).dt.combine(pl.col(CLOCK), time_unit="us")
    zoned = wall.dt.replace_time_zone(clock.zone or "UTC", ambiguous="null", non_existent="null")
    utc = zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    instant = pl.when(pl.col(OFFSET).is_null()).then(utc).otherwise(wall - pl.duration(minutes=OFFSET))
    at_midnight = _is_midnight_of_paris(clock.zone).fill_null(False)
    return parsed.with_columns(instant=instant).select(
        "cell",
        session=_session_expr(clock.zone),
        instant="instant",
        paris=at_midnight,
        interval=pl.lit(interval),
        form="form",
    )


def _iso_dates(cells: pl.Series) -> pl.DataFrame | None:
    """The times of cells that are all written like 2024-06-13, which most are; None if one is not."""
    if not cells.str.contains(r"^\d{4}-\d{2}-\d{2}$").all():
        return None
    dates = cells.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    if dates.has_nulls():
        return None
    return pl.DataFrame({"cell": cells, "session": dates, "instant": dates}).with_columns(
        paris=pl.lit(False), interval=pl.lit("daily"), form=pl.lit(FORM_BY_ORDER["ymd"])
    )


_IN_PARIS = pl.col("instant").dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Paris")


def _offset_expr(zone: str | None) -> pl.Expr:
    """The offset of a clock, 1 if its zone is stated and is not UTC."""
    return pl.col(OFFSET) if zone is None or zone in _UTC else pl.col(OFFSET).fill_null(1)


def _is_midnight_of_paris(zone: str | None) -> pl.Expr:
    late, in_utc = pl.col(CLOCK) >= LATEST_CLOCK, _offset_expr(zone).fill_null(0).eq(0)
    return late & in_utc & (_IN_PARIS.dt.time() == dt.time())


def _session_expr(zone: str | None) -> pl.Expr:
    """The date of a daily bar, as it stands; but a midnight of Paris, written in UTC, is the next date.

    22:00 UTC is the next day in Paris: a date alone, an earlier clock, or a clock of another zone says which. If
    all clocks of another zone show a midnight of UTC, they were dates once.
    """
    date, late = pl.col(DATE).cast(pl.Datetime("us")), pl.col(CLOCK) >= LATEST_CLOCK
    offset = _offset_expr(zone)
    of_utc = (offset != 0) & (pl.col(CLOCK) != dt.time()) & (pl.col("instant").dt.time() == dt.time())
    midnights_of_utc = of_utc.fill_null(False).all()
    return (
        pl.when(_is_midnight_of_paris(zone))
        .then(_IN_PARIS.dt.date().cast(pl.Datetime("us")))
        .when(midnights_of_utc)
        .then("instant")
        .when(~late | offset.ne(0).fill_null(False))
        .then(date)
    )


def _require_zone(parsed: pl.DataFrame, interval: str, clock: Clock, name: str) -> None:
    """Raise SourceError if wall times without an offset are needed as instants, and nothing says their zone."""
    wall = parsed.filter(pl.col(OFFSET).is_null() & pl.col(CLOCK).is_not_null())
    if interval == "daily":
        wall = wall.filter(pl.col(CLOCK) >= LATEST_CLOCK)
    if clock.zone is None and wall.height:
        raise SourceError(
            f"{name}: times such as {wall['cell'][0]} have no offset from UTC: state `zone:` for it in"
            f" {DECLARATIONS_FILE}, such as `zone: America/New_York`",
            zone=f"{UNSTATED}  # such as America/New_York",
        )


def _parse_parts(cells: pl.Series, clock: Clock, name: str) -> pl.DataFrame:
    """The date, the clock (midnight where there is none) and the offset in minutes of each cell."""
    text = cells.str.strip_chars().str.replace(r"^(\d{8})\.0+$", "${1}").str.replace(_COMPACT, "${1} ${2}")
    if text.str.contains(_EPOCH).sum() > len(text) // 2:
        return _parse_epochs(cells, name)
    parts = pl.DataFrame({"cell": cells, "parts": text.str.extract_groups(_TIME_PARTS)})
    parts = parts.select("cell", pl.col("parts").struct.unnest()).with_columns(numbered_date().alias("numbered"))
    order = detect_order(parts.drop_nulls("numbered"), clock.order, name)
    hours = (
        pl.col(CLOCK)
        .str.replace(r"^(\d{2})(\d{2})(\d{2})$", "$1:$2:$3")
        .str.replace(r"^(\d{2})(\d{2})$", "$1:$2")
        .str.replace(r"^(\d+:\d{2})$", "$1:00")
    )
    time = hours.fill_null("00:00:00").str.to_time("%H:%M:%S%.f", strict=False)
    return parts.select(
        "cell",
        date=date_expr(order),
        clock=_with_half(time),
        offset=_offset_minutes(),
        form=pl.lit(FORM_BY_ORDER[order or "ymd"]),
    )


def _with_half(time: pl.Expr) -> pl.Expr:
    """A clock of twelve hours as one of twenty-four; the first of them is written 12."""
    half = pl.col("half").str.slice(0, 1).str.to_lowercase()
    hour = time.dt.hour().cast(pl.Int32)
    of_day = hour % 12 + pl.when(half == "p").then(12).otherwise(0)
    shifted = pl.time(of_day, time.dt.minute(), time.dt.second(), time.dt.nanosecond() // 1000)
    return pl.when(half.is_null()).then(time).when(hour.is_between(1, 12)).then(shifted)


def _parse_epochs(cells: pl.Series, name: str) -> pl.DataFrame:
    """Times in seconds, milliseconds, microseconds or nanoseconds since 1970, in the unit of all cells.

    Raises:
        SourceError: they have several units.
    """
    numbers = cells.str.strip_chars().str.extract(_EPOCH)
    units = numbers.str.len_chars().replace_strict(_UNIT_BY_DIGITS, default=None, return_dtype=pl.String)
    if units.drop_nulls().n_unique() > 1:
        raise SourceError(
            f"{name}: times such as {cells[0]} count from 1970 in several units: write all in one, or as dates"
        )
    unit = units.drop_nulls().to_list()[0]
    at = pl.from_epoch(numbers.cast(pl.Int64, strict=False), unit).cast(pl.Datetime("us"))
    return pl.DataFrame({"cell": cells, "at": at}).select(
        "cell",
        date=pl.col("at").dt.date(),
        clock=pl.col("at").dt.time(),
        offset=pl.when(pl.col("at").is_not_null()).then(pl.lit(0, pl.Int64)),
        form=pl.lit(f"{unit} since 1970"),
    )


def _offset_minutes() -> pl.Expr:
    """The offset from UTC in minutes; null where there is none."""
    digits = pl.col(OFFSET).str.replace("^(Z|UTC|GMT)$", "+0000").str.replace(":", "")
    minutes = digits.str.slice(1, 2).cast(pl.Int64) * 60 + digits.str.slice(3, 2).cast(
        pl.Int64, strict=False
    ).fill_null(0)
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
