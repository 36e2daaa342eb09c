"""Adoption: files of the archive from before files were named by rows, `date=.../market=.../bars.parquet`.

What belongs here: finding them, and naming their content under its SHA-256.
Kept elsewhere: new files (`moving.py`).

A file that is not adopted is not read: `boursomatic doctor` names it, and each archiving adopts it before anything
is moved. Once adopted it is a superseded file, and goes as those do (`files.remove_superseded`).
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database import server_time
from boursomatic_assets.stores import archive_files, places
from boursomatic_assets.tables.archive import files
from boursomatic_assets.tables.staging import lock_slice, transaction

FORMER = re.compile(rf"date=(\d{{4}}-\d\d-\d\d)/market=({'|'.join(MARKETS)})/bars\.parquet")


@dataclass(frozen=True)
class FormerFile:
    """A file that no row names."""

    part: Slice
    name: str


@dataclass(frozen=True)
class Adopted:
    """What was adopted.

    Attributes:
        names: The files that rows stand for now.
        left: The others, each with the reason.
    """

    names: list[str]
    left: dict[str, str]


def former_files() -> list[FormerFile]:
    """The files of before that are not adopted yet."""
    found = {one.name: one for one in _former_files()}
    if not found:
        return []
    f = files.FILES.c
    with database.engine().connect() as connection:
        known = set(connection.scalars(select(f.name).where(f.name.in_(found))))
    return [one for name, one in found.items() if name not in known]


def adopt() -> Adopted:
    """Let rows name every file of before; one that cannot be read, or whose session has a file, is left."""
    adopted = Adopted([], {})
    for one in former_files():
        try:
            reason = _adopt(one)
        except ValueError as error:
            reason = str(error)
        if reason:
            adopted.left[one.name] = reason
        else:
            adopted.names.append(one.name)
    return adopted


def _adopt(one: FormerFile) -> str | None:
    """Name the content of a file; the reason why it is left.

    Raises:
        ValueError: It cannot be parsed.
    """
    with transaction() as connection:
        files.lock_shared(connection)
        lock_slice(connection, files.TABLE, one.part)
        if files.archived_sessions(one.part):
            return "its session has another file in the archive, by which it is read: move it elsewhere"
        content = places.archive().get(one.name)
        count = archive_files.to_bars(content).height
        rows = files.rows_of(one.part)
        files.write(connection, rows, archive_files.name_of(one.part, content), content, count)
        superseded_at = server_time.database_time(connection)
        files.add(connection, rows, one.name, len(content), count, superseded_at)
    return None


def _former_files() -> Iterator[FormerFile]:
    for entry in places.archive().entries():
        found = FORMER.fullmatch(entry.name)
        if found and (date := _date(found[1])):
            yield FormerFile(Slice(MARKETS[found[2]], (date,)), entry.name)


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:  # no archiving has made such a folder
        return None
