"""The history that versions learn from: how it is read, its digest, and which versions it has changed for.

What belongs here: reading features and closes, digests of what was known before a due date, stale versions.
Kept elsewhere: what is made of it (`learning/`), which sessions of features are stale (`tables/staleness.py`).

A version is stale if the digest of the history before its due date is not the one that it was trained with. The
digest covers what a training reads: of the sampled sessions of both markets the features that the version was
given, of all sessions the bars; by market, session and instrument, whatever the order in which they were loaded.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from sqlalchemy import Connection

from boursomatic_assets.arrays import KEY
from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.language.units import RANK_SUFFIX
from boursomatic_assets.learning.labels import sample_sessions
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import midnight
from boursomatic_assets.registry.decisions import read_log
from boursomatic_assets.registry.log import Version
from boursomatic_assets.tables import staleness
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice

SESSIONS_PER_CHUNK = 260
"""Sessions of a market whose features are read at once, those of them that are sampled."""

BESIDE_FEATURES = ("vol_20d", "ret_20d", "ret_120d")
"""Columns that calibration and baselines use, whatever the features of the model are."""

BARS = tuple("ohlcv")
"""Columns of the bars: labels are returns of closes, and the others show where their basis changes."""


@dataclass(frozen=True)
class KnownHistory:
    """The stored history before a date.

    Attributes:
        features: market, instrument_id, ts and all features as columns, of the sampled sessions of both markets.
        closes: market, instrument_id, ts and BARS: daily bars of both markets.
        read_at: When it was read: what changed later, by the database's clock, is not in it.
    """

    features: pl.DataFrame
    closes: pl.DataFrame
    read_at: dt.datetime

    def digests(self, features: Iterable[str], due: Sequence[dt.date]) -> dict[dt.date, str]:
        """Return the digest of what was known before each due date, SHA-256 in hex.

        Args:
            features: The names of a model's features. Of a rank the feature itself counts too.
            due: Due dates, none of them after the date that this is the history before.
        """
        raw = {name.removesuffix(RANK_SUFFIX) for name in features}
        wanted = sorted({*features, *raw, *BESIDE_FEATURES}.intersection(self.features.columns))
        sessions = sorted([*_session_digests(self.features, wanted), *_session_digests(self.closes, list(BARS))])
        running, place, found = hashlib.sha256("\n".join(wanted).encode()), 0, {}
        for date in sorted(due):
            while place < len(sessions) and sessions[place][0] < midnight(date):
                running.update(sessions[place][-1])
                place += 1
            found[date] = running.hexdigest()
        return found


def read_history(connection: Connection, last: dt.date, parameters: Parameters) -> KnownHistory:
    """Read the history of both markets before a date, from the stored features and bars."""
    dates = [date for date in all_sessions().tolist() if date < last]
    parts = [part for market in MARKETS.values() for part in slices_of(market, dates)]
    read_at = min(
        (staleness.input_read_time(connection, "model_versions", part) for part in parts),
        default=database_time(connection),
    )
    chunks = [chunk for part in parts for chunk in part.chunks(SESSIONS_PER_CHUNK)]
    rows = [read_slice(GRAINS["features"], chunk, at=_sampled(chunk, parameters)) for chunk in chunks]
    closes = [read_slice(GRAINS["price_bars"], part, (*KEY, *BARS)) for part in parts]
    return KnownHistory(pl.concat(map(unpack, rows)), pl.concat(closes), read_at)


def _sampled(part: Slice, parameters: Parameters) -> list[dt.datetime]:
    """Return the sampled sessions of a slice."""
    sessions = pl.DataFrame({"ts": part.sessions}, schema={"ts": pl.Datetime("us")})
    sampled = sample_sessions(sessions.with_columns(market=pl.lit(part.market.name)), parameters.stride)
    return sampled["ts"].to_list()


def stale_versions(connection: Connection, parameters: Parameters) -> list[Version]:
    """Return the versions whose history is not the one that they learned from, in order of their due dates.

    Of a due date only the newest revision counts. The history is read only if some of it changed after a version
    had read it. A version without a digest, from before there were any, is stale: nobody knows what it learned
    from.
    """
    log = read_log(connection)
    changed = staleness.versions_before_changes(connection)
    doubtful = [
        version for version in log.newest_revisions() if version.version in changed or not version.history_digest
    ]
    with_digest = [version for version in doubtful if version.history_digest]
    if not with_digest:
        return doubtful
    known = read_history(connection, max(version.due for version in with_digest), parameters)
    digests = {
        features: known.digests(features, [version.due for version in with_digest])
        for features in {version.features for version in with_digest}
    }
    return [
        version
        for version in doubtful
        if not version.history_digest or digests[version.features][version.due] != version.history_digest
    ]


def _session_digests(rows: pl.DataFrame, columns: list[str]) -> Iterator[tuple[dt.datetime, str, str, bytes]]:
    """Yield ts, market, the first column and the digest of the rows of each session of a market.

    Undefined numbers are one number, NaN, and zero has one sign.
    """
    instruments = rows["instrument_id"].unique().sort()
    names = np.array(instruments.to_list(), dtype=np.bytes_)
    rows = rows.with_columns(pl.col("instrument_id").cast(pl.Enum(instruments))).sort(
        "ts", "market", "instrument_id"
    )
    values = np.column_stack([rows[name].cast(pl.Float64).to_numpy() for name in columns]) + 0.0
    values[np.isnan(values)] = np.nan
    of_row = names[rows["instrument_id"].to_physical().to_numpy()]
    sessions = rows.group_by("ts", "market", maintain_order=True).len()
    end = 0
    for ts, market, count in sessions.iter_rows():
        start, end = end, end + count
        content = hashlib.sha256(f"{ts:%Y-%m-%d} {market} {names.itemsize} {count}".encode())
        content.update(of_row[start:end].tobytes())
        content.update(values[start:end].astype("<f8", copy=False).tobytes())
        yield ts, market, columns[0], content.digest()
