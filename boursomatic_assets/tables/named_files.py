"""Named files: the files of the store that rows name, models and the archive.

What belongs here: which they are, whether the store has them, and copying them to another store.
Kept elsewhere: reading one (`registry/model_files.py`, `archive/files.py`), the stores (`stores/`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import select

from boursomatic_assets import database, settings
from boursomatic_assets.schema import ArchiveFile, ModelVersion
from boursomatic_assets.stores import leases, places
from boursomatic_assets.stores.places import ARCHIVE, BACKUPS, MODELS
from boursomatic_assets.stores.store import AwayError, DamagedError, Store, StoreError, digest_in
from boursomatic_assets.tables.archive import files

NAMED = 3
"""How many of the files that are missing are named."""


@dataclass(frozen=True)
class Survey:
    """The files of the store beside those that rows name, each by its place and its name.

    Attributes:
        named: How many files rows name.
        missing: Those of them that are not there, or have another size than their row says.
        unnamed: Files that no row names.
    """

    named: int
    missing: list[str]
    unnamed: list[str]


def survey() -> Survey:
    """Compare what rows name with what the store lists; no content is read."""
    named = _named()
    listed = {(place, entry.name): entry.size for place, store in _stores().items() for entry in store.entries()}
    missing = [key for key, size in named.items() if key not in listed or size not in (None, listed[key])]
    known = named.keys() | {(ARCHIVE, name) for name in _superseded()}
    return Survey(len(named), _shown(missing), _shown(listed.keys() - known))


def damaged() -> Iterator[str]:
    """Read every file that a row names, and say what is wrong with those that are not as they were written."""
    stores = _stores()
    for place, name in sorted(_named()):
        try:
            stores[place].read(name)
        except AwayError:
            raise
        except OSError as error:
            yield str(error)


def require_store() -> None:
    """Require the store that rows name files of, before a run computes what it could not keep.

    Raises:
        StoreError: It is away, it refuses, or it is another one: it lacks the newest files that rows name.
    """
    m, f = ModelVersion.__table__.c, ArchiveFile.__table__.c
    newest = {
        MODELS: select(m.model_path).where(m.model_path.is_not(None)).order_by(m.trained_at.desc()).limit(1),
        ARCHIVE: select(f.name).where(f.superseded_at.is_(None)).order_by(f.written_at.desc()).limit(1),
    }
    for place, store in _stores().items():
        with database.engine().connect() as connection:
            name = connection.scalar(newest[place])
        if store.find(name or "none") is None and name:
            raise StoreError(
                f"{store.shown(name)} is missing, which a row of the database names: set BOURSOMATIC_STORE here as"
                " on the machines that wrote it, or bring the file back from a backup"
            )


def move(source: str, target: str, say: Callable[[str], None]) -> int:
    """Copy all files that rows name from one store to another, and the backups that lie there; none is removed.

    What the other has intact is left as it is, so a move that was interrupted goes on where it ended.

    Args:
        source: The address of a store, as `BOURSOMATIC_STORE`; its archive lies where `BOURSOMATIC_ARCHIVE` says,
            if that is set.
        target: That of the other.
        say: Is told what is done at the moment.

    Returns:
        How many files were copied.

    Raises:
        StoreError: A file is missing, is not as it was written, or cannot be copied. All others may be copied.
    """
    origins = {place: places.open_store(f"{source}/{place}") for place in (MODELS, ARCHIVE)}
    if source == settings.store() or settings.archive() != f"{settings.store()}/{ARCHIVE}":
        origins[ARCHIVE] = places.archive()
    copied, problems = 0, list[str]()
    for place, origin in origins.items():
        names = sorted(name for of, name in _named() if of == place)
        say(f"{len(names):,} files of {place}")
        with files.none_removed():
            copied += _copy(origin, places.open_store(f"{target}/{place}"), names, problems)
    backups = places.open_store(f"{source}/{BACKUPS}", private=True)
    if any(True for _ in backups.entries()):
        copied += _copy_backups(backups, places.open_store(f"{target}/{BACKUPS}", private=True), say, problems)
    if problems:
        raise StoreError(f"{len(problems):,} files were not copied: {_some(problems)}")
    return copied


def _copy_backups(origin: Store, target: Store, say: Callable[[str], None], problems: list[str]) -> int:
    """Copy backups while no backup goes on in either place; the manifest of a set comes last."""
    with origin.locked("a backup into"), target.locked("a backup into"):
        names = [entry.name for entry in origin.entries() if entry.name != leases.NAME]
        names.sort(key=lambda name: (name.startswith("sets/"), name.endswith("manifest.json"), name))
        say(f"{len(names):,} files of {BACKUPS}")
        return _copy(origin, target, names, problems)


def _copy(origin: Store, target: Store, names: list[str], problems: list[str]) -> int:
    """Copy files and read them again; what is wrong with one is added to the problems."""
    copied = 0
    for name in names:
        try:
            if (digest := digest_in(name)) and target.find(name) and target.content(name).sha256 == digest:
                continue  # written there since, or copied before: FROM need not have it
            wanted = origin.content(name)
            if digest_in(name) not in (None, wanted.sha256):
                raise DamagedError(f"{origin.shown(name)} is damaged, its SHA-256 is {wanted.sha256}")
            if target.find(name) and target.content(name) == wanted:
                continue
            below, slash, last = name.rpartition("/")
            target.save(below + slash, origin.pieces(name), last)
            if target.content(name) != wanted:
                raise DamagedError(f"{target.shown(name)} differs from {origin.shown(name)}")
        except AwayError:
            raise
        except OSError as error:
            problems.append(str(error))
            continue
        copied += 1
    return copied


def _stores() -> dict[str, Store]:
    return {MODELS: places.models(), ARCHIVE: places.archive()}


def _named() -> dict[tuple[str, str], int | None]:
    """The files that rows name, each with its size where a row says it."""
    m, f = ModelVersion.__table__.c, ArchiveFile.__table__.c
    with database.engine().connect() as connection:
        models = connection.scalars(select(m.model_path).where(m.model_path.is_not(None)).distinct()).all()
        archived = connection.execute(select(f.name, f.size).where(f.superseded_at.is_(None))).all()
    return {(MODELS, name): None for name in models} | {(ARCHIVE, row.name): row.size for row in archived}


def _superseded() -> set[str]:
    f = ArchiveFile.__table__.c
    with database.engine().connect() as connection:
        return set(connection.scalars(select(f.name).where(f.superseded_at.is_not(None))))


def _shown(keys: "set[tuple[str, str]] | list[tuple[str, str]]") -> list[str]:
    return sorted(f"{place}/{name}" for place, name in keys)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return "; ".join(names[:NAMED]) + more
