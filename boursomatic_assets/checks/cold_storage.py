"""Asset checks of years in cold storage.

What belongs here: that each row is in one place. Kept elsewhere: moving years (`tables/archive/years.py`), reading
every file to prove it (`boursomatic store verify`).
"""

from sqlalchemy import Connection, text

from boursomatic_assets.checks.invariant import MAX_NAMED, Finding, invariant
from boursomatic_assets.stores import places
from boursomatic_assets.tables.archive import years
from boursomatic_assets.tables.reading.cold import ASSETS


@invariant("cold_storage")
def every_file_is_there(connection: Connection) -> Finding:
    """The file of each year in cold storage is in the store, and as long as it was written."""
    named = connection.execute(
        text(
            "SELECT asset, market, first_session::date AS year, name, size FROM archive_files"
            " WHERE asset = ANY(:assets) AND superseded_at IS NULL ORDER BY name"
        ),
        {"assets": [*ASSETS]},
    ).all()
    store = places.archive()
    entries = {row.name: store.find(row.name) for row in named}
    lost = [
        {"asset": row.asset, "market": row.market, "year": row.year.year, "file": store.shown(row.name)}
        for row in named
        if (entry := entries[row.name]) is None or entry.size != row.size
    ]
    return Finding(errors=len(lost), figures={"files": len(named), "lost": lost[:MAX_NAMED]})


@invariant("cold_storage", blocking=False)
def no_row_is_in_two_places(connection: Connection) -> Finding:
    """No table has a row of a year that is in a file: the next move puts the year back, and takes it whole."""
    counts = {asset: years.count_beside(connection, asset) for asset in ASSETS}
    return Finding(warnings=sum(counts.values()), figures=counts)
