"""Grains: which rows of which table an asset owns.

What belongs here: the table of each asset, its time column, and the condition that its rows meet.
Kept elsewhere: reading them (`reading.py`), writing them (`merging.py`), the columns (`schema/`).
"""

from dataclasses import dataclass

from sqlalchemy import Table

from boursomatic_assets.schema import Feature, Instrument, PriceBar, Recommendation, TrackRecord

INSTRUMENTS: Table = Instrument.__table__


@dataclass(frozen=True)
class Grain:
    """How an asset lies in its table.

    `time` is the column that sessions are cut by, `own` the condition, of one column, for the rows that are the
    asset's, `supersedes` says that replaced rows are archived instead of changed, and `interval` is that of bars.
    `derived` says that all it is computed from is in other tables: a session without a row then really has none,
    while for others nothing may have been delivered.
    """

    table: Table
    time_column: str
    row_condition: str = "id IS NOT NULL"
    supersedes: bool = False
    interval: str = "daily"
    derived: bool = False


GRAINS = {
    "price_bars": Grain(PriceBar.__table__, "ts", "interval = 'daily'"),
    "price_bars_15m": Grain(PriceBar.__table__, "ts", "interval = '15m'", interval="15m"),
    "features": Grain(Feature.__table__, "ts"),
    "recommendations": Grain(Recommendation.__table__, "as_of", "superseded_at IS NULL", supersedes=True),
    "track_record": Grain(TrackRecord.__table__, "ts", derived=True),
}
