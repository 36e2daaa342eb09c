"""15m bars that are kept for good, in a plain table and in one partitioned by year: 96 million of them.

What belongs here: what is done with a table of 15m bars that nobody archives, beside the daily bars in it.
Kept elsewhere: smaller tables, and partitions of a month (`partitioning.py`).

1,920 instruments with 26 bars in each of 1,923 sessions (2010 to August 2017), and a daily bar in each, in the
order of their sessions. Each form has a database of its own on one server: 60 GB of disk while they are filled,
and two hours on two cores. No autovacuum runs between.
"""

import concurrent.futures
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from helpers import forms
from helpers.forms import EXCHANGES, Form, Work
from helpers.harness import Line, ratio, server, timed, times

INSTRUMENTS, SESSIONS, BARS = 1_920, 1_923, 26  # half of the instruments in each market
FIRST = "2010-01-04"
SIZE = f"{INSTRUMENTS * SESSIONS * BARS / 1e6:.0f} million 15m bars"
ONCE, FEW, SOME, MANY = 1, 3, 5, 11  # rounds, fewer of what takes longer
SETTINGS = ("autovacuum = off", "max_wal_size = '4GB'", "maintenance_work_mem = '1GB'")

AGAINST, AIM = "a plain table", "< 1 to switch"
STORED = (
    "SELECT sum({}(oid)) FROM pg_class WHERE oid = 'price_bars'::regclass"
    " OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'price_bars'::regclass)"
)
SERIES = "SELECT ts, o, h, l, c, v FROM price_bars WHERE instrument_id = '{}' AND interval = '15m'{} ORDER BY ts"


def lines() -> Iterator[Line]:
    """Yield what partitions of a year cost and save, and what the switch takes at this size."""
    with server():
        plain, year = compared = [
            forms.empty_form(name, f"{name}_15m", FIRST, *SETTINGS) for name in ("plain", "year")
        ]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            filled = list(pool.map(_filled, compared))
        yield _line("filled, with indexes", [filled[:1], filled[1:]], "both at once")
        for part, function in (("rows", "pg_table_size"), ("rows and indexes", "pg_total_relation_size")):
            stored, partitioned = (float(form.run(STORED.format(function))[0]) for form in compared)
            told = f"plain {stored / 1e9:.1f} GB"
            yield Line(
                f"size on disk of {part}: a partition a year, {SIZE}",
                AGAINST,
                times(partitioned / stored),
                "",
                told,
            )
        for what, (work, rounds) in _works().items():
            yield _line(what, forms.measured(work, compared, rounds))
        year.drop()
        yield from (forms.switched(plain, command) for command in ("partition", "unpartition"))
        plain.drop()


def _line(what: str, seconds: list[list[float]], note: str = "") -> Line:
    plain, year = seconds
    told = f"plain {float(f'{statistics.median(plain):.2g}'):g} s" + (f"; {note}" if note else "")
    return Line(f"{what}: a partition a year, {SIZE}", AGAINST, times(ratio(year, plain)), AIM, told)


# What is done with bars


def _works() -> dict[str, tuple[Work, int]]:
    def series(where: str) -> Work:
        return lambda form, turn: forms.fetch(form, SERIES.format(forms.identity("US", turn), where))

    return {
        "a session of a market's 15m bars, read": (_reading("price_bars_15m"), MANY),
        "an instrument's 8 years of 15m bars, read": (series(""), SOME),
        "an instrument's year of 15m bars, read": (
            series(" AND ts >= '2014-01-01' AND ts < '2015-01-01'"),
            SOME,
        ),
        "a new session of 15m bars, written": (_writing("price_bars_15m"), SOME),
        "that session again, unchanged": (_writing("price_bars_15m"), SOME),
        "a session of a market's daily bars, read": (_reading("price_bars"), MANY),
        "a year of a market's daily bars, read": (_read_year, FEW),
        "a new session of daily bars, written": (_writing("price_bars"), SOME),
        "a session of 15m bars, expired and vacuumed": (_expire, FEW),
        "a year of bars, removed for good": (_remove, ONCE),
    }


def _reading(grain: str) -> Work:
    return lambda form, turn: forms.read(form, grain, _session(160 * turn + 40))


def _read_year(form: Form, turn: int) -> pl.DataFrame:
    sessions = forms.us_sessions()
    return forms.read(
        form, "price_bars", sessions[sessions.astype("datetime64[Y]") == np.datetime64(f"{2012 + turn}")]
    )


def _writing(grain: str) -> Work:
    """A session after the last one that the table was filled with."""

    def write(form: Form, turn: int) -> Any:
        session = _session(SESSIONS + turn)
        stamps, interval = (session, "daily") if grain == "price_bars" else (_quarters(session), "15m")
        return forms.write(form, grain, session, forms.bars(INSTRUMENTS, stamps, interval))

    return write


def _expire(form: Form, turn: int) -> int:
    """Delete a session's 15m bars, a market at a time as the archive does, and vacuum the table that held them."""
    (session,) = _session(turn)
    deletions = (
        "DELETE FROM price_bars b USING instruments i WHERE i.id = b.instrument_id AND b.interval = '15m'"
        f" AND b.ts >= '{session}' AND b.ts < '{session + 1}' AND i.exchange = '{exchange}'"
        for exchange in EXCHANGES.values()
    )
    table = "price_bars" if form.name == "plain" else f"partitions.price_bars_{str(session)[:4]}"
    left = f"SELECT count(*) FROM price_bars WHERE ts >= '{session}' AND ts < '{session + 1}'"
    return form.run(*deletions, f"VACUUM {table}", left)[0]


def _remove(form: Form, turn: int) -> list[Any]:
    """Remove the oldest year: its partition, or its rows."""
    year = 2010 + turn
    if form.name == "plain":
        form.run(f"DELETE FROM price_bars WHERE ts < '{year + 1}-01-01'", "VACUUM price_bars")
    else:
        form.run(f"DROP TABLE partitions.price_bars_{year}")
    return form.run("SELECT min(ts) FROM price_bars")


# Sessions and bars


def _session(number: int) -> np.ndarray:
    sessions = forms.us_sessions()
    return sessions[sessions >= np.datetime64(FIRST)][number:][:1]


def _quarters(session: np.ndarray) -> np.ndarray:
    """The times of a session's 15m bars."""
    return session.astype("datetime64[m]")[0] + np.timedelta64(14 * 60 + 30, "m") + 15 * np.arange(BARS)


def _filled(form: Form) -> float:
    """Seconds that it takes to fill a form."""
    return timed(lambda: forms.fill(form, INSTRUMENTS, _insertions()))


def _insertions() -> Iterator[str]:
    """A statement for each session, with its daily bars and its 15m bars."""
    for number in range(SESSIONS):
        (session,) = _session(number)
        first, *_, last = _quarters(_session(number))
        yield (
            "INSERT INTO price_bars SELECT gen_random_uuid(), i.id, at, p, p + 1, p - 1, p, 1000, interval, now()"
            " FROM instruments i CROSS JOIN LATERAL (SELECT 50 + i.symbol::int * 7919 % 10007 / 100.0 AS p)"
            f" CROSS JOIN (SELECT timestamp '{session}' AS at, 'daily' AS interval UNION ALL"
            f"  SELECT generate_series(timestamp '{first}', '{last}', '15 minutes'), '15m') AS s ORDER BY at"
        )
