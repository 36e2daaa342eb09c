"""Reading: archived bars where they lie, as they are known now or were known at a past moment.

What belongs here: reading and counting them, under present names. Kept elsewhere: restoring them (`moving.py`).
"""

import datetime as dt

import polars as pl

from boursomatic_assets import absorbed
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.stores import archive_files
from boursomatic_assets.tables import revisions
from boursomatic_assets.tables.aliases import names
from boursomatic_assets.tables.archive import files
from boursomatic_assets.tables.archive.files import ArchivedSession
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import one_moment

INTERVAL = GRAINS[files.ASSET].interval


def read_bars(part: Slice, interval: str = "daily", known_at: dt.datetime | None = None) -> pl.DataFrame:
    """Bars of a slice as `revisions.read_bars` returns them, with those that are only in the archive.

    Bars that are moved or restored meanwhile are found: the table and the names of the files are read as of one
    moment, and a file stays long after another has taken its place.
    """
    with one_moment():
        bars = revisions.read_bars(part, interval, known_at)
        if interval != INTERVAL:
            return bars
        sessions = files.archived_sessions(part)
        archived = [_known_bars(unstored_bars(session), known_at) for session in sessions]
    # Where both are known, a revision is the bar under a name that was merged since.
    one_per_time = pl.concat([*archived, bars]).unique(["exchange", "symbol", "ts"], keep="first")
    return one_per_time.sort("exchange", "symbol", "ts")


def bar_counts(part: Slice) -> dict[dt.date, int]:
    """The number of archived bars of each session of a slice that has a whole file, as they are read."""
    counts, sessions = dict[dt.date, int](), files.archived_sessions(part)
    aliases = names.present_names() if sessions else pl.DataFrame()
    for session in sessions:
        try:
            bars = files.read(session, ("symbol", "exchange", "ts"))
        except archive_files.ArchiveFileError as error:
            absorbed.record(error, f"the archived bars of {session.part} count as lost")
            continue
        counts[session.part.dates[0]] = names.with_present_names(bars, aliases).height
    return counts


def unstored_bars(session: ArchivedSession) -> pl.DataFrame:
    """The archived bars of a session that no table has, with `known_from` and `known_until`."""
    bars = names.with_present_names(files.read(session), names.present_names())
    return revisions.find_unstored(bars.with_columns(known_from=archive_files.KNOWN_FROM), session.part, INTERVAL)


def _known_bars(bars: pl.DataFrame, known_at: dt.datetime | None) -> pl.DataFrame:
    """The bars that are known now, or were known at a past moment, with the columns of `revisions.read_bars`."""
    until = pl.col("known_until")
    known = (
        until.is_null()
        if known_at is None
        else (pl.col("known_from") <= known_at) & (until.is_null() | (until > known_at))
    )
    return bars.filter(known).select("symbol", "exchange", "ts", *"ohlcv", "known_from")
