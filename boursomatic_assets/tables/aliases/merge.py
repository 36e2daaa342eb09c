"""Merging instruments: the bars of one become bars of another, and its name becomes an alias.

What belongs here: the merge, one transaction under the locks of everything that writes rows of a market.
Kept elsewhere: which instruments may be one share (`candidates.py`), what else an alias means (`names.py`), how a
delivery is merged with stored rows (`tables/merging.py`).

No bar is lost, and what was known when stays readable: bars and their earlier versions keep their times. Files of
the archive stay as they are; their bars are read under the present names.
"""

import datetime as dt
from dataclasses import dataclass

import polars as pl
from sqlalchemy import Connection, Table, func, insert, select, text, update

from boursomatic_assets.calendars.markets import MARKETS, Market, all_sessions
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.schema import identifiers
from boursomatic_assets.tables import activity, computations
from boursomatic_assets.tables.aliases.archived import SOURCE, merge_archived
from boursomatic_assets.tables.aliases.names import ALIASES, Name, find_id
from boursomatic_assets.tables.deliveries import sessions
from boursomatic_assets.tables.frames import key
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.revisions import known_from
from boursomatic_assets.tables.staging import advisory_lock, lock_slice, stage, transaction
from boursomatic_assets.vocabulary import INTERVALS

_LOCKED_TABLES = ("price_bars", "features", "recommendations", "track_record")
"""Whoever writes rows of a market holds the lock of one of these tables, and only then takes another lock."""

_SAME = "(m.o, m.h, m.l, m.c, m.v) = (t.o, t.h, t.l, t.c, t.v)"

_PAIRS = (
    "price_bars m JOIN price_bars t ON t.instrument_id = :target AND t.ts = m.ts AND t.interval = m.interval"
    " WHERE m.instrument_id = :merged"
)
"""The bars of both instruments at one time: of the merged one (m), and of the target (t)."""

_FREE_END = (
    "{end} - interval '1 microsecond' * (SELECT count(*) FROM price_bar_revisions x"
    " WHERE x.instrument_id = :target AND x.ts = m.ts AND x.interval = m.interval"
    " AND x.known_until BETWEEN {end} - interval '1 ms' AND {end})"
)
"""An end is part of a version's key, and a delivery may have replaced bars of both instruments at once."""

_MOVE_REVISIONS = text(
    "UPDATE price_bar_revisions m SET instrument_id = :target,"
    f" known_until = {_FREE_END.format(end='m.known_until')} WHERE m.instrument_id = :merged"
)

_RECORD_PAIRS = text(
    "INSERT INTO price_bar_revisions"
    " (id, instrument_id, ts, interval, o, h, l, c, v, file_id, line, known_from, known_until, source)"
    " SELECT gen_random_uuid(), :target, m.ts, m.interval, m.o, m.h, m.l, m.c, m.v, m.file_id, m.line,"
    f" {known_from('m')},"
    f" CASE WHEN {_SAME} THEN {_FREE_END.format(end=known_from('t'))} ELSE CAST(:moment AS timestamp) END, :source"
    f" FROM {_PAIRS} AND (NOT {_SAME} OR {known_from('m')} < {known_from('t')} - interval '1 ms')"
)
"""The merged instrument's bars that the target does not get: other values, or the same that were known earlier."""


@dataclass(frozen=True)
class MergeResult:
    """What a merge did.

    Attributes:
        merged: the name that is an alias now.
        target: the instrument that it names.
        was_done: it was its alias already, and nothing was done.
        moved: bars that the target did not have.
        repeated: bars that the target has with the same values; they are dropped.
        differing: bars that the target has with other values; they are revisions of the target now.
        archived: archived bars that are read as bars of the target.
        deactivated: active recommendations of the merged instrument, which are inactive now.
        sessions: the first and the last session whose daily bars changed; None if none did.
    """

    merged: Name
    target: Name
    was_done: bool = False
    moved: int = 0
    repeated: int = 0
    differing: int = 0
    archived: int = 0
    deactivated: int = 0
    sessions: tuple[dt.date, dt.date] | None = None


def merge(merged: Name, target: Name, *, dry_run: bool = False) -> MergeResult:
    """Make one instrument a further name of another, for good; `dry_run` does it all and takes it back.

    Raises:
        ValueError: the instruments cannot be merged; the message says what to do.
    """
    market = _common_market(merged, target)
    with transaction("owner") as connection:  # revisions are re-pointed, which only the owner may do
        _lock_writers(connection, market)
        ids = {"merged": find_id(connection, merged), "target": find_id(connection, target)}
        if _is_alias(connection, merged, target, ids["target"]):
            return MergeResult(merged, target, was_done=True)
        result = _merge(connection, market, merged, target, ids)
        if dry_run:
            connection.rollback()
    return result


def _common_market(merged: Name, target: Name) -> Market:
    """The market of both names.

    Raises:
        ValueError: they have none, or are the same.
    """
    if merged == target:
        raise ValueError(f"{merged} cannot be merged into itself: name two instruments")
    of_merged, of_target = (
        next((market for market in MARKETS.values() if name.exchange in market.exchanges), None)
        for name in (merged, target)
    )
    if of_merged is None or of_merged != of_target:
        known = "; ".join(f"{market.name}: {', '.join(market.exchanges)}" for market in MARKETS.values())
        raise ValueError(f"{merged} and {target} are not of one market: choose exchanges of one ({known})")
    return of_merged


def _lock_writers(connection: Connection, market: Market) -> None:
    """Wait for everything that writes rows of a market, and keep it waiting until the merge is committed."""
    whole = _whole(market)
    for table in _LOCKED_TABLES:
        lock_slice(connection, table, whole)
    for name in ("instruments", f"instruments|{market.name}|active", f"recommendations|{market.name}|active"):
        advisory_lock(connection, name)


def _whole(market: Market) -> Slice:
    return Slice(market, tuple(all_sessions().tolist()))


def _is_alias(connection: Connection, merged: Name, target: Name, target_id: str) -> bool:
    """Whether the merge was done before.

    Raises:
        ValueError: one of both was merged into a third.
    """
    a, i = ALIASES.c, INSTRUMENTS.c
    for name in (merged, target):
        holder = connection.execute(
            select(i.id, i.symbol, i.exchange)
            .join_from(INSTRUMENTS, ALIASES, i.id == a.instrument_id)
            .where(a.symbol == name.symbol, a.exchange == name.exchange)
        ).first()
        if holder and name == merged and str(holder.id) == target_id:
            return True
        if holder:
            present = Name(holder.symbol, holder.exchange)
            raise ValueError(
                f"{name} was merged into {present} before, and a merge is final: name {present} instead"
            )
    return False


def _merge(connection: Connection, market: Market, merged: Name, target: Name, ids: dict[str, str]) -> MergeResult:
    moment = database_time(connection)
    pairs = _read_times(connection, f"SELECT m.interval, m.ts, {_SAME} AS same FROM {_PAIRS}", ids)
    bars = _read_times(connection, "SELECT interval, ts FROM price_bars WHERE instrument_id = :merged", ids)
    connection.execute(_MOVE_REVISIONS, ids)
    connection.execute(_RECORD_PAIRS, {**ids, "moment": moment, "source": SOURCE})
    _move_rows(connection, GRAINS["price_bars"].table, ids)
    # A bar without a row of features breaks an invariant; a row that is moved is stale, as after a correction.
    _move_rows(connection, GRAINS["features"].table, ids)
    archived, hidden = merge_archived(connection, _whole(market), merged, target, ids["target"], moment)
    days = bars.filter(interval="daily")["ts"].sort()
    computations.mark_changed(connection, "price_bars", market, days, moment)
    _count_as_merged(connection, market, pairs, hidden)
    deactivated = _deactivate(connection, ids["merged"])
    _state_alias(connection, merged, ids, moment)
    activity.update_activity(connection, market)
    return MergeResult(
        merged,
        target,
        moved=bars.height - pairs.height,
        repeated=int(pairs["same"].sum()),
        differing=int((~pairs["same"]).sum()),
        archived=archived,
        deactivated=deactivated,
        sessions=(days[0].date(), days[-1].date()) if len(days) else None,
    )


def _read_times(connection: Connection, query: str, ids: dict[str, str]) -> pl.DataFrame:
    """Keys of the merged instrument's bars: interval, ts, and `same` for pairs."""
    schema = {"interval": pl.String(), "ts": pl.Datetime("us"), "same": pl.Boolean()}
    found = connection.execute(text(query), ids)
    columns = [*found.keys()]
    return pl.DataFrame(found.all(), {name: schema[name] for name in columns}, orient="row")


def _move_rows(connection: Connection, table: Table, ids: dict[str, str]) -> None:
    """Give the target the merged instrument's rows at times at which it has none, and delete the others.

    Ids follow from what a row is. Bars of intervals that the platform does not load keep theirs.
    """
    names = [name for name in key(table) if name != "instrument_id"]
    of_merged = select(*(table.c[name] for name in names)).where(table.c.instrument_id == ids["merged"])
    schema = {name: pl.Datetime("us") if name == "ts" else pl.String() for name in names}
    rows = pl.DataFrame(connection.execute(of_merged).all(), schema, orient="row")
    if "interval" in names:
        rows = rows.filter(pl.col("interval").is_in(INTERVALS))
    rows = rows.with_columns(instrument_id=pl.lit(ids["target"]))
    staged = stage(connection, table, rows.with_columns(identifiers.of_rows(rows)))
    same, beside = (" AND ".join(f"m.{name} = {row}.{name}" for name in names) for row in "st")
    vacant = f"NOT EXISTS (SELECT FROM {table.name} t WHERE t.instrument_id = :target AND {beside})"
    of_merged_and_vacant = f"m.instrument_id = :merged AND {vacant}"
    for statement in (
        f"UPDATE {table.name} m SET id = s.id, instrument_id = :target FROM {staged} s"
        f" WHERE {same} AND {of_merged_and_vacant}",
        f"UPDATE {table.name} m SET instrument_id = :target WHERE {of_merged_and_vacant}",
        f"DELETE FROM {table.name} WHERE instrument_id = :merged",
    ):
        connection.execute(text(statement), ids)


def _count_as_merged(connection: Connection, market: Market, pairs: pl.DataFrame, hidden: pl.DataFrame) -> None:
    """Let the log of deliveries count the bars that the merge dropped as merged, no longer as kept."""
    for interval in ("daily", "15m"):
        dropped = pairs.filter(interval=interval).select("ts", archived=pl.lit(None, pl.UInt32))
        if interval == "15m":
            dropped = pl.concat([hidden, dropped]).unique("ts", keep="first", maintain_order=True)
        sessions.count_as_merged(connection, _whole(market), interval, dropped)


def _deactivate(connection: Connection, instrument_id: str) -> int:
    """Make the active recommendations of an instrument inactive; returns how many.

    They are not superseded: they stay what was said of their session until it is computed again, so that their
    scores stay in the track record. A merged instrument has no active row (`merging.supersede`, and the check
    `newest_advice_is_active`), since the target has one.
    """
    done = text("UPDATE recommendations SET is_active = false WHERE instrument_id = :id AND is_active")
    return connection.execute(done, {"id": instrument_id}).rowcount


def _state_alias(connection: Connection, merged: Name, ids: dict[str, str], moment: dt.datetime) -> None:
    """Make the merged instrument inactive, and its names aliases of the target: an alias never names an alias."""
    connection.execute(
        update(ALIASES).where(ALIASES.c.instrument_id == ids["merged"]).values(instrument_id=ids["target"])
    )
    alias = merged._asdict() | {"instrument_id": ids["target"], "created_at": moment}
    connection.execute(insert(ALIASES).values(id=func.gen_random_uuid(), **alias))
    inactive = update(INSTRUMENTS).where(INSTRUMENTS.c.id == ids["merged"])
    connection.execute(inactive.values(is_active=False, updated_at=func.now()))
