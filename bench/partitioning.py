"""Plain tables against tables partitioned by time: what docs/adr/0001-plain-tables.md rests on.

What belongs here: the same bars in both forms, and what is done with bars every day, every year, and once.
Kept elsewhere: the partitioned form itself (`migrations/optional/`), a larger table (`partitioning_large.py`).

Each form has a database of its own on one server, where up to 9.6 million bars lie in the order of their
sessions, as years of daily runs would leave them: 6 GB of disk at most. No autovacuum runs between.
"""

import concurrent.futures
import datetime as dt
import itertools
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
from helpers import forms
from helpers.forms import Form, Work
from helpers.harness import Line, ratio, server, times

SESSIONS = 5_000
SMALL, LARGE = 240, 1_920  # instruments, half of them in each market
FEW, MANY = 3, 11  # rounds of what takes seconds, and of what takes hundredths of one


def lines() -> Iterator[Line]:
    """Yield what partitions cost and save: of a year and of a month, then of a year at the full size."""
    with server():
        yield from _compared(SMALL, "year", "month")
        yield from _compared(LARGE, "year")


def _compared(instruments: int, *lengths: str) -> Iterator[Line]:
    _plain, *others = compared = [_form(name, instruments) for name in ("plain", *lengths)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda form: forms.fill(form, instruments, _insertions()), compared))
    size = f"{instruments * SESSIONS / 1e6:.1f} million bars"
    for what, (work, rounds) in _works(instruments).items():
        seconds = forms.measured(work, compared, rounds)
        for form, taken in zip(others, seconds[1:], strict=True):
            what_where = f"{what}: a partition a {form.name}, {size}"
            told = f"plain {statistics.median(seconds[0]):.2g} s"
            yield Line(what_where, "a plain table", times(ratio(taken, seconds[0])), "< 1 to switch", told)
    if instruments == SMALL:
        yield from (forms.switched(others[0], command) for command in ("unpartition", "partition"))
    for form in compared:
        form.drop()


# What is done with bars


def _works(instruments: int) -> dict[str, tuple[Work, int]]:
    def write(sessions: Callable[[int], np.ndarray]) -> Work:
        return lambda form, turn: _write(form, instruments, sessions(turn))

    history = (
        "SELECT ts, o, h, l, c, v FROM price_bars WHERE instrument_id = '{}' AND interval = 'daily' ORDER BY ts"
    )

    def read_history(form: Form, turn: int) -> pl.DataFrame:
        return forms.fetch(form, history.format(forms.identity("US", turn)))

    new_year = write(lambda turn: _year(2010 + turn))
    return {
        "a session of a market, read": (lambda form, turn: _read(form, _session(400 * turn)), MANY),
        "a year of a market, read": (lambda form, turn: _read(form, _year(1995 + turn)), FEW),
        "an instrument's 20 years, read": (read_history, MANY),
        "a new session, written": (write(_new_session), MANY),
        "that session again, unchanged": (write(_new_session), MANY),
        "a new year, written": (new_year, FEW),
        "that year again, unchanged": (new_year, FEW),
        "a day of 15m bars, expired and vacuumed": (_expire, FEW),
        "a year of bars, removed for good": (lambda form, turn: _remove(form, 1990 + turn), FEW),
    }


def _read(form: Form, sessions: np.ndarray) -> pl.DataFrame:
    return forms.read(form, "price_bars", sessions)


def _write(form: Form, instruments: int, sessions: np.ndarray) -> Any:
    return forms.write(form, "price_bars", sessions, forms.bars(instruments, sessions, "daily"))


def _expire(form: Form, turn: int) -> list[Any]:
    """Delete the oldest day of 15m bars, and vacuum the table that they stood in."""
    table = "price_bars" if form.name == "plain" else f"partitions.price_bars_{_place(form, _intraday(turn))}"
    end = _intraday(turn) + 1
    expired = f"DELETE FROM price_bars WHERE interval = '15m' AND ts < '{end}'"
    return form.run(expired, f"VACUUM {table}", "SELECT count(*) FROM price_bars WHERE interval = '15m'")


def _remove(form: Form, year: int) -> list[Any]:
    """Remove the oldest year: its partitions, or its rows."""
    months = [np.datetime64(f"{year}-{month:02}-01") for month in range(1, 13)]
    places = dict.fromkeys(_place(form, month) for month in months)
    if form.name == "plain":
        form.run(f"DELETE FROM price_bars WHERE ts < '{year + 1}-01-01'", "VACUUM price_bars")
    else:
        form.run(*(f"DROP TABLE partitions.price_bars_{place}" for place in places))
    return form.run("SELECT min(ts) FROM price_bars")


# Sessions: the table is filled with the first 5,000, until late in 2009


def _session(number: int) -> np.ndarray:
    return forms.us_sessions()[number:][:1]


def _year(year: int) -> np.ndarray:
    sessions = forms.us_sessions()
    return sessions[sessions.astype("datetime64[Y]") == np.datetime64(str(year))]


def _new_session(turn: int) -> np.ndarray:
    return _session(SESSIONS + turn)


def _intraday(turn: int) -> Any:
    """The day of 15m bars that a round removes: one of the last."""
    return forms.us_sessions()[SESSIONS - FEW + turn]


# The two forms


def _form(name: str, instruments: int) -> Form:
    """An empty database in a form, with partitions for all years that will be asked for."""
    settings = ("autovacuum = off", "max_wal_size = '512MB'")
    form = forms.empty_form(name, f"{name}_{instruments}", "1990-01-02", *settings)
    if name == "month":
        _cut_into_months(form)
    return form


def _cut_into_months(form: Form) -> None:
    for year in range(1990, dt.date.today().year + 2):
        starts = [dt.date(year + month // 12, month % 12 + 1, 1) for month in range(13)]
        form.run(
            f"DROP TABLE partitions.price_bars_{year}",
            *(
                f"CREATE TABLE partitions.price_bars_{start:%Y%m} PARTITION OF price_bars"
                f" FOR VALUES FROM ('{start}') TO ('{end}')"
                for start, end in itertools.pairwise(starts)
            ),
        )


def _place(form: Form, date: Any) -> str:
    """The name of the partition of a date, without the table's."""
    return str(date)[:7].replace("-", "") if form.name == "month" else str(date)[:4]


def _insertions() -> Iterator[str]:
    """Statements that insert year by year, in the order of the sessions; the 15m bars of the newest days last."""
    sessions = forms.us_sessions()[:SESSIONS]
    insert = (
        "INSERT INTO price_bars SELECT gen_random_uuid(), i.id, at, p, p + 1, p - 1, p, 1000, '{}', now()"
        " FROM unnest('{}'::timestamp[]) AS s(ts) CROSS JOIN instruments i"
        " CROSS JOIN LATERAL (SELECT 50 + i.symbol::int * 7919 % 10007 / 100.0 AS p)"
        " CROSS JOIN generate_series(ts, ts + interval '{}', '15 minutes') AS at ORDER BY at"
    )
    for year in np.unique(sessions.astype("datetime64[Y]")):
        dates = sessions[sessions.astype("datetime64[Y]") == year]
        yield insert.format("daily", f"{{{','.join(map(str, dates))}}}", "0 minutes")
    for turn in range(FEW):
        yield insert.format("15m", f"{{{_intraday(turn)} 14:30}}", "6 hours 15 minutes")
