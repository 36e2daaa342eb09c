"""Staleness: which computed sessions have inputs that changed since.

What belongs here: the search for stale sessions through look-backs of any length, and which sessions are recorded
as computed. Kept elsewhere: reading and writing their times (`computations.py`), Dagster's own lineage of
partitions (`orchestration/partitions.py`), which stops at 100 upstream partitions.

Times are those of the database server. A session is stale if one of its inputs changed after the computation was
about to read its inputs. Stale recommendations stay as they were published.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import Connection, Table, exists, select, text

from boursomatic_assets.advice.bands import MEMORY
from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.arrays import Times
from boursomatic_assets.calendars.markets import MARKETS, Market, all_sessions
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database import advisory
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.features import price_basis
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.schema import ModelDecision
from boursomatic_assets.tables.computations import computation_times, computed_sessions, upsert_times

MODEL_DECISIONS: Table = ModelDecision.__table__

INPUT_LOOKBACKS = {
    "features": {"price_bars": LOOKBACK},
    "recommendations": {"features": MEMORY - 1, "price_bars": 0},
    "track_record": {"recommendations": LONGEST_HORIZON, "price_bars": LONGEST_HORIZON + price_basis.LOOKBACK},
}
"""The inputs of each asset, and how many sessions before its own a session looks back on."""

INPUTS = {asset: tuple(lookbacks) for asset, lookbacks in INPUT_LOOKBACKS.items()} | {
    "model_versions": ("features", "price_bars")
}
"""The inputs of each asset; a version reads all sessions before its due date."""

NEVER = np.datetime64(0, "us")
"""The time of what did not happen."""


@dataclass(frozen=True)
class StaleSessions:
    """Sessions of an asset and market that are to be computed again, in order."""

    asset: str
    market: Market
    sessions: tuple[dt.date, ...]

    def __str__(self) -> str:
        ends = f"{self.sessions[0]} .. {self.sessions[-1]}"
        return f"{self.asset} {self.market.name} {ends} ({len(self.sessions):,} sessions)"


def input_read_time(connection: Connection, asset: str, part: Slice) -> dt.datetime:
    """The time from which a change of an asset's inputs counts as later than the computation that starts now.

    It is now, or the start of the oldest transaction that is writing one of the inputs: its changes have an
    earlier time, and may be committed after the inputs are read.
    """
    names = [f"{name}|{part.market.name}" for name in INPUTS.get(asset, ())]
    is_writing = advisory.is_lock(advisory.of_name("asked.name"), "l")
    query = text(
        "SELECT least(clock_timestamp(), min(a.xact_start))::timestamp FROM pg_locks l JOIN pg_stat_activity a"
        f" USING (pid) JOIN unnest(CAST(:names AS text[])) AS asked (name) ON {is_writing}"
    )
    moment: dt.datetime = connection.execute(query, {"names": names}).scalar_one()
    return moment


def record(
    connection: Connection, asset: str, part: Slice, started_at: dt.datetime, changed_dates: pl.Series
) -> None:
    """Record that a slice was computed. Nothing is written for sessions whose rows and inputs did not change.

    Args:
        connection: the transaction that writes the slice.
        asset: the asset; of one that is not in INPUT_LOOKBACKS only the changed sessions are recorded.
        part: the slice.
        started_at: when its inputs were about to be read, from `input_read_time`.
        changed_dates: the dates whose rows this transaction changes.
    """
    dates = set(changed_dates.dt.date())
    if asset in INPUT_LOOKBACKS:
        computed = computed_sessions(connection, asset, part)
        dates |= {*stale_sessions(connection, asset, part)} | {*part.sessions}.difference(computed)
    if dates:
        rows = pl.DataFrame({"session": sorted(dates)}, schema_overrides={"session": pl.Datetime("us")})
        rows = rows.with_columns(
            asset=pl.lit(asset),
            market=pl.lit(part.market.name),
            computed_at=pl.lit(started_at, pl.Datetime("us")),
            changed_at=pl.lit(database_time(connection), pl.Datetime("us")),
        )
        upsert_times(connection, rows, changed_dates)


def stale_sessions(connection: Connection, asset: str, part: Slice) -> list[dt.date]:
    """The sessions of an asset's slice whose inputs changed after they were computed, in order."""
    sessions = np.array(part.sessions, dtype="datetime64[D]")
    computed = _align_to_sessions(computation_times(connection, asset, part), "computed_at", sessions)
    if not (computed > NEVER).any():
        return []
    first_computed = computed[computed > NEVER].min()
    last_changes = np.full(len(sessions), NEVER)
    for source in INPUT_LOOKBACKS[asset]:
        changes = _last_input_changes(connection, asset, source, part, first_computed)
        last_changes = np.maximum(last_changes, changes[len(changes) - len(sessions) :])
    if asset == "recommendations":
        last_changes = np.maximum(last_changes, _champion_decision_times(connection, part.market, sessions))
    stale: list[dt.date] = sessions[(computed > NEVER) & (last_changes > computed)].tolist()
    return stale


def _last_input_changes(
    connection: Connection, asset: str, source: str, part: Slice, since: np.datetime64
) -> Times:
    """When an input of each session of a slice, and of the sessions of its look-back, last changed."""
    lookback = INPUT_LOOKBACKS[asset][source]
    input_slice = part.looking_back(lookback) if lookback else part
    sessions = np.array(input_slice.sessions, dtype="datetime64[D]")
    changed = _align_to_sessions(computation_times(connection, source, input_slice), "changed_at", sessions)
    if (asset, source) != ("track_record", "recommendations"):
        return _latest_within_lookback(changed, lookback)
    changed[changed < since] = NEVER
    return _last_changes_by_due_session(connection, part.market, sessions, changed)


def versions_before_changes(connection: Connection) -> list[str]:
    """The names of model versions before whose due date a feature or bar changed after they had read it, in order.

    What changed need not be what they learned from: see `registry/history.py`.
    """
    query = text(
        "SELECT version FROM model_versions m WHERE EXISTS (SELECT FROM computed_sessions c"
        " WHERE c.asset IN ('price_bars', 'features') AND c.session < date_trunc('day', m.as_of)"
        " AND c.changed_at > coalesce(m.history_read_at, m.trained_at)) ORDER BY as_of, revision"
    )
    return list(connection.scalars(query))


def find_stale_sessions(connection: Connection) -> list[StaleSessions]:
    """All stale sessions, by asset in the order of computation, and by market."""
    markets = [Slice(market, tuple(all_sessions().tolist())) for market in MARKETS.values()]
    candidates = [
        StaleSessions(asset, part.market, tuple(stale_sessions(connection, asset, part)))
        for asset in INPUT_LOOKBACKS
        for part in markets
    ]
    return [stale for stale in candidates if stale.sessions]


def _align_to_sessions(times: pl.DataFrame, column: str, sessions: npt.NDArray[np.datetime64]) -> Times:
    """The time of each session, NEVER where there is none."""
    aligned = np.zeros(len(sessions), dtype="datetime64[us]")
    dates = times["session"].to_numpy().astype("datetime64[D]")
    known = np.isin(dates, sessions)
    aligned[np.searchsorted(sessions, dates[known])] = times[column].to_numpy()[known]
    return aligned


def _latest_within_lookback(times: Times, lookback: int) -> Times:
    """The latest time of each session and of the sessions of its look-back."""
    window = pl.Series(times.astype(np.int64)).rolling_max(lookback + 1, min_samples=1)
    return window.to_numpy().astype("datetime64[us]")


def _last_changes_by_due_session(
    connection: Connection, market: Market, sessions: npt.NDArray[np.datetime64], changed: Times
) -> Times:
    """When the recommendations whose horizon ends on each session last changed.

    Args:
        connection: a connection; only the horizons of changed recommendations are read, since the table is large.
        market: the market of the recommendations.
        sessions: the sessions of the market, in order.
        changed: when the recommendations of each session changed; those with NEVER are left out.
    """
    last_changes, changed_sessions = np.full(len(sessions), NEVER), sessions[changed > NEVER]
    if changed_sessions.size == 0:
        return last_changes
    query = text(
        "SELECT DISTINCT r.as_of::date, r.horizon_days FROM recommendations r"
        " WHERE (r.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges))) IS TRUE"
        " AND r.as_of >= :first AND r.as_of < CAST(:last AS date) + 1 AND r.horizon_days <= :longest"
    )
    parameters = {
        "exchanges": list(market.exchanges),
        "first": changed_sessions[0].item(),
        "last": changed_sessions[-1].item(),
    }
    for session, horizon in connection.execute(query, parameters | {"longest": LONGEST_HORIZON}):
        position = int(np.searchsorted(sessions, np.datetime64(session)))
        if position + horizon < len(sessions):
            last_changes[position + horizon] = max(last_changes[position + horizon], changed[position])
    return last_changes


def _champion_decision_times(
    connection: Connection, market: Market, sessions: npt.NDArray[np.datetime64]
) -> Times:
    """When the champion at each session's close was decided, NEVER before the first decision.

    A decision that keeps the champion changes no recommendation, unless it takes the place of one that did not.
    One that leaves no champion changes the reason. Of the gate's decisions about one due date the last counts.
    """
    d, later = MODEL_DECISIONS.c, MODEL_DECISIONS.alias().c
    replaced = exists().where(
        d.decided_by == "gate",
        later.decided_by == "gate",
        later.effective_at == d.effective_at,
        later.decided_at > d.decided_at,
    )
    query = select(d.effective_at, d.decided_at, d.speaker_id, replaced).order_by(d.effective_at, d.decided_at)
    decision_times, previous_champion = np.full(len(sessions), NEVER), None
    former_champions: dict[dt.datetime, set[object]] = {}
    for effective_at, decided_at, champion, is_replaced in connection.execute(query):
        former = former_champions.setdefault(effective_at, set())
        if is_replaced:
            former.add(champion)
            continue
        if champion is None or champion != previous_champion or former - {champion}:
            first = _first_session_closing_after(market, sessions, effective_at)
            decision_times[first:] = np.datetime64(decided_at, "us")
        previous_champion = champion
    return decision_times


def _first_session_closing_after(market: Market, sessions: npt.NDArray[np.datetime64], moment: dt.datetime) -> int:
    """The position of the first session that closes at or after a moment."""
    position = int(np.searchsorted(sessions, np.datetime64(moment, "D")))
    if position == len(sessions) or sessions[position].item() > moment.date():
        return position
    return position + (market.close_time(sessions[position].item()) < moment)
