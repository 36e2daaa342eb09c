"""Forms of the table of bars, plain or partitioned, each in a database of its own on one server.

What belongs here: making a form, filling it, doing the same work on all forms, and comparing what came of it.
Kept elsewhere: which bars, and what is done with them (`partitioning.py`, `partitioning_large.py`).
"""

import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from hashlib import md5
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import URL

from helpers.harness import Line, interleaved, timed

EXCHANGES = {"US": "NYSE", "EURONEXT": "EURONEXT"}


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

    def drop(self) -> None:
        """Drop its database."""
        from boursomatic_assets import database

        self.use()
        database.engine().dispose()
        del os.environ["DATABASE_URL"]
        with database.connect(database.database_url("owner")) as connection:
            connection.autocommit = True
            connection.execute(f'DROP DATABASE "{self.url.database}" WITH (FORCE)'.encode())


Work = Callable[[Form, int], Any]  # what is done in a round, and what came of it


def empty_form(name: str, database_name: str, first: str, *settings: str) -> Form:
    """An empty database, with partitions from the year of `first` on, unless its name is `plain`."""
    from boursomatic_assets import database
    from boursomatic_assets.database import migrate, partitioning

    os.environ.pop("DATABASE_URL", None)
    form = Form(name, database.database_url("owner").set(database=database_name))
    form.use()
    migrate.upgrade()
    if name != "plain":
        identity = "'00000000-0000-0000-0000-000000000000'"
        form.run(
            f"INSERT INTO instruments (id, symbol, exchange) VALUES ({identity}, 'FIRST', 'NYSE')",
            "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval)"
            f" VALUES ({identity}, {identity}, '{first}', 1, 1, 1, 1, 1, 'daily')",
        )
        partitioning.partition()
        form.run("DELETE FROM price_bars", "DELETE FROM instruments")
    form.run(*(f"ALTER SYSTEM SET {setting}" for setting in settings), "SELECT pg_reload_conf()")
    return form


def fill(form: Form, instruments: int, insertions: Iterable[str]) -> None:
    """Insert instruments and bars, quickly: the indexes are built afterwards, and both tables analysed."""
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
    form.run(*listings, *dropped, *insertions, *kept, "ANALYZE instruments", "VACUUM (ANALYZE) price_bars")


def _listing(market: str, number: int) -> str:
    return (
        "INSERT INTO instruments (id, symbol, exchange)"
        f" SELECT md5('{market}' || n)::uuid, n, '{EXCHANGES[market]}' FROM generate_series(0, {number - 1}) AS n"
    )


def measured(work: Work, forms: list[Form], rounds: int) -> list[list[float]]:
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


# What is done with the bars of a form


def read(form: Form, grain: str, sessions: np.ndarray) -> pl.DataFrame:
    """The bars of the US's sessions, as the platform reads them."""
    from boursomatic_assets.tables.grains import GRAINS
    from boursomatic_assets.tables.reading import read_slice

    form.use()
    return read_slice(GRAINS[grain], slice_of(sessions))


def fetch(form: Form, query: str) -> pl.DataFrame:
    """The rows of a query, through Arrow."""
    from boursomatic_assets import database

    form.use()
    with database.arrow_connection() as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetch_polars()


def write(form: Form, grain: str, sessions: np.ndarray, frame: pl.DataFrame) -> Any:
    """What the platform's merge did with bars of the US's sessions."""
    from boursomatic_assets import database
    from boursomatic_assets.tables import merging
    from boursomatic_assets.tables.grains import GRAINS

    form.use()
    with database.engine().begin() as connection:
        return merging.replace(connection, GRAINS[grain], slice_of(sessions), frame)


def switched(form: Form, command: str) -> Line:
    """What `boursomatic db partition` or `db unpartition` takes for a million bars."""
    from boursomatic_assets.database import partitioning

    form.use()
    rows = form.run("SELECT count(*) FROM price_bars")[0]
    seconds = timed(partitioning.partition if command == "partition" else partitioning.unpartition)
    if form.run("SELECT count(*) FROM price_bars") != [rows]:
        raise AssertionError(f"{command} lost rows")
    figure = f"{seconds / rows * 1e6:.1f} s"
    return Line(f"`boursomatic db {command}`", "-", figure, "-", f"a million bars, measured on {rows:,}")


def us_sessions() -> np.ndarray:
    """The sessions of the US from 1990 on."""
    from boursomatic_assets.calendars.markets import MARKETS

    return MARKETS["US"].sessions()


def slice_of(sessions: np.ndarray) -> Any:
    """The slice of the US from the first to the last of these sessions."""
    from boursomatic_assets.calendars.markets import MARKETS, all_sessions
    from boursomatic_assets.calendars.slices import Slice

    dates = all_sessions()
    return Slice(MARKETS["US"], tuple(dates[(dates >= sessions[0]) & (dates <= sessions[-1])].tolist()))


def identity(market: str, number: int) -> str:
    """The id of an instrument."""
    return str(uuid.UUID(md5(f"{market}{number}".encode(), usedforsecurity=False).hexdigest()))


def bars(instruments: int, times: np.ndarray, interval: str) -> pl.DataFrame:
    """The bars of the US's half of the instruments, made up from the instrument and the time alone."""
    number = pl.col("number")
    price = 50.0 + number * 7919 % 10_007 / 100
    listed = [(n, identity("US", n)) for n in range(instruments // 2)]
    return (
        pl.DataFrame({"ts": times.astype("datetime64[us]")})
        .join(pl.DataFrame(listed, schema=["number", "instrument_id"], orient="row"), how="cross")
        .with_columns(o=price, h=price + 1, l=price - 1, c=price, v=pl.lit(1_000.0), interval=pl.lit(interval))
        .drop("number")
    )
