"""Asset checks of years in cold storage.

What belongs here: that each row is in one place. Kept elsewhere: moving years (`tables/archive/year_moves.py`),
reading every file to prove it (`boursomatic store verify`).
"""

from sqlalchemy import Connection, text

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.checks.invariant import MAX_NAMED, Finding, invariant
from boursomatic_assets.stores import places
from boursomatic_assets.tables.grains import GRAINS
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
    counts = {asset: _count_beside(connection, asset) for asset in ASSETS}
    return Finding(warnings=sum(counts.values()), figures=counts)


def _count_beside(connection: Connection, asset: str) -> int:
    """How many rows of years in files are in their table, where another program wrote them."""
    grain = GRAINS[asset]
    exchanges = [(exchange, market.name) for market in MARKETS.values() for exchange in market.exchanges]
    beside = text(
        f"SELECT count(*) FROM archive_files f JOIN {grain.table.name} t ON t.ts >= f.first_session"
        f" AND t.ts < f.last_session + interval '1 day' AND t.{grain.row_condition}"
        " JOIN instruments i ON i.id = t.instrument_id"
        " JOIN unnest(CAST(:exchanges AS text[]), CAST(:markets AS text[])) AS m(exchange, market)"
        "   ON m.exchange = i.exchange AND m.market = f.market"
        " WHERE f.asset = :asset AND f.superseded_at IS NULL"
    )
    names, markets = zip(*exchanges, strict=True)
    given = {"asset": asset, "exchanges": [*names], "markets": [*markets]}
    return connection.scalar(beside, given) or 0
