"""Replay: rejected rows are judged again by today's rules, and those that break none are stored.

What belongs here: which rejected rows can be judged again, and the transaction that writes what follows: bars, the
ledger of rejected rows, the delivery log, staleness.
Kept elsewhere: the judgement (`verdicts.py`), how a row is read again (`sources/`), how a delivery is written
(`orchestration/chunk_writes.py`).

Nothing earlier is rewritten: a bar that is stored by a replay is known from now on, and those that are there stay.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.quality.contract import INCOMPLETE_REASONS, identify_rejected
from boursomatic_assets.sources import Source
from boursomatic_assets.sources.raw_rows import REJECTED
from boursomatic_assets.tables import activity, computations, merging, staleness
from boursomatic_assets.tables.aliases.names import with_aliases
from boursomatic_assets.tables.archive import files, year_returns
from boursomatic_assets.tables.deliveries import rejected_rows, selection, sessions
from boursomatic_assets.tables.deliveries.places import TARGET, Place, with_target
from boursomatic_assets.tables.deliveries.selection import Selection
from boursomatic_assets.tables.deliveries.sessions import Amendment
from boursomatic_assets.tables.deliveries.verdicts import Verdicts, judge
from boursomatic_assets.tables.grains import INSTRUMENTS
from boursomatic_assets.tables.reading import read_slice, read_table
from boursomatic_assets.tables.staging import lock_slice, transaction

RUN = "replay"
"""What stands for a run in what a replay writes."""

STANDS_FOR_MORE = "stands for a file or an instrument that was not delivered: load it again"
OTHER_SOURCE = "comes from the source {}: set BOURSOMATIC_SOURCE to it"
UNREADABLE = "cannot be read again"
NOT_CLOSED = "its session has not closed yet: replay it after the close"
ARCHIVED = "the 15m bars of its session are archived: load the session again, which restores them"
"""Why a row is not judged."""


@dataclass
class Outcome:
    """What became of rejected rows.

    Attributes:
        stored: how many are bars now.
        merged: how many repeat a bar.
        rejected: how many stay rejected, by the reason that they have now.
        left: how many were not judged, by why.
    """

    stored: int = 0
    merged: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    def add(self, verdicts: Verdicts) -> None:
        """Count the verdicts on the rows of a place."""
        self.stored += verdicts.bars.height
        self.merged += len(verdicts.merged)
        self.rejected.update(verdicts.rejected["reason"].to_list())


def replay(source: Source, chosen: Selection, *, extended: bool = False, dry_run: bool = False) -> Outcome:
    """Judge the chosen rejected rows again, and write what follows, one session in each transaction.

    Args:
        source: the source that delivered them; rows of other sources are left as they are.
        chosen: which rows.
        extended: whether 15m bars before the open and after the close are wanted too.
        dry_run: write nothing.
    """
    outcome = Outcome()
    rows = _read_again(source, selection.read_with_neighbours(chosen), outcome)
    instruments = with_aliases(read_table(INSTRUMENTS))
    for target, of_place in rows.group_by(TARGET, maintain_order=True):
        group = _Group(Place(*target), of_place, instruments, extended)
        if obstacle := _find_obstacle(group.place):
            outcome.left[obstacle] += int(of_place["selected"].sum())
            continue
        verdicts = group.judge()
        outcome.add(_write(group) if verdicts.cleared and not dry_run else verdicts)
    return outcome


def _read_again(source: Source, ledger: pl.DataFrame, outcome: Outcome) -> pl.DataFrame:
    """Rejected rows as their source reads them now; those that cannot be read are counted as left.

    Returns:
        The columns of `ledger`, but for `delivered_for`, its interval; raw bars, and the columns of TARGET.
    """
    for_more, other = pl.col("reason").is_in(INCOMPLETE_REASONS), pl.col("source") != source.name
    ledger = ledger.with_columns(
        why=pl.when(for_more).then(pl.lit(STANDS_FOR_MORE)).when(other).then(pl.format(OTHER_SOURCE, "source"))
    )
    again = source.read_again(ledger.filter(pl.col("why").is_null()).select(*REJECTED))
    errors = again.filter(pl.col("id").is_null()).select(
        "file", error=pl.col("raw").str.json_path_match("$.error")
    )
    bars = again.drop_nulls("id").drop("file", "line", "raw")
    left = ledger.filter("selected").join(bars, on="id", how="anti").join(errors, on="file", how="left")
    outcome.left.update(left.select(pl.coalesce("why", "error", pl.lit(UNREADABLE))).to_series())
    rows = ledger.drop("why").rename({"interval": "delivered_for"})
    return with_target(rows.join(bars, on="id", maintain_order="left"))


def _find_obstacle(place: Place) -> str | None:
    """Why the rows of a place cannot be judged now; None if they can be."""
    part = place.part
    if place.interval == "15m" and files.archived_sessions(part):
        return ARCHIVED
    is_over = all(part.market.close_time(session) <= utc_now() for session in part.sessions)
    return NOT_CLOSED if place.session and not is_over else None


@dataclass(frozen=True)
class _Group:
    """Rejected rows that belong to one place.

    Attributes:
        place: where they belong by what they say now.
        rows: see `_read_again`.
        instruments: the known instruments.
        extended: whether 15m bars outside of trading hours are wanted too.
    """

    place: Place
    rows: pl.DataFrame
    instruments: pl.DataFrame
    extended: bool

    def judge(self) -> Verdicts:
        """What today's rules say of the rows, beside the bars that are stored."""
        stored = read_slice(self.place.grain, self.place.part).drop("market")
        return judge(self.rows, self.place, self.instruments, stored, extended=self.extended)


def _write(group: _Group) -> Verdicts:
    """Judge a group again under the slice's lock, without rows that have left the ledger, and write it."""
    year_returns.restore_written(group.place.asset, group.place.part)
    with transaction() as connection:
        _lock(connection, group)
        group = replace(group, rows=_still_rejected(connection, group.rows))
        verdicts = group.judge()
        if verdicts.bars.height:
            _store_bars(connection, group, verdicts.bars)
        if verdicts.cleared:
            rejected_rows.replace(connection, verdicts.cleared, _renamed_rows(group.place, verdicts), RUN)
            _amend_log(connection, group, verdicts)
    return verdicts


def _still_rejected(connection: Connection, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that are in the ledger: another run may have delivered them anew since they were read."""
    query = text("SELECT id::text FROM rejected_bars WHERE id = ANY(CAST(:ids AS uuid[]))")
    ids = connection.scalars(query, {"ids": rows["id"].to_list()}).all()
    return rows.filter(pl.col("id").is_in(ids))


def _lock(connection: Connection, group: _Group) -> None:
    """Lock the session; whole markets where a row was counted elsewhere, or belongs to every session."""
    places = {group.place, *_places_until_now(group.rows)}
    for market in sorted({place.market for place in places}):
        part = replace(group.place, market=market).part
        one = len(places) == 1 and group.place.session
        lock_slice(connection, group.place.grain.table.name, part if one else part.looking_back(1))


def _store_bars(connection: Connection, group: _Group, bars: pl.DataFrame) -> None:
    """Store new bars; what was computed without them is stale.

    The source is not asked again, so when it was asked stays as it is: a delivery that asked later, and is under
    way, is newer. Where that is not recorded, it was before the rows were rejected.
    """
    place = group.place
    asked = computations.computation_times(connection, place.asset, place.part)["computed_at"]
    asked_at = asked[0] if asked.len() else group.rows["rejected_at"].sort()[0]
    staleness.record(connection, place.asset, place.part, asked_at, bars["ts"].dt.truncate("1d").unique().sort())
    found = rejected_rows.origins(connection, bars["id"])
    merging.add(connection, place.grain, place.part, bars.join(found, on="id", how="left").drop("id"))
    if place.interval == "daily":
        activity.update_activity(connection, place.part.market)


def _renamed_rows(place: Place, verdicts: Verdicts) -> pl.DataFrame:
    """The rows that have another reason now, as the ledger takes them."""
    renamed = pl.col("reason") != pl.col("old_reason")
    rows = verdicts.rejected.sort(renamed, maintain_order=True)  # of twins, those that stay keep their ids
    moved = rows.with_columns(market="to_market", session="to_session")
    return identify_rejected(moved, place.interval).filter(rows.select(renamed).to_series())


def _amend_log(connection: Connection, group: _Group, verdicts: Verdicts) -> None:
    """Let the delivery log follow, where the rows belong now and where they were counted until now."""
    source = group.rows["source"][0]
    cleared = group.rows.filter(pl.col("id").is_in(verdicts.cleared))
    for place in _places_until_now(cleared) - {group.place}:
        sessions.amend(connection, place, source, Amendment(), RUN)
    change = Amendment(verdicts.bars.height, len(verdicts.merged), verdicts.repaired)
    sessions.amend(connection, group.place, source, change, RUN)


def _places_until_now(rows: pl.DataFrame) -> set[Place]:
    """Where rows are accounted for in the ledger."""
    return {Place(*place) for place in rows.select("market", "delivered_for", "session").iter_rows()}
