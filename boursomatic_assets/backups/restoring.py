"""Restoring: a set into an empty place, so that it goes on there as the platform did.

What belongs here: the order. All digests are proven before anything is written. Files come first, then the
platform's database, Dagster's last: until the end nothing is green that is not there. Each step can be done again,
so a restore that was killed is begun again by the same command.

Roles, grants and policies are those that a migration would make here, whatever names they had. Runs that went on
when the backup was made have no process here: they are ended as failed, and retried as any lost run.
Kept elsewhere: what must be empty (`emptiness.py`), that a place is being restored (`mark.py`), checks of what was
restored (`cli/operating/backups.py`).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.backups import BackupError, emptiness, mark, places
from boursomatic_assets.backups.folder import BackupFolder
from boursomatic_assets.backups.manifest import CopiedFile, Manifest
from boursomatic_assets.database import dumps, migrate
from boursomatic_assets.database.addresses import is_embedded
from boursomatic_assets.database.roles import grants
from boursomatic_assets.database.roles.logins import provide_embedded_logins
from boursomatic_assets.orchestration import dead_runs
from boursomatic_assets.orchestration.instance import ensure_dagster_home
from boursomatic_assets.stores import folders, streams
from boursomatic_assets.stores.folder_store import FolderStore
from boursomatic_assets.tables.archive import adoption
from boursomatic_assets.tables.chains import heads

NAMED = 20
"""How many parts that differ are named."""

ENDED = "it went on when the backup was made from which this platform is restored"


@dataclass(frozen=True)
class Restored:
    """What was restored.

    Attributes:
        name: The set.
        manifest: What it holds.
        revision: That of the schema now: an older one was upgraded.
        missing_roles: Those that the owner may not create.
        ended_runs: How many runs went on when the backup was made.
        left: The archived files of an earlier version that cannot be read, each with the reason.
    """

    name: str
    manifest: Manifest
    revision: str
    missing_roles: tuple[str, ...]
    ended_runs: int
    left: dict[str, str]


def restore(folder: str | Path, say: Callable[[str], None], name: str | None = None) -> Restored:
    """Restore a set, by default the newest, into an empty place.

    Args:
        folder: The folder of backups, a path or s3://bucket/prefix.
        say: Is told what is done at the moment.
        name: The set.

    Raises:
        BackupError: There is no such set, a part of it differs from its digest, newer code made it, or the place
            is not empty. Nothing is written.
        DatabaseError: A database cannot be filled; the same command goes on once that is mended.
    """
    source = BackupFolder(folder)
    chosen = source.choose(name)
    say(f"digests of {chosen}")
    held = prove(source, chosen)
    _begin(source, chosen, held)
    for one in held.files:
        _restore_file(source, one)
    missing = _fill_platform(source, chosen, held, say)
    _fill(source, chosen, held, places.DAGSTER, say)
    migrate.upgrade()
    left = adoption.adopt().left
    ended = _end_runs()
    heads.keep()
    mark.remove()
    return Restored(chosen, held, migrate.head_revision(), missing, ended, left)


def prove(source: BackupFolder, name: str) -> Manifest:
    """The manifest of a set of which every part is as it was written.

    Raises:
        BackupError: A part differs, or is missing: the message names it. Or newer code made the set.
    """
    held = source.manifest_of(name)
    if differing := list(source.differing(name, held)):
        more = f"; and {len(differing) - NAMED:,} more" if len(differing) > NAMED else ""
        raise BackupError(
            f"the set {name} of {source.address} is damaged: {'; '.join(differing[:NAMED])}{more}. Restore another"
            " set with --set, or make a backup anew where the platform still is"
        )
    if not migrate.knows(held.revision):
        raise BackupError(
            f"the set {name} has the revision {held.revision} of the schema, which this code does not know (it"
            f" needs {migrate.head_revision()}): restore it with the code that made it, {held.product}, or newer"
        )
    return held


def _begin(source: BackupFolder, name: str, held: Manifest) -> None:
    """Require an empty place, and mark it; or go on where a restore of the same set ended."""
    found = mark.read()
    if found is None:
        emptiness.require_empty()
        mark.write({"folder": source.address, "set": name, "sha256": held.sha256, "done": ""})
    elif found["sha256"] != held.sha256:
        mark.require_none()


def _restore_file(source: BackupFolder, one: CopiedFile) -> None:
    """Write a file, durably, unless it is there."""
    target = places.stores()[one.place]
    if target.holds(one.path, one.content):
        return
    pieces = source.store.pieces(source.file(one))
    if isinstance(target, FolderStore):
        path = folders.inside(target.folder, one.path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = streams.save(path.parent, pieces, path.name, one.mode)
    else:
        below, slash, last = one.path.rpartition("/")
        written = target.save(below + slash, pieces, last)
    if written != one.content:
        shown = source.store.shown(source.file(one))
        raise BackupError(f"{shown} changed while it was read: run the command again")


def _fill_platform(source: BackupFolder, name: str, held: Manifest, say: Callable[[str], None]) -> tuple[str, ...]:
    """The platform's rows, then its roles with their rights; the roles that the owner may not create."""
    _fill(source, name, held, places.PLATFORM, say)
    missing = _grant()
    if is_embedded():
        provide_embedded_logins()  # the writer owns Dagster's database, which is filled as that role
    return missing


def _grant() -> tuple[str, ...]:
    with database.engine("owner").begin() as connection:
        return grants.apply_after_restore(connection)


def _fill(source: BackupFolder, name: str, held: Manifest, which: str, say: Callable[[str], None]) -> None:
    """Fill a database, and count its rows; one that the mark names as done is left alone.

    Raises:
        BackupError: It holds other rows than the set.
    """
    found = mark.read() or {}
    if which in found["done"].split():
        return
    say(f"database {which}")
    url, wanted = places.urls()[which], held.databases[which].rows
    if not dumps.row_counts(url):
        with source.store.as_file(source.dump(name, which)) as path:
            dumps.restore(url, path)
        dumps.analyze(url)
    if which == places.PLATFORM:
        _grant()  # the owner sees no account before
    _require_rows(which, wanted, dumps.row_counts(url))
    mark.write(found | {"done": f"{found['done']} {which}"})


def _require_rows(which: str, wanted: dict[str, int], found: dict[str, int]) -> None:
    for table in sorted(wanted.keys() | found.keys()):
        if wanted.get(table) != found.get(table):
            raise BackupError(
                f"the database {which} has {_rows(found, table)} in {table}, and the backup has"
                f" {_rows(wanted, table)}: somebody wrote there meanwhile, so empty the place and begin again"
            )


def _rows(counts: dict[str, int], table: str) -> str:
    return f"{counts[table]:,} rows" if table in counts else "no table"


def _end_runs() -> int:
    """End what went on when the backup was made; the daemon retries what it would retry."""
    os.environ["DAGSTER_HOME"] = str(ensure_dagster_home())
    with dg.DagsterInstance.get() as instance:
        return dead_runs.end_all(instance, ENDED)
