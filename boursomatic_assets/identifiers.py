"""How rows are named: ids that follow from what a row is, so that the same row has the same id everywhere.

What belongs here: ids derived from natural keys, as text. Kept elsewhere: the keys (`models.py`).

A bar that goes and comes back, or that another database holds, keeps its id. Ids of one instrument lie
together and in order of time, as its rows do in their unique index: a primary key of random ids costs a third
more to fill, and more with every row that the table has (docs/architecture.md).
"""

import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any

import polars as pl

from boursomatic_assets.models import INTERVALS

_INSTRUMENTS = uuid.uuid5(uuid.NAMESPACE_DNS, "instruments.boursomatic")


def of_instruments(listed: pl.DataFrame) -> pl.Series:
    """The ids of instruments: UUIDs of version 5 of symbol and exchange."""
    names = listed.select(pl.concat_str("symbol", "exchange", separator="|")).to_series()
    return pl.Series("id", [str(uuid.uuid5(_INSTRUMENTS, name)) for name in names], dtype=pl.String)


def of_rows(frame: pl.DataFrame) -> pl.Series:
    """The ids of rows of an instrument at a time, and of an interval if the frame has one.

    UUIDs of version 8 (RFC 9562): 60 bits of the instrument's own id, the interval, and `ts` in milliseconds
    since 1970. Two rows of different instruments share an id as rarely as two instruments share those 60 bits.

    Args:
        frame: instrument_id (text), ts (naive UTC, not before 1970), and maybe interval; or recommendation_id
            (text): what is said of one advice has the advice's own id.
    """
    if "recommendation_id" in frame.columns:
        return frame["recommendation_id"].alias("id")
    instrument = _in_words(frame["instrument_id"], _instrument_part)
    time = _in_words(frame["ts"].dt.epoch("ms"), "{:012x}".format)
    interval = (
        _in_words(frame["interval"], lambda name: f"{INTERVALS.index(name):x}00-")
        if "interval" in frame.columns
        else pl.repeat("000-", frame.height, eager=True)
    )
    return pl.select(pl.concat_str(instrument, interval, time)).to_series().alias("id")


def _instrument_part(identifier: str) -> str:
    """The random end of an id, as the start of another: `........-....-....-.abc-def012345678`."""
    return f"{identifier[24:32]}-{identifier[32:36]}-8{identifier[20:23]}-8"


def in_order_of_writing(count: int) -> pl.Series:
    """Ids for rows of which a key has several over time: UUIDs of version 7, in order, unlike any made before.

    They start with this millisecond; the other bits count up from a random number (RFC 9562, section 6.2).
    """
    now = f"{time.time_ns() // 1_000_000:012x}"
    head = f"{now[:8]}-{now[8:]}-7{secrets.token_hex(2)[:3]}-8{secrets.token_hex(2)[:3]}-"
    first = secrets.randbits(47)
    return pl.Series("id", [f"{head}{number:012x}" for number in range(first, first + count)], dtype=pl.String)


def _in_words(values: pl.Series, word: Callable[[Any], str]) -> pl.Series:
    """Each value as text; the few distinct ones are written once."""
    distinct = values.unique()
    words = pl.Series([word(value) for value in distinct.to_list()], dtype=pl.String)
    return values.replace_strict(distinct, words, return_dtype=pl.String)
