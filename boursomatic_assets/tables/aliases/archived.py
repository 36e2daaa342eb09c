"""Archived bars of merged instruments: files of the archive stay as they are, and are read under present names.

What belongs here: which archived bars no name shows any more, and their record as revisions.
Kept elsewhere: the merge (`merge.py`), reading bars under present names (`names.py`).
"""

import datetime as dt

import polars as pl
from sqlalchemy import Connection

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.stores import archive_files
from boursomatic_assets.tables import revisions
from boursomatic_assets.tables.aliases.names import Name, present_names, with_present_names
from boursomatic_assets.tables.archive import files

SOURCE = "merge of instruments"
"""What a revision names as its source, if a merge replaced the bar."""


def merge_archived(
    connection: Connection, whole: Slice, merged: Name, target: Name, target_id: str, moment: dt.datetime
) -> tuple[int, pl.DataFrame]:
    """Record the archived bars that no name shows any more, since the target has another bar at their time.

    Returns:
        How many archived bars are read as the target's from now on; and those that no name shows: `ts`, and
        `archived`, the number of bars that their session has in the archive now.
    """
    before = present_names()
    after = _with_alias(before, merged, target, moment)
    moved, hidden = 0, [pl.DataFrame(schema={"ts": pl.Datetime("us"), "archived": pl.UInt32})]
    for session in files.archived_sessions(whole):
        bars = files.read(session).with_row_index("row")
        known = with_present_names(bars, before)
        of_merged = known.filter(_is_named(merged))
        if of_merged.is_empty():
            continue
        shown = with_present_names(bars, after)
        lost = known.join(shown, on="row", how="anti")
        shown_of_target = shown.filter(_is_named(target))
        _record_archived(connection, session.part, lost.drop("row"), shown_of_target, target_id, moment)
        moved += of_merged.join(shown, on="row", how="semi").height
        hidden.append(lost.select("ts", archived=pl.lit(shown.height, pl.UInt32)))
    return moved, pl.concat(hidden)


def _with_alias(aliases: pl.DataFrame, merged: Name, target: Name, since: dt.datetime) -> pl.DataFrame:
    """What `present_names` will return once the merge is committed."""
    of_merged = (pl.col("present_symbol") == merged.symbol) & (pl.col("present_exchange") == merged.exchange)
    repointed = [
        pl.when(of_merged).then(pl.lit(value)).otherwise(f"present_{part}").alias(f"present_{part}")
        for part, value in target._asdict().items()
    ]
    new = pl.DataFrame([(*merged, since, *target)], aliases.schema, orient="row")
    return pl.concat([aliases.with_columns(repointed), new])


def _is_named(name: Name) -> pl.Expr:
    return (pl.col("symbol") == name.symbol) & (pl.col("exchange") == name.exchange)


def _record_archived(
    connection: Connection,
    session: Slice,
    lost: pl.DataFrame,
    shown: pl.DataFrame,
    target_id: str,
    moment: dt.datetime,
) -> None:
    """Record archived bars as revisions of the target, unless it has the same values at their time."""
    different = (
        lost.join(shown, on=["ts", *"ohlcv"], how="anti")
        .with_columns(known_from=archive_files.KNOWN_FROM)
        .drop("created_at", "updated_at")
    )
    if different.is_empty():
        return
    unstored = revisions.find_unstored(different, session, "15m").with_columns(
        pl.col("known_until").fill_null(moment), instrument_id=pl.lit(target_id), source=pl.lit(SOURCE)
    )
    revisions.record_older_bars(connection, unstored.drop("symbol", "exchange"))
