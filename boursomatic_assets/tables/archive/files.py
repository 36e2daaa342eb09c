"""Files: which file of the archive stands for which rows, by `archive_files`.

What belongs here: those rows, the content of the files that they name, and removing files of before.
Kept elsewhere: when rows are moved and files are named (`moving.py`, `year_moves.py`, `adoption.py`).
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Connection, insert, select, text

from boursomatic_assets import database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database.dumps import lift_limits
from boursomatic_assets.schema import ArchiveFile
from boursomatic_assets.stores import archive_files, places
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import fetch
from boursomatic_assets.tables.staging import advisory_lock, transaction

FILES = ArchiveFile.__table__

ASSET = "price_bars_15m"
"""The asset whose rows are archived by session."""

TABLE = GRAINS[ASSET].table.name

LOCK = "files of the archive"
"""The lock of whoever writes or copies files of the archive, shared, and of whoever removes some, alone."""

KEPT_SUPERSEDED = dt.timedelta(days=30)
"""How long a file stays whose place another has taken: longer than any reading, and than a restore goes back."""


@dataclass(frozen=True)
class Rows:
    """The rows that a file stands for.

    Attributes:
        asset: Whose rows they are.
        market: Of which market.
        first: Their session, or the first day of their year.
        last: Their session, or the last day of their year.
        months: Of a year what `coverage_by_month` says of its months.
    """

    asset: str
    market: str
    first: dt.datetime
    last: dt.datetime
    months: list[dict[str, Any]] | None = None

    @property
    def parameters(self) -> dict[str, object]:
        """What identifies them in `archive_files`."""
        return {"asset": self.asset, "market": self.market, "first": self.first}


@dataclass(frozen=True)
class ArchivedSession:
    """A session with a file in the archive.

    Attributes:
        part: The session.
        name: The file's name in the store.
        row_count: How many bars it holds.
    """

    part: Slice
    name: str
    row_count: int


def archived_sessions(part: Slice) -> list[ArchivedSession]:
    """The sessions of a slice that have a file, by what is committed, or by the moment of `one_moment`."""
    f = FILES.c
    found = fetch(
        select(f.first_session, f.name, f.row_count)
        .where(f.asset == ASSET, f.market == part.market.name, f.superseded_at.is_(None))
        .where(f.first_session >= part.start, f.first_session < part.end)
    )
    files = {row["first_session"].date(): row for row in found.iter_rows(named=True)}
    return [
        ArchivedSession(session, file["name"], file["row_count"])
        for session in part.chunks(1)
        if (file := files.get(session.dates[0]))
    ]


def read(session: ArchivedSession, columns: tuple[str, ...] = archive_files.COLUMNS) -> pl.DataFrame:
    """The archived bars of a session.

    Raises:
        archive_files.ArchiveFileError: Its file is missing, or is not as it was written.
        StoreError: The store is away, or refuses.
        ValueError: It is, and cannot be parsed.
    """
    store = places.archive()
    content = archive_files.read(store, session.name)
    try:
        return archive_files.to_bars(content, columns)
    except ValueError as error:
        raise ValueError(f"{store.shown(session.name)}: {error}") from error


def rows_of(session: Slice) -> Rows:
    """The 15m bars of a session."""
    return Rows(ASSET, session.market.name, session.start, session.start)


def write(connection: Connection, rows: Rows, name: str, content: bytes, row_count: int) -> None:
    """Write the file of some rows, and name it; one that stood for them is superseded.

    The transaction has the lock LOCK, shared, and that of the rows.

    Raises:
        StoreError: It cannot be written; nothing is named.
    """
    places.archive().write_once(name, content)
    if supersede(connection, rows, name) or not _is_named(connection, rows):
        add(connection, rows, name, len(content), row_count)


def supersede(connection: Connection, rows: Rows, name: str = "") -> bool:
    """Let the file that stands for some rows, unless it has this name, stand for them no longer."""
    done = text(
        "UPDATE archive_files SET superseded_at = clock_timestamp() WHERE asset = :asset AND market = :market"
        " AND first_session = :first AND superseded_at IS NULL AND name <> :name"
    )
    return bool(connection.execute(done, rows.parameters | {"name": name}).rowcount)


def add(
    connection: Connection,
    rows: Rows,
    name: str,
    size: int,
    row_count: int,
    superseded_at: dt.datetime | None = None,
) -> None:
    """Name a file of some rows."""
    row = ArchiveFile(
        asset=rows.asset,
        market=rows.market,
        first_session=rows.first,
        last_session=rows.last,
        name=name,
        size=size,
        row_count=row_count,
        superseded_at=superseded_at,
        months=rows.months,
    )
    connection.execute(insert(FILES).values(row.model_dump(exclude_unset=True) | {"id": row.id}))


def _is_named(connection: Connection, rows: Rows) -> bool:
    query = text(
        "SELECT EXISTS (SELECT FROM archive_files WHERE asset = :asset AND market = :market"
        " AND first_session = :first AND superseded_at IS NULL)"
    )
    return bool(connection.scalar(query, rows.parameters))


@contextmanager
def none_removed() -> Iterator[None]:
    """Let no file of the archive be removed within the block: what a snapshot of within names stays there."""
    with database.connect(database.database_url("owner")) as connection:
        connection.autocommit = True
        lift_limits(connection)
        connection.execute("SELECT pg_advisory_lock_shared(hashtextextended(%s, 0))", [LOCK])
        yield


def remove_superseded() -> int:
    """Remove files that were superseded longer than KEPT_SUPERSEDED ago, and what killed writers left unfinished.

    Nothing is removed while somebody writes or copies files.

    Returns:
        How many were removed.
    """
    with transaction() as connection:
        alone = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
        if not connection.scalar(alone, {"name": LOCK}):
            return 0
        long_ago = "superseded_at < clock_timestamp() - CAST(:kept AS interval)"
        deleted = text(f"DELETE FROM archive_files WHERE {long_ago} RETURNING name")
        names = set(connection.scalars(deleted, {"kept": KEPT_SUPERSEDED}))
        named = text("SELECT name FROM archive_files WHERE name = ANY(:names)")
        removed = names.difference(connection.scalars(named, {"names": [*names]}))
        for name in removed:
            places.archive().delete(name)
        places.archive().remove_unfinished()
        return len(removed)


def lock_shared(connection: Connection) -> None:
    """Let no file be removed until the transaction ends: one of the same content may be there already."""
    advisory_lock(connection, LOCK, shared=True)
