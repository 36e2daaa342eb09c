"""Plain tables against tables partitioned by time: what docs/adr/0001-plain-tables.md rests on.

What belongs here: the same bars in both forms, and what is done with bars every day, every year, and once.
Kept elsewhere: the partitioned form itself (`migrations/optional/`).

Each form has a database of its own on one server, where up to 9.6 million bars lie in the order of their
sessions, as years of daily runs would leave them: 6 GB of disk at most. No autovacuum runs between.
"""

import concurrent.futures
import datetime as dt
import itertools
import os
import statistics
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import md5
from typing import Any

import numpy as np
import polars as pl
from helpers.harness import Line, interleaved, ratio, server, timed, times
from sqlalchemy import URL

SESSIONS = 5_000
SMALL, LARGE = 240, 1_920  # instruments, half of them in each market
EXCHANGES = {"US": "NYSE", "EURONEXT": "EURONEXT"}
FEW, MANY = 3, 11  # rounds of what takes seconds, and of what takes hundredths of one


@dataclass(frozen=True)
class Form:
    """One form of the table, in a database of its own."""

    name: str
    url: URL

    def use(self) -> None:
        """Make it the platform's database."""
        os.environ["DATABASE_URL"] = self.url.render_as_string(hide_password=False)

    def run(self, *statements: str) -> list[Any]:
        """Run statements in one session, each a transaction; the first column of the last one's rows."""
        from boursomatic_assets import database

        with database.connect(self.url) as connection:
            connection.autocommit = True
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return [row[0] for row in cursor] if cursor.description else []


Work = Callable[[Form, int], Any]  # what is done in a round, and what came of it


def lines() -> Iterator[Line]:
    """Yield what partitions cost and save: of a year and of a month, then of a year at the full size."""
    with server():
        yield from _compared(SMALL, "year", "month")
        yield from _compared(LARGE, "year")


def _compared(instruments: int, *lengths: str) -> Iterator[Line]:
    _plain, *others = forms = [_form(name, instruments) for name in ("plain", *lengths)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(partial(_fill, instruments=instruments), forms))
    size = f"{instruments * SESSIONS / 1e6:.1f} million bars"
    for what, (work, rounds) in _works(instruments).items():
        seconds = _measured(work, forms, rounds)
        for form, taken in zip(others, seconds[1:], strict=True):
            what_where = f"{what}: a partition a {form.name}, {size}"
            told = f"plain {statistics.median(seconds[0]):.2g} s"
            yield Line(what_where, "a plain table", times(ratio(taken, seconds[0])), "< 1 to switch", told)
    if instruments == SMALL:
        yield from _switches(others[0])
    for form in forms:
        _drop(form)


def _measured(work: Work, forms: list[Form], rounds: int) -> list[list[float]]:
    """Seconds of a work on each form and in each round, if all forms came to the same."""
    found: list[list[Any]] = [[] for _ in forms]

    def once(form: Form, results: list[Any]) -> None:
        results.append(work(form, len(results)))

    seconds = interleaved(*(partial(once, *pair) for pair in zip(forms, found, strict=True)), rounds=rounds)
    for form, results in zip(forms, found, strict=True):
        if not all(map(_same, results, found[0])):
            raise AssertionError(f"{form.name} and {forms[0].name} differ")
    return seconds


def _same(ours: Any, theirs: Any) -> bool:
    return ours.equals(theirs) if isinstance(ours, pl.DataFrame) else ours == theirs


# What is done with bars


def _works(instruments: int) -> dict[str, tuple[Work, int]]:
    def write(sessions: Callable[[int], np.ndarray]) -> Work:
        return lambda form, turn: _write(form, instruments, sessions(turn))

    history = (
        "SELECT ts, o, h, l, c, v FROM price_bars WHERE instrument_id = '{}' AND interval = 'daily' ORDER BY ts"
    )

    def read_history(form: Form, turn: int) -> pl.DataFrame:
        return _fetch(form, history.format(_identity("US", turn)))

    new_year = write(lambda turn: _year(2010 + turn))
    return {
        "a session of a market, read": (lambda form, turn: _read(form, _sessions()[400 * turn :][:1]), MANY),
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
    from boursomatic_assets.tables.grains import GRAINS
    from boursomatic_assets.tables.reading import read_slice

    form.use()
    return read_slice(GRAINS["price_bars"], _slice(sessions))


def _fetch(form: Form, query: str) -> pl.DataFrame:
    from boursomatic_assets import database

    form.use()
    with database.arrow_connection() as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetch_polars()


def _write(form: Form, instruments: int, sessions: np.ndarray) -> Any:
    """What the merge did, of bars that are made up from their instrument and session alone."""
    from boursomatic_assets import database
    from boursomatic_assets.tables import merging
    from boursomatic_assets.tables.grains import GRAINS

    form.use()
    with database.engine().begin() as connection:
        return merging.replace(connection, GRAINS["price_bars"], _slice(sessions), _bars(instruments, sessions))


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


def _switches(form: Form) -> Iterator[Line]:
    """Yield what the migration itself takes, back and there."""
    from boursomatic_assets.database import partitioning

    form.use()
    rows = form.run("SELECT count(*) FROM price_bars")[0]
    for name, switch in (("db unpartition", partitioning.unpartition), ("db partition", partitioning.partition)):
        figure = f"{timed(switch) / rows * 1e6:.1f} s"
        yield Line(f"`boursomatic {name}`", "-", figure, "-", f"a million bars, measured on {rows:,}")
        if form.run("SELECT count(*) FROM price_bars") != [rows]:
            raise AssertionError(f"{name} lost rows")


# Sessions and bars


def _sessions() -> np.ndarray:
    """The sessions of the US from 1990 on; the table is filled with the first 5,000, until late in 2009."""
    from boursomatic_assets.calendars.markets import MARKETS

    return MARKETS["US"].sessions()


def _year(year: int) -> np.ndarray:
    sessions = _sessions()
    return sessions[sessions.astype("datetime64[Y]") == np.datetime64(str(year))]


def _new_session(turn: int) -> np.ndarray:
    return _sessions()[SESSIONS + turn :][:1]


def _intraday(turn: int) -> Any:
    """The day of 15m bars that a round removes: one of the last."""
    return _sessions()[SESSIONS - FEW + turn]


def _slice(sessions: np.ndarray) -> Any:
    from boursomatic_assets.calendars.markets import MARKETS, all_sessions
    from boursomatic_assets.calendars.slices import Slice

    dates = all_sessions()
    return Slice(MARKETS["US"], tuple(dates[(dates >= sessions[0]) & (dates <= sessions[-1])].tolist()))


def _identity(market: str, number: int) -> str:
    return str(uuid.UUID(md5(f"{market}{number}".encode(), usedforsecurity=False).hexdigest()))


def _bars(instruments: int, sessions: np.ndarray) -> pl.DataFrame:
    number = pl.col("number")
    price = 50.0 + number * 7919 % 10_007 / 100
    listed = [(n, _identity("US", n)) for n in range(instruments // 2)]
    return (
        pl.DataFrame({"ts": sessions.astype("datetime64[us]")})
        .join(pl.DataFrame(listed, schema=["number", "instrument_id"], orient="row"), how="cross")
        .with_columns(o=price, h=price + 1, l=price - 1, c=price, v=pl.lit(1_000.0), interval=pl.lit("daily"))
        .drop("number")
    )


# The two forms


def _form(name: str, instruments: int) -> Form:
    """An empty database in a form, with partitions for all years that will be asked for."""
    from boursomatic_assets import database
    from boursomatic_assets.database import migrate, partitioning

    os.environ.pop("DATABASE_URL", None)
    form = Form(name, database.database_url().set(database=f"{name}_{instruments}"))
    form.use()
    migrate.upgrade()
    if name != "plain":
        identity = "'00000000-0000-0000-0000-000000000000'"
        form.run(
            f"INSERT INTO instruments (id, symbol, exchange) VALUES ({identity}, 'FIRST', 'NYSE')",
            "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval)"
            f" VALUES ({identity}, {identity}, '1990-01-02', 1, 1, 1, 1, 1, 'daily')",
        )
        partitioning.partition()
        form.run("DELETE FROM price_bars", "DELETE FROM instruments")
    if name == "month":
        _cut_into_months(form)
    settings = ("autovacuum = off", "max_wal_size = '512MB'")
    form.run(*(f"ALTER SYSTEM SET {setting}" for setting in settings), "SELECT pg_reload_conf()")
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


def _fill(form: Form, instruments: int) -> None:
    """Bars of 5,000 sessions, and the newest days' 15m bars, quickly: the indexes are built afterwards."""
    kept = form.run(
        "SELECT replace(indexdef, ' ON ONLY ', ' ON ') FROM pg_indexes"
        " WHERE schemaname = 'public' AND tablename = 'price_bars' AND indexname NOT LIKE 'pk_%'"
        " UNION ALL SELECT format('ALTER TABLE price_bars ADD CONSTRAINT %I ', conname)"
        "   || pg_get_constraintdef(oid)"
        " FROM pg_constraint WHERE conrelid = 'price_bars'::regclass AND contype IN ('p', 'f')"
    )
    dropped = form.run(
        "SELECT 'DROP INDEX ' || indexname FROM pg_indexes"
        " WHERE schemaname = 'public' AND tablename = 'price_bars' AND indexname NOT LIKE 'pk_%'"
        " UNION ALL SELECT format('ALTER TABLE price_bars DROP CONSTRAINT %I', conname)"
        " FROM pg_constraint WHERE conrelid = 'price_bars'::regclass AND contype IN ('p', 'f')"
    )
    listings = (_listing(market, instruments // 2) for market in EXCHANGES)
    form.run(*listings, *dropped, *_insertions(), *kept, "VACUUM (ANALYZE) price_bars")


def _listing(market: str, number: int) -> str:
    return (
        "INSERT INTO instruments (id, symbol, exchange)"
        f" SELECT md5('{market}' || n)::uuid, n, '{EXCHANGES[market]}' FROM generate_series(0, {number - 1}) AS n"
    )


def _insertions() -> Iterator[str]:
    """Statements that insert year by year, in the order of the sessions."""
    sessions = _sessions()[:SESSIONS]
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


def _drop(form: Form) -> None:
    from boursomatic_assets import database

    form.use()
    database.engine().dispose()
    del os.environ["DATABASE_URL"]
    with database.connect(database.database_url()) as connection:
        connection.autocommit = True
        connection.execute(f'DROP DATABASE "{form.url.database}" WITH (FORCE)'.encode())
