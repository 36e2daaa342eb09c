"""Emptiness: a backup is restored into a place that holds nothing.

What belongs here: what a place holds already. Kept elsewhere: what is written there (`restoring.py`), a place that
holds a part of the same set (`mark.py`).
"""

from boursomatic_assets import settings
from boursomatic_assets.backups import BackupError, places
from boursomatic_assets.database import create_databases, dumps

NAMED = 3
"""How many of the files, or tables, that are in the way are named."""


def require_empty() -> None:
    """Require that neither the folders nor the databases of the platform hold anything; makes empty databases.

    Raises:
        BackupError: They do; the message names it.
    """
    files = [
        store.shown(str(path))
        for place, store in places.stores().items()
        for path in places.paths(place)
        if not places.is_own_link(place, path)
    ]
    if files:
        raise BackupError(
            f"{settings.home()} is not empty, it has {_some(files)}: restore into an empty place, such as a"
            " BOURSOMATIC_HOME (and a prefix of BOURSOMATIC_STORE) that is not there yet"
        )
    create_databases()
    for url in places.urls().values():
        if tables := list(dumps.row_counts(url)):
            raise BackupError(
                f"the database {url.database} is not empty, it has the tables {_some(tables)}: restore into an"
                " empty one, or with the embedded server into a BOURSOMATIC_HOME that is not there yet"
            )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
