"""Which sessions of an asset are loaded: what a check without a partition looks at.

What belongs here: the sessions with rows of an asset, and those that a run has written or been delivered.
Kept elsewhere: which sessions a run computes (`orchestration/partitions.py`), which are stale
(`tables/staleness.py`).
"""

import datetime as dt
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, text

from boursomatic_assets.calendars.markets import MARKETS, Market, all_sessions
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.checks.findings.finding import partition_date
from boursomatic_assets.tables.reading import cold

DAILY = "price_bars t WHERE t.interval = 'daily'"
ROWS = {
    "price_bars_15m": ("t.ts", DAILY.replace("daily", "15m")),
    "features": ("t.ts", "features t WHERE true"),
    "recommendations": ("t.as_of", "recommendations t WHERE true"),
    "track_record": ("t.ts", "track_record t WHERE true"),
}
"""The time of an asset's rows, and the rows; an asset without sessions of its own has those of daily bars."""

INTERVALS = {"price_bars": "daily", "price_bars_15m": "15m"}


def loaded_slices(
    connection: Connection,
    asset: str,
    market: str | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
) -> list[Slice]:
    """The fewest slices with all loaded sessions of an asset, market by market, in order of time.

    Sessions of years in cold storage are among them only where dates are asked for.

    Args:
        connection: An open connection.
        asset: The asset.
        market: One market instead of both.
        start: Sessions before this date are left out.
        end: Sessions after this date are left out.
    """
    markets = [one for name, one in sorted(MARKETS.items()) if market in (None, name)]
    return [
        part for one in markets for part in slices_of(one, _partition_dates(connection, asset, one, start, end))
    ]


def _partition_dates(
    connection: Connection, asset: str, market: Market, start: dt.date | None, end: dt.date | None
) -> Sequence[dt.date]:
    """The partition dates with loaded sessions, and those between them on which only the other market trades."""
    found = {partition_date(date) for date in _dates_with_rows(connection, asset, market)} - {None}
    chosen = [date for date in found if date and (not start or date >= start) and (not end or date <= end)]
    if not chosen:
        return []
    dates = all_sessions()
    between = dates[(dates >= np.datetime64(min(chosen))) & (dates <= np.datetime64(max(chosen)))]
    not_loaded = np.setdiff1d(market.sessions(), np.array(chosen, dtype="datetime64[D]"))
    loaded: list[dt.date] = np.setdiff1d(between, not_loaded).tolist()
    cold_years = [] if start or end else cold.years_seen(connection, "price_bars")
    in_files = [(year.first.date(), year.last.date()) for year in cold_years if year.market == market.name]
    return [date for date in loaded if not any(first <= date <= last for first, last in in_files)]


def _dates_with_rows(connection: Connection, asset: str, market: Market) -> Sequence[dt.date]:
    """The dates of an asset's rows, of its runs that wrote any, and of its deliveries."""
    time, rows = ROWS.get(asset, ("t.ts", DAILY))
    source = asset if asset in ROWS else "price_bars"
    query = (
        f"SELECT {time}::date FROM {rows}"
        " AND t.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges))"
        " UNION SELECT session::date FROM computed_sessions WHERE asset = :asset AND market = :market"
        " UNION SELECT session::date FROM delivered_sessions"
        " WHERE interval = :interval AND market = :market AND session IS NOT NULL"
    )
    given = {"exchanges": list(market.exchanges), "market": market.name, "asset": source}
    return connection.scalars(text(query), given | {"interval": INTERVALS.get(source)}).all()
