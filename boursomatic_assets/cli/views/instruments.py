"""What the command line shows of instruments: their names and bars, and what a merge did.

What belongs here: the query, and how it is shown. Kept elsewhere: options (`cli/instruments.py`), which
instruments may be one share (`tables/aliases/candidates.py`).
"""

from collections.abc import Sequence

import polars as pl
from sqlalchemy import Table, func, select

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS, market_named
from boursomatic_assets.cli.views.text import as_text_table
from boursomatic_assets.schema import PriceBar
from boursomatic_assets.tables.aliases.candidates import Candidates, find_candidates
from boursomatic_assets.tables.aliases.merge import MergeResult
from boursomatic_assets.tables.aliases.names import present_names
from boursomatic_assets.tables.grains import INSTRUMENTS
from boursomatic_assets.tables.reading import cold, fetch, one_moment

_BARS: Table = PriceBar.__table__
_NAME = ["symbol", "exchange"]


def candidates(market: str | None) -> list[Candidates]:
    """The instruments that may be one share, of one market if asked for."""
    exchanges = _exchanges(market)
    with database.engine().connect() as connection:
        return [found for found in find_candidates(connection) if found.target.exchange in exchanges]


def instruments(market: str | None, only: Sequence[Candidates] | None = None) -> pl.DataFrame:
    """The instruments of one market or both: symbol, exchange, name, first, last, active, aliases.

    `first` and `last` are the dates of daily bars, null without any; `aliases` are names such as PEP@NYSE. A
    merged instrument is listed as an alias alone.

    Args:
        market: a market; None: both.
        only: instruments that may be one share, if these alone are asked for.

    Raises:
        ValueError: there are none.
    """
    i = INSTRUMENTS.c
    listed = select(i.symbol, i.exchange, i.name, i.is_active.label("active"), i.id.label("instrument_id"))
    aliases = present_names()
    found = (
        fetch(listed.where(i.exchange.in_(_exchanges(market))))
        .join(aliases, on=_NAME, how="anti")
        .join(_bar_dates(), on="instrument_id", how="left")
        .join(_aliases(aliases), on=_NAME, how="left")
        .select(*_NAME, "name", "first", "last", "active", pl.col("aliases").fill_null([]))
        .sort("exchange", "symbol")
    )
    if only is not None:
        names = [tuple(listing.name) for one in only for listing in one.listings]
        found = found.join(
            pl.DataFrame(names, dict.fromkeys(_NAME, pl.String), orient="row"), on=_NAME, how="semi"
        )
    if found.is_empty():
        raise ValueError(
            "there are no instruments: `boursomatic backfill` loads them"
            if only is None
            else "no instruments seem to be one share: `boursomatic instruments list` lists all of them"
        )
    return found


def as_table(found: pl.DataFrame) -> str:
    """Instruments as a table."""
    active = pl.when("active").then(pl.lit("yes")).otherwise(pl.lit("no")).alias("active")
    shown = found.with_columns(active, pl.col("aliases").list.join(", "))
    return as_text_table(shown.with_columns(pl.col("name", "first", "last").fill_null("")))


def merge_as_text(result: MergeResult, *, dry_run: bool) -> str:
    """What a merge did, or would do, in a few lines."""
    if result.was_done:
        return f"{result.merged} is merged into {result.target} already"
    counts = {
        "bars that the other lacks, which are moved": result.moved,
        "bars that the other has too, which are dropped": result.repeated,
        "bars that the other has with other values, which are kept as revisions": result.differing,
        "archived bars, which are read under the new name": result.archived,
        "active recommendations, which are inactive from now on": result.deactivated,
    }
    head = f"{result.merged} {'would be' if dry_run else 'is'} merged into {result.target}"
    lines = [head, *(f"{count:>10,} {what}" for what, count in counts.items() if count)]
    if result.sessions and not dry_run:
        first, last = result.sessions
        lines.append(
            f"bars of {first} .. {last} changed: `boursomatic refresh` computes features and scores again"
        )
    return "\n".join(lines)


def _exchanges(market: str | None) -> list[str]:
    markets = [market_named(market)] if market else list(MARKETS.values())
    return [exchange for one in markets for exchange in one.exchanges]


def _bar_dates() -> pl.DataFrame:
    """The dates of the first and the last daily bar of each instrument, in the table and in files."""
    b = _BARS.c
    ends = select(b.instrument_id, func.min(b.ts).label("first"), func.max(b.ts).label("last"))
    with one_moment():
        stored = fetch(ends.where(b.interval == "daily").group_by(b.instrument_id))
        moved = cold.ends()
    dates = pl.concat([stored, moved]).group_by("instrument_id").agg(pl.min("first"), pl.max("last"))
    return dates.with_columns(pl.col("first", "last").dt.strftime("%Y-%m-%d"))


def _aliases(aliases: pl.DataFrame) -> pl.DataFrame:
    """The aliases of each instrument: symbol, exchange, aliases."""
    names = aliases.sort(_NAME).group_by(symbol="present_symbol", exchange="present_exchange", maintain_order=True)
    return names.agg(aliases=pl.concat_str("symbol", "exchange", separator="@"))
