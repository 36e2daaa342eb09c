"""Names: which instrument a symbol and an exchange name, now that some instruments were merged.

What belongs here: reading `instrument_aliases`, and frames by the names that hold now.
Kept elsewhere: how an alias comes about (`merge.py`).

A merged instrument stays in `instruments`, without bars: what was published of it refers to it.
"""

from typing import NamedTuple

import polars as pl
from sqlalchemy import Connection, Select, Table, select, text

from boursomatic_assets.schema import InstrumentAlias
from boursomatic_assets.tables.grains import INSTRUMENTS
from boursomatic_assets.tables.reading import fetch, read_table

ALIASES: Table = InstrumentAlias.__table__

MERGED_IDS = "SELECT m.id FROM instruments m JOIN instrument_aliases a USING (symbol, exchange)"
"""SQL: the ids of merged instruments."""

_NAME = ["symbol", "exchange"]


class Name(NamedTuple):
    """A symbol and an exchange, which name one instrument."""

    symbol: str
    exchange: str

    def __str__(self) -> str:
        return f"{self.symbol}@{self.exchange}"


def find_id(connection: Connection, name: Name) -> str:
    """The id of the instrument that was listed under a name.

    Raises:
        ValueError: none was.
    """
    i = INSTRUMENTS.c
    found = connection.scalar(select(i.id).where(i.symbol == name.symbol, i.exchange == name.exchange))
    if found is None:
        raise ValueError(f"there is no instrument {name}: `boursomatic instruments list` lists them")
    return str(found)


def with_aliases(instruments: pl.DataFrame) -> pl.DataFrame:
    """Every name of instruments: id, symbol and exchange; an alias has the id of the instrument that it names."""
    aliases = read_table(ALIASES).select("symbol", "exchange", id="instrument_id")
    own = instruments.join(aliases, on=_NAME, how="anti")
    return pl.concat(frame.select("id", *_NAME) for frame in (own, aliases))


def with_merged_series(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars, and those of an instrument once more under the id of each instrument that was merged into it.

    So what was published of a merged instrument is scored by the series that it is part of now.
    """
    merged = fetch(_merged_instruments())
    copies = bars.join(merged, left_on="instrument_id", right_on="target").with_columns(instrument_id="merged")
    return pl.concat([bars, copies.select(bars.columns)])


def present_names() -> pl.DataFrame:
    """Each alias as it is committed: symbol, exchange, since, present_symbol, present_exchange."""
    a, i = ALIASES.c, INSTRUMENTS.c
    present = (i.symbol.label("present_symbol"), i.exchange.label("present_exchange"))
    columns = (a.symbol, a.exchange, a.created_at.label("since"), *present)
    return fetch(select(*columns).join_from(ALIASES, INSTRUMENTS, i.id == a.instrument_id))


def with_present_names(bars: pl.DataFrame, aliases: pl.DataFrame) -> pl.DataFrame:
    """Bars under the names that their instruments have now, one per name and time.

    Of several, the bar under the instrument's own name stands, else that under the newest alias. A merge records
    the others as revisions.

    Args:
        bars: symbol, exchange, ts and other columns, as they were named when they were stored.
        aliases: what `present_names` returns.
    """
    if aliases.is_empty():
        return bars
    present = [pl.coalesce(f"present_{part}", part).alias(part) for part in _NAME]
    return (
        bars.join(aliases, on=_NAME, how="left", maintain_order="left")
        .sort("since", descending=True, nulls_last=False, maintain_order=True)
        .with_columns(present)
        .unique([*_NAME, "ts"], keep="first", maintain_order=True)
        .select(bars.columns)
    )


def symbols_of(symbol: str) -> list[str]:
    """A symbol, and those of the instruments of which it is a further name."""
    named = select(INSTRUMENTS.c.symbol).join_from(
        INSTRUMENTS, ALIASES, INSTRUMENTS.c.id == ALIASES.c.instrument_id
    )
    return [symbol, *fetch(named.where(ALIASES.c.symbol == symbol))["symbol"].unique().sort()]


def require_unmerged(connection: Connection, instrument_ids: pl.Series) -> None:
    """Require that no row to be written belongs to a merged instrument.

    Raises:
        RuntimeError: some do. They were computed from names that were read before the merge.
    """
    query = text(
        "SELECT m.id::text, m.symbol || '@' || m.exchange, t.symbol || '@' || t.exchange FROM instruments m"
        " JOIN instrument_aliases a USING (symbol, exchange) JOIN instruments t ON t.id = a.instrument_id"
    )
    written = set(instrument_ids.unique())
    for identifier, merged, target in connection.execute(query):
        if identifier in written:
            raise RuntimeError(f"{merged} was merged into {target} while this was computed: run these dates again")


def _merged_instruments() -> Select[tuple[object, ...]]:
    """The ids of merged instruments (`merged`), each with that of the instrument that has its bars (`target`)."""
    i, a = INSTRUMENTS.c, ALIASES.c
    ids = (i.id.label("merged"), a.instrument_id.label("target"))
    return select(*ids).join_from(INSTRUMENTS, ALIASES, (i.symbol == a.symbol) & (i.exchange == a.exchange))
