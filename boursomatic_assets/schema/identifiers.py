"""Identifiers: ids derived from the content of a row, so that the same row has the same id in every database.

What belongs here: ids derived from natural keys, as text. Kept elsewhere: the keys (the tables of this room).

A bar that is deleted and delivered again keeps its id. Ids of one instrument are adjacent and in order of time, as
its rows are in their unique index: a primary key of random ids costs a third more to fill, and more with every row
that the table has (docs/architecture.md).
"""

import hashlib
import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any

import polars as pl

from boursomatic_assets.vocabulary import INTERVALS

PUBLISHED_TEXTS = ("instrument_id", "model_version_id", "profile", "label", "justification", "features_snapshot")
PUBLISHED_NUMBERS = ("confidence", "expected_return_pct", "horizon_days", "stop_loss", "take_profit", "as_of")
PUBLISHED_COLUMNS = (*PUBLISHED_TEXTS, "view", *PUBLISHED_NUMBERS)
"""Columns of `recommendations` that never change once they are written: all but its flag and its times."""

_INSTRUMENT_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "instruments.boursomatic")


def of_instruments(instruments: pl.DataFrame) -> pl.Series:
    """The ids of instruments: UUIDs of version 5 of symbol and exchange."""
    natural_keys = instruments.select(pl.concat_str("symbol", "exchange", separator="|")).to_series()
    ids = [str(uuid.uuid5(_INSTRUMENT_NAMESPACE, natural_key)) for natural_key in natural_keys]
    return pl.Series("id", ids, dtype=pl.String)


def of_rows(frame: pl.DataFrame) -> pl.Series:
    """The ids of rows of an instrument at a time, and of an interval if the frame has one.

    UUIDs of version 8 (RFC 9562): 60 bits of the instrument's own id, the interval, and `ts` in milliseconds
    since 1970. Two rows of different instruments share an id as rarely as two instruments share those 60 bits.

    Args:
        frame: instrument_id (text), ts (naive UTC, not before 1970), and optionally interval; or recommendation_id
            (text): a row of the track record has the id of its recommendation.
    """
    if "recommendation_id" in frame.columns:
        return frame["recommendation_id"].alias("id")
    instrument = _map_distinct(frame["instrument_id"], _instrument_prefix)
    time = _map_distinct(frame["ts"].dt.epoch("ms"), "{:012x}".format)
    interval = (
        _map_distinct(frame["interval"], lambda name: f"{INTERVALS.index(name):x}00-")
        if "interval" in frame.columns
        else pl.repeat("000-", frame.height, eager=True)
    )
    return pl.select(pl.concat_str(instrument, interval, time)).to_series().alias("id")


def _instrument_prefix(identifier: str) -> str:
    """The random end of an instrument's id, as the start of another: `........-....-....-.abc-def012345678`."""
    return f"{identifier[24:32]}-{identifier[32:36]}-8{identifier[20:23]}-8"


def of_recommendations(rows: pl.DataFrame) -> pl.Series:
    """Ids of recommendations, in order of writing, with a digest of their content: a key has several over time.

    UUIDs of version 8: this millisecond, 24 bits that count up from a random number, and 48 bits of the digest.

    Args:
        rows: PUBLISHED_COLUMNS, and any other columns.
    """
    milliseconds, first = f"{time.time_ns() // 1_000_000:012x}", secrets.randbits(23)
    counters = (f"{number:06x}" for number in range(first, first + rows.height))
    ids = [
        f"{milliseconds[:8]}-{milliseconds[8:]}-8{counter[:3]}-8{counter[3:]}-{digest}"
        for counter, digest in zip(counters, digests(rows), strict=True)
    ]
    return pl.Series("id", ids, dtype=pl.String)


def digests(rows: pl.DataFrame) -> pl.Series:
    """The last 12 digits of the ids of recommendations, from PUBLISHED_COLUMNS of new or stored rows.

    BLAKE2b over the texts, separated by a byte that none of them has, and the numbers as doubles. A view follows
    the texts where there is one: rows of before there were views keep their digests.
    """
    texts = pl.concat_str(pl.col(PUBLISHED_TEXTS).fill_null("\0"), separator="\x1f")
    view = pl.concat_str(pl.lit("\x1f"), "view").fill_null("")
    time = pl.col("as_of").dt.epoch("us")
    numbers = rows.with_columns(time).select(pl.col(PUBLISHED_NUMBERS).cast(pl.Float64).fill_null(float("nan")))
    packed = numbers.to_numpy(order="c").astype("<f8").tobytes()
    width = 8 * len(PUBLISHED_NUMBERS)
    digest_texts = [
        hashlib.blake2b(content.encode() + packed[row * width : (row + 1) * width], digest_size=6).hexdigest()
        for row, content in enumerate(rows.select(texts + view).to_series())
    ]
    return pl.Series("digest", digest_texts, dtype=pl.String)


def holds_digest(ids: pl.Series) -> pl.Series:
    """Whether each id of a recommendation has a digest; older ids and those of rows written by hand have none."""
    return ids.str.slice(14, 1) == "8"


def _map_distinct(values: pl.Series, to_text: Callable[[Any], str]) -> pl.Series:
    """Each value as text; each distinct value is converted once."""
    distinct = values.unique()
    texts = pl.Series([to_text(value) for value in distinct.to_list()], dtype=pl.String)
    return values.replace_strict(distinct, texts, return_dtype=pl.String)
