"""Merging instruments: the bars of one become bars of another, and its name becomes an alias.

What belongs here: the merge, one transaction under the locks of everything that writes rows of a market.
Kept elsewhere: how rows are moved (`moving.py`, `archived.py`), which instruments may be one share
(`candidates.py`), what else an alias means (`names.py`), how a delivery is merged with stored rows
(`tables/merging.py`).

No bar is lost, and what was known when stays readable: bars and their earlier versions keep their times. Files of
the archive stay as they are; their bars are read under the present names.
"""

import datetime as dt
from dataclasses import dataclass

import polars as pl
from sqlalchemy import Connection, func, insert, select, text, update

from boursomatic_assets.calendars.markets import MARKETS, Market, all_sessions
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.tables import activity, computations
from boursomatic_assets.tables.aliases import moving
from boursomatic_assets.tables.aliases.archived import SOURCE, merge_archived
from boursomatic_assets.tables.aliases.names import ALIASES, Name, find_id
from boursomatic_assets.tables.archive import year_returns
from boursomatic_assets.tables.deliveries import sessions
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.staging import advisory_lock, lock_slice, transaction

_LOCKED_TABLES = ("price_bars", "features", "recommendations", "track_record")
"""Whoever writes rows of a market holds the lock of one of these tables, and only then takes another lock."""


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
        year_returns.restore_of(connection, _whole(market), ids["merged"])
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
    bars, pairs = moving.read_bars(connection, ids), moving.read_pairs(connection, ids)
    moving.move_revisions(connection, ids, moment, SOURCE)
    moving.move_rows(connection, GRAINS["price_bars"].table, ids)
    # A bar without a row of features breaks an invariant; a row that is moved is stale, as after a correction.
    moving.move_rows(connection, GRAINS["features"].table, ids)
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
