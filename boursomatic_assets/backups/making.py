"""Making: one set of all that the platform holds, while everything goes on.

What belongs here: the order, which makes the set consistent:

1. Dagster's storage. What is green there is committed, so it is in what is read later.
2. The heads of the chains, which enter their file after their rows.
3. One snapshot of the platform's database.
4. All other files. A file of a model or of the archive is there before the row that names it, and is never
   changed; none is removed meanwhile.

What a run writes meanwhile is in the set as far as it was committed. The manifest comes last: until then there is
no set, and the former ones stay. Kept elsewhere: the folder of sets (`folder.py`).
"""

import datetime as dt
import errno
import fcntl
import importlib.metadata
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from boursomatic_assets import absorbed, settings
from boursomatic_assets.backups import BackupError, places
from boursomatic_assets.backups.folder import FILES, BackupFolder
from boursomatic_assets.backups.manifest import CopiedFile, DumpedDatabase, Manifest
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.database import dumps
from boursomatic_assets.database.dumps import Snapshot
from boursomatic_assets.stores.folder_store import FolderStore
from boursomatic_assets.stores.store import Lock, MissingError, Store, digest_in
from boursomatic_assets.tables.archive import files

PLAIN = 0o644
"""The permissions of a file that comes from a bucket."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

REVISION = "SELECT version_num FROM public.alembic_version"
NAMED = {
    places.MODELS: "SELECT DISTINCT model_path FROM public.model_versions WHERE model_path IS NOT NULL ORDER BY 1",
    places.ARCHIVE: "SELECT name FROM public.archive_files WHERE superseded_at IS NULL ORDER BY 1",
}
"""The files that rows name, by where they lie."""


@dataclass
class Made:
    """What a backup has done.

    Attributes:
        name: The set.
        manifest: What it holds.
        copied: The files that were not in the folder yet.
        warnings: What the platform itself lacks, or what was left out.
        removed: The older sets that were not to be kept.
    """

    name: str
    manifest: Manifest
    copied: int
    warnings: list[str]
    removed: list[str]


@dataclass
class _Progress:
    folder: BackupFolder
    name: str
    say: Callable[[str], None]
    lock: Lock
    databases: dict[str, DumpedDatabase] = field(default_factory=dict)
    files: list[CopiedFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    copied: int = 0


def make(folder: str | Path, say: Callable[[str], None], keep: int | None = None) -> Made:
    """Make a set in a folder.

    Args:
        folder: Where to, a path or s3://bucket/prefix; a folder is made if it is not there.
        say: Is told what is done at the moment.
        keep: How many sets to keep, this one among them; all by default.

    Raises:
        BackupError: The folder lies within the platform's, or is full.
        StoreError: Another backup goes on there, or the folder's service is away or refuses.
        DatabaseError: A database cannot be dumped whole.
    """
    target = BackupFolder(folder)
    _require_apart(target.store)
    with _errors_named(target.store), target.locked() as lock:
        target.remove_unfinished()
        moment = utc_now()
        progress = _Progress(target, target.new_set(moment), say, lock)
        try:
            made = _fill(progress, moment)
        except BaseException:
            _forget(progress)
            raise
        lock.require()
        made.removed += target.keep(keep, lock) if keep else []
        return made


def _fill(progress: _Progress, moment: dt.datetime) -> Made:
    urls = places.urls()
    with dumps.snapshot(urls[places.DAGSTER]) as snapshot:
        _dump(progress, places.DAGSTER, snapshot)
    _copy_heads(progress)
    with files.none_removed():
        with dumps.snapshot(urls[places.PLATFORM]) as snapshot:
            revision = _read_revision(snapshot)
            named = {place: _read_names(snapshot, query) for place, query in NAMED.items()}
            _dump(progress, places.PLATFORM, snapshot)
        for place in (places.ARCHIVE, places.MODELS, places.DAGSTER, places.HOME):
            _copy_files(progress, place)
    _look_at_named(progress, named)
    return _finish(progress, moment, revision)


def _forget(progress: _Progress) -> None:
    """Remove a set that is not finished: it has no manifest."""
    try:
        progress.folder.remove(progress.name)
    except OSError as error:
        absorbed.record(error, f"the next backup removes what is there of {progress.name}")


def _read_revision(snapshot: Snapshot) -> str:
    """The revision of the schema.

    Raises:
        BackupError: There is none.
    """
    there = _exists(snapshot, "alembic_version")
    row = snapshot.connection.execute(REVISION).fetchone() if there else None
    if row is None:
        raise BackupError("the database has no tables of the platform: run `boursomatic db upgrade` first")
    return str(row[0])


def _read_names(snapshot: Snapshot, query: str) -> list[str]:
    """What a query returns; nothing from a schema of before its table."""
    table = query.partition("public.")[2].split()[0]
    return [str(name) for (name,) in snapshot.connection.execute(query)] if _exists(snapshot, table) else []


def _exists(snapshot: Snapshot, table: str) -> bool:
    row = snapshot.connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{table}"]).fetchone()
    return row is not None and bool(row[0])


def _finish(progress: _Progress, moment: dt.datetime, revision: str) -> Made:
    product = importlib.metadata.version("boursomatic")
    copied = tuple(sorted(progress.files, key=str))
    held = Manifest(moment.isoformat(timespec="seconds"), product, revision, progress.databases, copied)
    progress.lock.require()
    progress.folder.finish(progress.name, held)
    return Made(progress.name, held, progress.copied, progress.warnings, [])


def _dump(progress: _Progress, name: str, snapshot: Snapshot) -> None:
    progress.say(f"database {name}")
    rows = snapshot.row_counts()
    below, _, last = progress.folder.dump(progress.name, name).rpartition("/")
    content = progress.folder.store.save(f"{below}/", snapshot.dump(), last)
    progress.databases[name] = DumpedDatabase(content, snapshot.server_version(), rows)


def _copy_heads(progress: _Progress) -> None:
    """Copy the heads while nobody adds to them."""
    for path in places.heads_files():
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            _copy(progress, places.HOME, path.relative_to(settings.home()))


def _copy_files(progress: _Progress, place: str) -> None:
    progress.say(f"files of {place}")
    root, heads = places.folders().get(place), places.heads_files()
    for path in places.paths(place):
        if root and root / path in heads:
            continue
        if root and (root / path).is_symlink():
            if not places.is_own_link(place, path):
                progress.warnings.append(f"left out: {root / path} is a link")
            continue
        try:
            _copy(progress, place, path)
        except (FileNotFoundError, MissingError):  # a log that was purged meanwhile: what rows name stays
            continue


def _copy(progress: _Progress, place: str, path: Path) -> None:
    """Copy a file unless the folder has its content."""
    source, name = places.stores()[place], path.as_posix()
    content = source.claimed(name)
    if not progress.folder.holds(content):
        content = progress.folder.store.save(FILES, source.pieces(name))  # it may have grown
        progress.copied += 1
    mode = (source.folder / path).stat().st_mode & 0o777 if isinstance(source, FolderStore) else PLAIN
    progress.files.append(CopiedFile(place, name, content, mode))


def _look_at_named(progress: _Progress, named: dict[str, list[str]]) -> None:
    """Name each file that the database refers to and the platform itself does not have intact."""
    held = {(one.place, one.path) for one in progress.files if digest_in(one.path) in (None, one.content.sha256)}
    for place, names in named.items():
        for name in names:
            if (place, name) not in held:
                progress.warnings.append(
                    f"the platform has no intact file {place}/{name}, so the backup has none either"
                )


def _require_apart(target: Store) -> None:
    """Refuse a folder that a backup would copy into itself."""
    for place, source in places.stores().items():
        inside = f"{target.address}/".startswith(f"{source.address}/")
        if isinstance(target, FolderStore) and isinstance(source, FolderStore):
            inside = target.folder.resolve().is_relative_to(source.folder.resolve())
        if inside:
            raise BackupError(
                f"{target.address} lies in {source.address}, which is backed up ({place}): name a folder elsewhere"
            )


@contextmanager
def _errors_named(target: Store) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        folder = target.folder if isinstance(target, FolderStore) else Path(tempfile.gettempdir())
        free = shutil.disk_usage(folder).free >> 20
        raise BackupError(
            f"the disk of {folder} is full ({free} MiB are free): make room, and run the command again;"
            " the sets that were there are as they were"
        ) from error
