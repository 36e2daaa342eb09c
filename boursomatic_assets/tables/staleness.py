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
from sqlalchemy import Connection, Table, select, text

from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.arrays import Times
from boursomatic_assets.calendars.markets import MARKETS, Market, all_sessions
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.features.indicators import LOOKBACK
from boursomatic_assets.schema import ComputedSession, ModelDecision
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.staging import quote, stage

COMPUTED_SESSIONS: Table = ComputedSession.__table__
MODEL_DECISIONS: Table = ModelDecision.__table__

INPUT_LOOKBACKS = {
    "features": {"price_bars": LOOKBACK},
    "recommendations": {"features": 0, "price_bars": 0},
    "track_record": {"recommendations": LONGEST_HORIZON, "price_bars": LONGEST_HORIZON},
}
"""What an asset's session is computed from, and how many sessions of it before its own."""

NEVER = np.datetime64(0, "us")


@dataclass(frozen=True)
class StaleSessions:
    """What has to be computed anew to follow its inputs: sessions of an asset and market, in order."""

    asset: str
    market: Market
    sessions: tuple[dt.date, ...]

    def __str__(self) -> str:
        ends = f"{self.sessions[0]} .. {self.sessions[-1]}"
        return f"{self.asset} {self.market.name} {ends} ({len(self.sessions):,} sessions)"


def input_read_time(connection: Connection, asset: str, part: Slice) -> dt.datetime:
    """When what an asset is computed from is about to be read: now, or when a transaction began that writes of it.

    What that one writes may be committed after it is read here, and is timed before.
    """
    names = [f"{name}|{part.market.name}" for name in INPUT_LOOKBACKS.get(asset, ())]
    query = text(
        "SELECT least(clock_timestamp(), min(a.xact_start))::timestamp FROM pg_locks l JOIN pg_stat_activity a"
        " USING (pid) WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()"
        " AND (l.classid::bigint << 32 | l.objid::bigint) IN"
        " (SELECT hashtextextended(name, 0) FROM unnest(CAST(:names AS text[])) AS name)"
    )
    moment: dt.datetime = connection.execute(query, {"names": names}).scalar_one()
    return moment


def record(
    connection: Connection, asset: str, part: Slice, started_at: dt.datetime, changed_dates: pl.Series
) -> None:
    """Say that a slice was computed, in the transaction that writes it.

    Of sessions whose rows and inputs are as they were, nothing is written.

    Args:
        connection: that transaction.
        asset: what was computed; of one without INPUTS only the sessions that changed are of interest.
        part: the slice.
        started_at: when its inputs were about to be read.
        touched: the dates whose rows this transaction changes.
    """
    dates = set(changed_dates.dt.date())
    if asset in INPUT_LOOKBACKS:
        computed = computed_sessions(connection, asset, part)
        dates |= {*stale_sessions(connection, asset, part)} | {*part.sessions}.difference(computed)
    if not dates:
        return
    rows = pl.DataFrame({"session": sorted(dates)}, schema_overrides={"session": pl.Datetime("us")}).with_columns(
        asset=pl.lit(asset),
        market=pl.lit(part.market.name),
        computed_at=pl.lit(started_at, pl.Datetime("us")),
        changed_at=pl.lit(database_time(connection), pl.Datetime("us")),
    )
    staged = stage(connection, COMPUTED_SESSIONS, frames.validate(COMPUTED_SESSIONS, rows))
    columns = ", ".join(map(quote, ("asset", "market", "session", "computed_at", "changed_at")))
    connection.execute(
        text(
            f"INSERT INTO computed_sessions AS t (id, {columns}) SELECT gen_random_uuid(), {columns} FROM {staged}"
            " ON CONFLICT (asset, market, session) DO UPDATE SET computed_at = excluded.computed_at,"
            " changed_at = CASE WHEN t.session = ANY(CAST(:changed AS timestamp[])) THEN excluded.changed_at"
            " ELSE t.changed_at END"
        ),
        {"changed": changed_dates.to_list()},
    )


def computed_sessions(connection: Connection, asset: str, part: Slice) -> list[dt.date]:
    """The sessions of a slice of an asset that were computed, in order."""
    return _computation_times(connection, asset, part)["session"].dt.date().to_list()


def sessions_computed_since(
    connection: Connection, asset: str, part: Slice, started_at: dt.datetime
) -> list[Slice]:
    """The sessions of a slice that a computation changed which began after this moment, each as a slice."""
    times = _computation_times(connection, asset, part).filter(pl.col("computed_at") > started_at)
    return [one for one in part.chunks(1) if one.start in times["session"]]


def stale_sessions(connection: Connection, asset: str, part: Slice) -> list[dt.date]:
    """The sessions of a slice of an asset whose inputs changed after they were computed, in order."""
    sessions = np.array(part.sessions, dtype="datetime64[D]")
    computed = _align_to_sessions(_computation_times(connection, asset, part), "computed_at", sessions)
    if not (computed > NEVER).any():
        return []
    last_changes = np.full(len(sessions), NEVER)
    for source, lookback in INPUT_LOOKBACKS[asset].items():
        input_slice = part.looking_back(lookback) if lookback else part
        input_sessions = np.array(input_slice.sessions, dtype="datetime64[D]")
        changed = _align_to_sessions(
            _computation_times(connection, source, input_slice), "changed_at", input_sessions
        )
        if (asset, source) == ("track_record", "recommendations"):
            changed[changed < computed[computed > NEVER].min()] = NEVER
            changes = _last_changes_by_due_session(connection, part.market, input_sessions, changed)
        else:
            changes = _latest_within_lookback(changed, lookback)
        last_changes = np.maximum(last_changes, changes[len(input_sessions) - len(sessions) :])
    if asset == "recommendations":
        last_changes = np.maximum(last_changes, _champion_decision_times(connection, part.market, sessions))
    stale: list[dt.date] = sessions[(computed > NEVER) & (last_changes > computed)].tolist()
    return stale


def stale_versions(connection: Connection) -> list[str]:
    """The versions that learned from features or bars that changed after they were trained, in order."""
    query = text(
        "SELECT version FROM model_versions m WHERE EXISTS (SELECT FROM computed_sessions c"
        " WHERE c.asset IN ('price_bars', 'features') AND c.session < date_trunc('day', m.as_of)"
        " AND c.changed_at > m.trained_at) ORDER BY as_of"
    )
    return list(connection.scalars(query))


def find_stale_sessions(connection: Connection) -> list[StaleSessions]:
    """Everything that is partitioned by session and stale, in order of the graph."""
    markets = [Slice(market, tuple(all_sessions().tolist())) for market in MARKETS.values()]
    candidates = [
        StaleSessions(asset, part.market, tuple(stale_sessions(connection, asset, part)))
        for asset in INPUT_LOOKBACKS
        for part in markets
    ]
    return [one for one in candidates if one.sessions]


def _computation_times(connection: Connection, asset: str, part: Slice) -> pl.DataFrame:
    c = COMPUTED_SESSIONS.c
    query = (
        select(c.session, c.computed_at, c.changed_at)
        .where(c.asset == asset, c.market == part.market.name)
        .where(c.session.between(part.dates[0], part.dates[-1]))
        .order_by(c.session)
    )
    schema = dict.fromkeys(("session", "computed_at", "changed_at"), pl.Datetime("us"))
    return pl.DataFrame(connection.execute(query).all(), schema=schema, orient="row")


def _align_to_sessions(times: pl.DataFrame, column: str, sessions: npt.NDArray[np.datetime64]) -> Times:
    """A time for each session, NEVER where there is none."""
    aligned = np.zeros(len(sessions), dtype="datetime64[us]")
    dates = times["session"].to_numpy().astype("datetime64[D]")
    known = np.isin(dates, sessions)
    aligned[np.searchsorted(sessions, dates[known])] = times[column].to_numpy()[known]
    return aligned


def _latest_within_lookback(times: Times, lookback: int) -> Times:
    """The latest of each session's time and those of so many sessions before it."""
    window = pl.Series(times.astype(np.int64)).rolling_max(lookback + 1, min_samples=1)
    return window.to_numpy().astype("datetime64[us]")


def _last_changes_by_due_session(
    connection: Connection, market: Market, sessions: npt.NDArray[np.datetime64], changed: Times
) -> Times:
    """When the advice that is due on each session last changed: only that is scored, or was, on the session.

    Args:
        connection: asked for the horizons of what changed alone, since the table is large.
        market: whose advice it is.
        sessions: of the market, in order.
        changed: when the advice of each of them changed, NEVER where that is of no interest.
    """
    last_changes, changed_sessions = np.full(len(sessions), NEVER), sessions[changed > NEVER]
    if changed_sessions.size == 0:
        return last_changes
    query = text(
        "SELECT DISTINCT r.as_of::date, r.horizon_days FROM recommendations r"
        " JOIN instruments i ON i.id = r.instrument_id WHERE i.exchange = ANY(:exchanges)"
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
    """When it was decided who speaks at each session's close, NEVER before the first decision.

    A decision that leaves the champion where it was changes no advice; one that leaves nobody changes the reason.
    """
    d = MODEL_DECISIONS.c
    query = select(d.effective_at, d.decided_at, d.speaker_id).order_by(d.effective_at, d.decided_at)
    decision_times, previous_champion = np.full(len(sessions), NEVER), None
    for effective_at, decided_at, champion in connection.execute(query):
        if champion is None or champion != previous_champion:
            decision_times[_first_session_closing_after(market, sessions, effective_at) :] = np.datetime64(
                decided_at, "us"
            )
        previous_champion = champion
    return decision_times


def _first_session_closing_after(market: Market, sessions: npt.NDArray[np.datetime64], moment: dt.datetime) -> int:
    """The place of the first session that closes at or after a moment."""
    position = int(np.searchsorted(sessions, np.datetime64(moment, "D")))
    if position == len(sessions) or sessions[position].item() > moment.date():
        return position
    return position + (market.closes(sessions[position].item()) < moment)
