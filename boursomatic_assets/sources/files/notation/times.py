"""Times: the time stamps of a file, as vendors write them, as naive UTC.

What belongs here: the format of a file's dates, its clock's zone, and whether its bars are daily.
Kept elsewhere: which column holds the time (`files/layouts.py`).

All rows are read together: 02/07/2015 alone is February or July, but beside 13/07/2015 it is July. A row that does
not fit the file's format has no time, and is rejected by the contract.
"""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from boursomatic_assets.sources import DECLARATIONS_FILE, UNSTATED, SourceError

DATE, CLOCK, OFFSET = "date", "clock", "offset"

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

_TIME_PARTS = (
    r"^(?:[A-Za-z]{2,9}\.?,? )?"  # the day of the week
    r"(?P<date>\d{1,4}-\d{1,2}-\d{1,4}|\d{1,4}/\d{1,2}/\d{1,4}|\d{1,4}\.\d{1,2}\.\d{1,4}|\d{8}"
    r"|\d{1,2}[-/ .]{1,2}\pL{3,9}\.?[-/ ,]{1,2}(?:\d{4}|\d{2})|\pL{3,9}\.? \d{1,2},? \d{4}"
    r"|\d{4}[- ]\pL{3,9}[- ]\d{1,2})"
    r"(?:(?:[ T]|, )(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?|\d{6}|\d{4}) ?(?P<half>[AaPp]\.?[Mm]\.?)?"
    r" ?(?P<offset>[+-]\d{2}(?::?\d{2})?|Z|UTC|GMT)?)?$"
)
"""A date, maybe a clock, maybe an offset from UTC."""

_YEAR_FIRST = r"^\d{4}/\d{1,2}/\d{1,2}$"
_NUMBERED = r"^\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})$"
ORDERS = {"dmy": "$3/$2/$1", "mdy": "$3/$1/$2", "ymd": "$1/$2/$3"}
"""Orders of numbers that can be taken for each other, and how each is written with its year first."""
FORM_BY_ORDER = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}

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
    if not (cells.str.len_bytes() == 10).all():
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
    parts = parts.select("cell", pl.col("parts").struct.unnest()).with_columns(_numbered_date().alias("numbered"))
    order = _order_of(parts.drop_nulls("numbered"), clock.order, name)
    hours = (
        pl.col(CLOCK)
        .str.replace(r"^(\d{2})(\d{2})(\d{2})$", "$1:$2:$3")
        .str.replace(r"^(\d{2})(\d{2})$", "$1:$2")
        .str.replace(r"^(\d+:\d{2})$", "$1:00")
    )
    time = hours.fill_null("00:00:00").str.to_time("%H:%M:%S%.f", strict=False)
    return parts.select(
        "cell",
        date=_date_expr(order),
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


def _numbered_date() -> pl.Expr:
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


def _date_expr(order: str | None) -> pl.Expr:
    iso = pl.when(pl.col("numbered").str.contains(_YEAR_FIRST)).then(pl.col("numbered"))
    forms = [iso.str.to_date("%Y/%m/%d", strict=False)]
    if order:
        forms.append(_dates_in_order(order))
    return pl.coalesce(forms)


def _order_of(parts: pl.DataFrame, stated: str | None, name: str) -> str | None:
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
    return _detect_order(numbered["numbered"], read, name)


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


def _detect_order(numbered: pl.Series, read: pl.DataFrame, name: str) -> str | None:
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
