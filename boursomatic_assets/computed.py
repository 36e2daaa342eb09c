"""What was computed when, and what has become stale since: a correction followed through look-backs of any length.

What belongs here: `computed_sessions`, and which of them have inputs that changed after they were computed.
Kept elsewhere: what was computed from what in Dagster's graph (`partitions.py`), which stops following at 100
upstream partitions.

Times are the database's own clock. A session's rows are stale if anything they were computed from changed after
its inputs were about to be read; published advice that is stale stays as it is.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import Connection, Table, text

from boursomatic_assets import frames
from boursomatic_assets.indicators import LOOKBACK
from boursomatic_assets.markets import MARKETS, Market, all_sessions
from boursomatic_assets.models import ComputedSession
from boursomatic_assets.outcomes import LONGEST_HORIZON
from boursomatic_assets.slices import Slice
from boursomatic_assets.staging import quote, stage

COMPUTED_SESSIONS: Table = ComputedSession.__table__

INPUTS = {
    "features": {"price_bars": LOOKBACK},
    "recommendations": {"features": 0, "price_bars": 0},
    "track_record": {"recommendations": LONGEST_HORIZON, "price_bars": LONGEST_HORIZON},
}
"""What an asset's session is computed from, and how many sessions of it before its own."""

NEVER = np.datetime64(0, "us")

Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Stale:
    """What has to be computed anew to follow its inputs: sessions of an asset and market, in order."""

    asset: str
    market: Market
    sessions: tuple[dt.date, ...]

    def __str__(self) -> str:
        ends = f"{self.sessions[0]} .. {self.sessions[-1]}"
        return f"{self.asset} {self.market.name} {ends} ({len(self.sessions):,} sessions)"


def clock(connection: Connection) -> dt.datetime:
    """What time it is for the database, naive UTC."""
    now: dt.datetime = connection.execute(text("SELECT clock_timestamp()::timestamp")).scalar_one()
    return now


def begin(connection: Connection, asset: str, part: Slice) -> dt.datetime:
    """When what an asset is computed from is about to be read: now, or when a transaction began that writes of it.

    What that one writes may be committed after it is read here, and is timed before.
    """
    names = [f"{name}|{part.market.name}" for name in INPUTS.get(asset, ())]
    query = text(
        "SELECT least(clock_timestamp(), min(a.xact_start))::timestamp FROM pg_locks l JOIN pg_stat_activity a"
        " USING (pid) WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()"
        " AND (l.classid::bigint << 32 | l.objid::bigint) IN"
        " (SELECT hashtextextended(name, 0) FROM unnest(CAST(:names AS text[])) AS name)"
    )
    begun: dt.datetime = connection.execute(query, {"names": names}).scalar_one()
    return begun


def record(connection: Connection, asset: str, part: Slice, begun: dt.datetime, touched: pl.Series) -> None:
    """Say that a slice was computed, in the transaction that writes it.

    Of sessions whose rows and inputs are as they were, nothing is written.

    Args:
        connection: that transaction.
        asset: what was computed; of one without INPUTS only the sessions that changed are of interest.
        part: the slice.
        begun: when its inputs were about to be read.
        touched: the dates whose rows this transaction changes.
    """
    wanted = set(touched.dt.date())
    if asset in INPUTS:
        known = sessions(connection, asset, part)
        wanted |= {*stale_sessions(connection, asset, part)} | {*part.sessions}.difference(known)
    if not wanted:
        return
    rows = pl.DataFrame({"session": sorted(wanted)}, schema_overrides={"session": pl.Datetime("us")}).with_columns(
        asset=pl.lit(asset),
        market=pl.lit(part.market.name),
        computed_at=pl.lit(begun, pl.Datetime("us")),
        changed_at=pl.lit(clock(connection), pl.Datetime("us")),
    )
    staged = stage(connection, COMPUTED_SESSIONS, frames.check(COMPUTED_SESSIONS, rows))
    columns = ", ".join(map(quote, ("asset", "market", "session", "computed_at", "changed_at")))
    connection.execute(
        text(
            f"INSERT INTO computed_sessions AS t (id, {columns}) SELECT gen_random_uuid(), {columns} FROM {staged}"
            " ON CONFLICT (asset, market, session) DO UPDATE SET computed_at = excluded.computed_at,"
            " changed_at = CASE WHEN t.session = ANY(CAST(:changed AS timestamp[])) THEN excluded.changed_at"
            " ELSE t.changed_at END"
        ),
        {"changed": touched.to_list()},
    )


def sessions(connection: Connection, asset: str, part: Slice) -> list[dt.date]:
    """The sessions of a slice of an asset that were computed, in order."""
    return _times(connection, asset, part)["session"].dt.date().to_list()


def overtaken(connection: Connection, asset: str, part: Slice, begun: dt.datetime) -> list[Slice]:
    """The sessions of a slice that a computation changed which began after this moment, each as a slice."""
    times = _times(connection, asset, part).filter(pl.col("computed_at") > begun)
    return [one for one in part.pieces(1) if one.start in times["session"]]


def stale_sessions(connection: Connection, asset: str, part: Slice) -> list[dt.date]:
    """The sessions of a slice of an asset whose inputs changed after they were computed, in order."""
    sessions = np.array(part.sessions, dtype="datetime64[D]")
    computed = _by_session(_times(connection, asset, part), "computed_at", sessions)
    if not (computed > NEVER).any():
        return []
    newest = np.full(len(sessions), NEVER)
    for source, lookback in INPUTS[asset].items():
        seen = part.looking_back(lookback) if lookback else part
        before = np.array(seen.sessions, dtype="datetime64[D]")
        changed = _by_session(_times(connection, source, seen), "changed_at", before)
        if (asset, source) == ("track_record", "recommendations"):
            changed[changed < computed[computed > NEVER].min()] = NEVER
            latest = _due(connection, part.market, before, changed)
        else:
            latest = _latest(changed, lookback)
        newest = np.maximum(newest, latest[len(before) - len(sessions) :])
    if asset == "recommendations":
        newest = np.maximum(newest, _decided(connection, part.market, sessions))
    stale: list[dt.date] = sessions[(computed > NEVER) & (newest > computed)].tolist()
    return stale


def stale_versions(connection: Connection) -> list[str]:
    """The versions that learned from features or bars that changed after they were trained, in order."""
    query = text(
        "SELECT version FROM model_versions m WHERE EXISTS (SELECT FROM computed_sessions c"
        " WHERE c.asset IN ('price_bars', 'features') AND c.session < date_trunc('day', m.as_of)"
        " AND c.changed_at > m.trained_at) ORDER BY as_of"
    )
    return list(connection.scalars(query))


def stale(connection: Connection) -> list[Stale]:
    """Everything that is partitioned by session and stale, in order of the graph."""
    everything = [Slice(market, tuple(all_sessions().tolist())) for market in MARKETS.values()]
    found = [
        Stale(asset, part.market, tuple(stale_sessions(connection, asset, part)))
        for asset in INPUTS
        for part in everything
    ]
    return [one for one in found if one.sessions]


def _times(connection: Connection, asset: str, part: Slice) -> pl.DataFrame:
    query = text(
        "SELECT session, computed_at, changed_at FROM computed_sessions WHERE asset = :asset AND market = :market"
        " AND session >= :start AND session <= :last ORDER BY session"
    )
    given = {"asset": asset, "market": part.market.name, "start": part.dates[0], "last": part.dates[-1]}
    schema = dict.fromkeys(("session", "computed_at", "changed_at"), pl.Datetime("us"))
    return pl.DataFrame(connection.execute(query, given).all(), schema=schema, orient="row")


def _by_session(times: pl.DataFrame, column: str, sessions: npt.NDArray[np.datetime64]) -> Times:
    """A time for each session, NEVER where there is none."""
    found = np.zeros(len(sessions), dtype="datetime64[us]")
    dates = times["session"].to_numpy().astype("datetime64[D]")
    known = np.isin(dates, sessions)
    found[np.searchsorted(sessions, dates[known])] = times[column].to_numpy()[known]
    return found


def _latest(times: Times, lookback: int) -> Times:
    """The latest of each session's time and those of so many sessions before it."""
    window = pl.Series(times.astype(np.int64)).rolling_max(lookback + 1, min_samples=1)
    return window.to_numpy().astype("datetime64[us]")


def _due(connection: Connection, market: Market, sessions: npt.NDArray[np.datetime64], changed: Times) -> Times:
    """When the advice that is due on each session last changed: only that is scored, or was, on the session.

    Args:
        connection: asked for the horizons of what changed alone, since the table is large.
        market: whose advice it is.
        sessions: of the market, in order.
        changed: when the advice of each of them changed, NEVER where that is of no interest.
    """
    found, late = np.full(len(sessions), NEVER), sessions[changed > NEVER]
    if late.size == 0:
        return found
    query = text(
        "SELECT DISTINCT r.as_of::date, r.horizon_days FROM recommendations r"
        " WHERE (r.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges))) IS TRUE"
        " AND r.as_of >= :first AND r.as_of < CAST(:last AS date) + 1 AND r.horizon_days <= :longest"
    )
    given = {"exchanges": list(market.exchanges), "first": late[0].item(), "last": late[-1].item()}
    for session, horizon in connection.execute(query, given | {"longest": LONGEST_HORIZON}):
        place = int(np.searchsorted(sessions, np.datetime64(session)))
        if place + horizon < len(sessions):
            found[place + horizon] = max(found[place + horizon], changed[place])
    return found


def _decided(connection: Connection, market: Market, sessions: npt.NDArray[np.datetime64]) -> Times:
    """When it was decided who speaks at each session's close, NEVER before the first decision.

    A decision that leaves the champion where it was changes no advice; one that leaves nobody changes the reason.
    """
    query = "SELECT effective_at, decided_at, speaker_id FROM model_decisions ORDER BY effective_at, decided_at"
    decided, before = np.full(len(sessions), NEVER), None
    for effective_at, decided_at, speaker in connection.execute(text(query)):
        if speaker is None or speaker != before:
            decided[_first_close(market, sessions, effective_at) :] = np.datetime64(decided_at, "us")
        before = speaker
    return decided


def _first_close(market: Market, sessions: npt.NDArray[np.datetime64], moment: dt.datetime) -> int:
    """The place of the first session that closes at or after a moment."""
    place = int(np.searchsorted(sessions, np.datetime64(moment, "D")))
    if place == len(sessions) or sessions[place].item() > moment.date():
        return place
    return place + (market.closes(sessions[place].item()) < moment)
