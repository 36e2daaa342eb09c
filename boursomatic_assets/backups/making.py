"""Making: one set of all that the platform holds, while everything goes on.

What belongs here: the order, which makes the set consistent:

1. Dagster's storage. What is green there is committed, so it is in what is read later.
2. The heads of the chains, which enter their file after their rows.
3. One snapshot of the platform's database, and in it the archive's files: nothing is moved to the archive until
   they are copied, so each bar of the snapshot is in its rows or in its files.
4. All other files. A model's file is there before the row that names it, and is never changed.

What a run writes meanwhile is in the set as far as it was committed. The manifest comes last: until then there is
no set, and the former ones stay. Kept elsewhere: the folder of sets (`folder.py`).
"""

import datetime as dt
import errno
import fcntl
import importlib.metadata
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from boursomatic_assets import settings
from boursomatic_assets.backups import BackupError, manifest, places
from boursomatic_assets.backups.folder import SUFFIX, BackupFolder
from boursomatic_assets.backups.manifest import CopiedFile, DumpedDatabase, Manifest
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.database import dumps
from boursomatic_assets.database.dumps import Snapshot
from boursomatic_assets.stores import atomic_files, streams
from boursomatic_assets.tables import archive

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

REVISION = "SELECT version_num FROM public.alembic_version"
MODEL_PATHS = "SELECT DISTINCT model_path FROM public.model_versions WHERE model_path IS NOT NULL ORDER BY 1"


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
    databases: dict[str, DumpedDatabase] = field(default_factory=dict)
    files: list[CopiedFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    copied: int = 0


def make(folder: Path, say: Callable[[str], None], keep: int | None = None) -> Made:
    """Make a set in a folder.

    Args:
        folder: Where to; it is made if it is not there.
        say: Is told what is done at the moment.
        keep: How many sets to keep, this one among them; all by default.

    Raises:
        BackupError: The folder lies within the platform's, is full, or another backup goes on there.
        DatabaseError: A database cannot be dumped whole.
    """
    target = BackupFolder(folder)
    _require_apart(target.path)
    with _errors_named(target.path), target.locked():
        target.remove_unfinished()
        moment = utc_now()
        progress = _Progress(target, target.new_set(moment), say)
        try:
            made = _fill(progress, moment)
        except BaseException:
            shutil.rmtree(target.sets / progress.name, ignore_errors=True)  # it has no manifest: it is no set
            raise
        made.removed += target.keep(keep) if keep else []
        return made


def _fill(progress: _Progress, moment: dt.datetime) -> Made:
    urls = places.urls()
    with dumps.snapshot(urls[places.DAGSTER]) as snapshot:
        _dump(progress, places.DAGSTER, snapshot)
    _copy_heads(progress)
    with ExitStack() as locks:
        locks.enter_context(archive.files_unchanged())
        with dumps.snapshot(urls[places.PLATFORM]) as snapshot:
            _copy_folder(progress, places.ARCHIVE)
            locks.close()
            revision, models = _read_revision(snapshot), _read_model_paths(snapshot)
            _dump(progress, places.PLATFORM, snapshot)
    for place in (places.MODELS, places.DAGSTER, places.HOME):
        _copy_folder(progress, place)
    _look_at_models(progress, models)
    return _finish(progress, moment, revision)


def _read_revision(snapshot: Snapshot) -> str:
    """The revision of the schema.

    Raises:
        BackupError: There is none.
    """
    (there,) = snapshot.connection.execute(
        "SELECT to_regclass('public.alembic_version') IS NOT NULL"
    ).fetchone() or (False,)
    row = snapshot.connection.execute(REVISION).fetchone() if there else None
    if row is None:
        raise BackupError("the database has no tables of the platform: run `boursomatic db upgrade` first")
    return str(row[0])


def _read_model_paths(snapshot: Snapshot) -> list[str]:
    return [str(path) for (path,) in snapshot.connection.execute(MODEL_PATHS)]


def _finish(progress: _Progress, moment: dt.datetime, revision: str) -> Made:
    product = importlib.metadata.version("boursomatic")
    files = tuple(sorted(progress.files, key=str))
    held = Manifest(moment.isoformat(timespec="seconds"), product, revision, progress.databases, files)
    manifest.write(progress.folder.sets / progress.name, held)
    atomic_files.sync_folder(progress.folder.sets)
    return Made(progress.name, held, progress.copied, progress.warnings, [])


def _dump(progress: _Progress, name: str, snapshot: Snapshot) -> None:
    progress.say(f"database {name}")
    rows = snapshot.row_counts()
    pieces = snapshot.dump()
    content = streams.save(progress.folder.sets / progress.name, pieces, f"{name}{SUFFIX}")
    progress.databases[name] = DumpedDatabase(content, snapshot.server_version(), rows)


def _copy_heads(progress: _Progress) -> None:
    """Copy the heads while nobody adds to them."""
    for path in places.heads_files():
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            _copy(progress, places.HOME, path.relative_to(settings.home()))


def _copy_folder(progress: _Progress, place: str) -> None:
    progress.say(f"files of {place}")
    root, heads = places.folders()[place], places.heads_files()
    for path in places.paths(place):
        if root / path in heads:
            continue
        if (root / path).is_symlink():
            if not places.is_own_link(place, path):
                progress.warnings.append(f"left out: {root / path} is a link")
            continue
        try:
            _copy(progress, place, path)
        except FileNotFoundError:  # a log that was purged meanwhile: what rows refer to is never removed
            continue


def _copy(progress: _Progress, place: str, path: Path) -> None:
    """Copy a file unless the folder has its content."""
    source = places.folders()[place] / path
    content = streams.content(source)
    if not progress.folder.holds(content):
        content = streams.save(progress.folder.files, streams.chunks(source))  # it may have grown
        progress.copied += 1
    progress.files.append(CopiedFile(place, str(path), content, source.stat().st_mode & 0o777))


def _look_at_models(progress: _Progress, models: list[str]) -> None:
    """Name each model file that the database refers to and the platform itself does not have intact."""
    held = {f"{one.content.sha256}.json" for one in progress.files if one.place == places.MODELS}
    for path in models:
        if path not in held:
            progress.warnings.append(
                f"the platform has no intact model file {path}, so the backup has none either"
            )


def _require_apart(folder: Path) -> None:
    """Refuse a folder that a backup would copy into itself."""
    for place, root in places.folders().items():
        if folder.resolve().is_relative_to(root.resolve()):
            raise BackupError(f"{folder} lies in {root}, which is backed up ({place}): name a folder elsewhere")


@contextmanager
def _errors_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(folder).free >> 20
        raise BackupError(
            f"the disk of {folder} is full ({free} MiB are free): make room, and run the command again;"
            " the sets that were there are as they were"
        ) from error
