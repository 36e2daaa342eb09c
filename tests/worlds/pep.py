"""One share under three names: PEP of NYSE, later of NASDAQ, and of US, says a vendor that names no exchange.

What belongs here: its instruments and deliveries, as sources and runs write them.
"""

from typing import Any

import polars as pl
from sqlalchemy import Engine

from boursomatic_assets.database import server_time
from boursomatic_assets.orchestration.chunk_writes import ChunkWrite, write_chunk
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.schema import identifiers
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.aliases.names import Name, with_aliases
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.reading import read_table
from worlds.frames import delivered_bars, slice_of

NYSE, NASDAQ, US = (Name("PEP", exchange) for exchange in ("NYSE", "NASDAQ", "US"))
MONDAY, TUESDAY, WEDNESDAY, THURSDAY = "2017-12-18", "2017-12-19", "2017-12-20", "2017-12-21"
WEEK = slice_of("US", MONDAY, TUESDAY, WEDNESDAY, THURSDAY)


def listing(*names: Name) -> pl.DataFrame:
    """Instruments as the asset `instruments` lists them."""
    listed = pl.DataFrame(names, {"symbol": pl.String, "exchange": pl.String}, orient="row")
    described = dict.fromkeys(("name", "sector", "market_cap_bucket", "pe_bucket"), pl.lit(None, pl.String))
    return listed.with_columns(identifiers.of_instruments(listed), **described)


def list_instruments(engine: Engine, *names: Name) -> None:
    """Store instruments as the asset does."""
    with engine.begin() as connection:
        merging.upsert(connection, INSTRUMENTS, listing(*names))


def bars_of(name: Name, *dates: str, **changed: Any) -> pl.DataFrame:
    """Bars as a source delivers them under a name."""
    return delivered_bars("ACME", *dates, symbol=name.symbol, exchange=name.exchange, **changed)


def judge(*raw: pl.DataFrame, interval: str = "daily") -> Delivery:
    """A delivery of the week, judged with the names that are known now."""
    return apply_contract(pl.concat(raw), WEEK, with_aliases(read_table(INSTRUMENTS)), "toy", interval)


def deliver(engine: Engine, *raw: pl.DataFrame, interval: str = "daily") -> Delivery:
    """Write a delivery of the week, as a run does."""
    delivery = judge(*raw, interval=interval)
    write(engine, delivery, "price_bars" if interval == "daily" else "price_bars_15m")
    return delivery


def write(engine: Engine, rows: Delivery | pl.DataFrame, asset: str = "price_bars") -> None:
    """Write rows of the week, as a run does."""
    with engine.connect() as connection:
        started_at = server_time.database_time(connection)
    write_chunk(ChunkWrite(asset, GRAINS[asset], WEEK, "run", started_at), rows)
