"""Places: the databases and the stores of files that make up the platform.

What belongs here: their names in a backup, and which of their files are kept. Kept elsewhere: where each lies by
the settings (`settings/`, `stores/places.py`).

Not kept: the embedded server's own files, which the dumps stand for, files that are being written, and links,
which are named. The archive, the models and Dagster's folder may be links themselves, or lie outside of the home.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL

from boursomatic_assets import database, settings
from boursomatic_assets.backups import mark
from boursomatic_assets.stores import places
from boursomatic_assets.stores.atomic_files import TEMPORARY_PREFIX
from boursomatic_assets.stores.folder_store import FolderStore
from boursomatic_assets.stores.store import Store
from boursomatic_assets.tables.chains import heads

PLATFORM, DAGSTER = "boursomatic", "dagster"
"""The names of the databases in a backup, whatever they are called on the server."""

HOME, MODELS, ARCHIVE = "home", "models", "archive"

SERVER = "postgres"
"""The embedded server, in the home."""


def urls() -> dict[str, URL]:
    """The databases: the platform's as the owner, who sees all rows, Dagster's as the writer, whose it is."""
    return {PLATFORM: database.database_url("owner"), DAGSTER: database.dagster_url()}


def stores() -> dict[str, Store]:
    """The stores of files, by their names in a backup; all but those of models and the archive are folders."""
    return {
        ARCHIVE: places.archive(),
        MODELS: places.models(),
        DAGSTER: FolderStore(settings.dagster_home()),
        HOME: FolderStore(settings.home()),
    }


def folders() -> dict[str, Path]:
    """Those of the stores that are folders of this machine."""
    return {name: store.folder for name, store in stores().items() if isinstance(store, FolderStore)}


def heads_files() -> list[Path]:
    """The heads of the chains in the home, which are copied before the rows that they speak of.

    A second file elsewhere is none of a backup: it is to tell what a restored database lacks.
    """
    return [path for path in heads.files() if path.is_relative_to(settings.home()) and path.exists()]


def paths(place: str) -> Iterator[Path]:
    """The files of a store that belong to the platform, relative to it, sorted; links to files are among them."""
    root = folders().get(place)
    if root is None:
        yield from (Path(entry.name) for entry in stores()[place].entries())
        return
    apart = {settings.home() / SERVER, *(folder for name, folder in folders().items() if name != place)}
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if Path(folder, name) not in apart)
        links = [name for name in inner if Path(folder, name).is_symlink()]
        for name in sorted([*names, *links]):
            path = Path(folder, name)
            kept = not name.startswith(TEMPORARY_PREFIX) and name != mark.NAME
            if kept and path not in apart and (path.is_symlink() or path.is_file()):
                yield path.relative_to(root)


def is_own_link(place: str, path: Path) -> bool:
    """Whether a link is one that the platform makes again by itself: Dagster's settings."""
    return place == DAGSTER and str(path) == "dagster.yaml"
