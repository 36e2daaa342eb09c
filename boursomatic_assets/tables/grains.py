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
    """The rows of a table that an asset owns.

    Attributes:
        table: the table.
        time_column: the column that assigns a row to a session.
        row_condition: SQL on one column that the asset's rows meet; it begins with the column's name.
        supersedes: replaced rows are archived instead of changed.
        interval: the interval of the bars.
        derived: all inputs of the asset are in other tables, so a session without rows is known to have none; for
            other assets such a session may just not have been delivered.
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
