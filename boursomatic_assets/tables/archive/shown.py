"""Shown: rows in cold storage that the SQL of one transaction sees in their tables.

What belongs here: temporary tables with the rows of files, and views in front of the tables that hold both.
Kept elsewhere: which rules need them (`checks/invariant.py`), frames, which need none of it
(`tables/reading/cold.py`).

PostgreSQL looks for a name among temporary objects first, so `price_bars` means the view for as long as the
transaction lasts; who means the table says `public.price_bars`. The end of the transaction undoes it all.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, text

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import cold
from boursomatic_assets.tables.staging import copy

MARGIN = 240
"""Sessions before and after a slice that are shown too, for rules that look at neighbours: less than two years.

The two rules that look for an instrument's former bar, however old, find none that is further away in a file."""


def show(connection: Connection, assets: Iterable[str], parts: Sequence[Slice]) -> None:
    """Let a transaction, which is rolled back, see the years of assets that are in files, on some slices and near.

    Raises:
        ArchiveFileError: A file is missing, or is not as it was written.
    """
    for asset in assets:
        wanted = {
            year.name: year
            for part in parts
            for year in cold.years_seen(connection, asset, part.looking_back(MARGIN).looking_ahead(MARGIN))
        }
        if not wanted:
            continue
        for name in wanted.keys() - _shown(connection, asset):
            copy(connection, f"cold_{GRAINS[asset].table.name}", cold.read(wanted[name]))
            shown = {"asset": asset, "name": name}
            connection.execute(text("INSERT INTO shown_files VALUES (:asset, :name)"), shown)


def _shown(connection: Connection, asset: str) -> set[str]:
    """The files of an asset whose rows the transaction sees; without the view, which is made, there are none."""
    table = GRAINS[asset].table
    connection.exec_driver_sql("CREATE TEMP TABLE IF NOT EXISTS shown_files (asset text, name text)")
    if not connection.scalar(text("SELECT to_regclass(:name)"), {"name": f"pg_temp.cold_{table.name}"}):
        key = ", ".join(frames.key(table))
        for statement in (
            f"CREATE TEMP TABLE cold_{table.name} (LIKE public.{table.name})",
            f"CREATE INDEX ON cold_{table.name} ({key})",
            f"CREATE INDEX ON cold_{table.name} (ts)",
            f"CREATE TEMP VIEW {table.name} AS"
            f" TABLE public.{table.name} UNION ALL TABLE pg_temp.cold_{table.name}",
        ):
            connection.exec_driver_sql(statement)
    found = connection.scalars(text("SELECT name FROM shown_files WHERE asset = :asset"), {"asset": asset})
    return set(found)
