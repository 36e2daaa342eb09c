"""Origins: which line of which file a version of a bar came from, and which run stored it.

What belongs here: reading what is stored of that, for a bar as it is and as it was.
Kept elsewhere: the bar itself, its session's delivery (`provenance.py`), the ledger of files
(`tables/deliveries/files.py`).

Only what the database holds is told: of a file, what its newest reading said, not what is in the folder now.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import text

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import market_named
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice

_OF_BAR = "instrument_id = :instrument_id AND ts = :ts AND interval = :interval"

_FILE_AND_LINE = f"""
WITH version AS (
    SELECT CAST(:file_id AS bigint) AS file_id, CAST(:line AS int) AS line, 'infinity'::timestamp AS until
        WHERE :is_current
    UNION ALL
    SELECT file_id, line, known_until FROM price_bar_revisions WHERE {_OF_BAR} AND known_from = :known_from
    ORDER BY until DESC LIMIT 1
)
SELECT f.source, f.file, v.line, f.digest, f.read_at, f.run_id AS read_by,
    CASE WHEN newest.gone THEN 'gone' WHEN newest.file_id IS DISTINCT FROM v.file_id THEN 'changed' ELSE 'same' END
        AS file_now
FROM version v
JOIN LATERAL (SELECT * FROM delivered_files f WHERE f.file_id = v.file_id ORDER BY read_at LIMIT 1) f ON true
JOIN LATERAL (
    SELECT gone, file_id FROM delivered_files n WHERE (n.source, n.file) = (f.source, f.file)
    ORDER BY read_at DESC LIMIT 1
) newest ON true
"""

_STORED_BY = f"""
SELECT source, run_id, true AS is_run FROM price_bar_revisions WHERE {_OF_BAR} AND known_until = :known_from
UNION ALL
SELECT source, run_id, delivered_at = :known_from FROM delivered_sessions
    WHERE market = :market AND session = :ts AND interval = :interval
ORDER BY is_run DESC LIMIT 1
"""
"""The delivery that replaced a former version, or counted the session in that transaction; else its source."""

_UNKNOWN_FILE = dict.fromkeys(("source", "file", "line", "digest", "read_at", "read_by", "file_now"))


@dataclass(frozen=True)
class BarKey:
    """Which daily bar is meant: its market, instrument and session."""

    market: str
    instrument_id: str
    ts: dt.datetime
    interval: str = "daily"


def describe_origin(bar: BarKey, known_from: dt.datetime) -> dict[str, Any]:
    """Where the version of a bar came from that was known since a moment.

    Returns:
        source; file, line, digest (SHA-256), read_at and read_by (when, and by which run, that content was read
        first) and file_now (`same`, `changed` or `gone`, as it was read last), all None if no file is known;
        stored_at, and stored_by, the run that stored this version, None if that is not known.
    """
    parameters = {**vars(bar), "known_from": known_from}
    current = _current(bar, known_from)
    of_file = {"is_current": current is not None, **(current or {"file_id": None, "line": None})}
    with database.engine().connect() as connection:
        line = connection.execute(text(_FILE_AND_LINE), parameters | of_file).mappings().first()
        stored = connection.execute(text(_STORED_BY), parameters).mappings().first()
    origin = dict(line) if line else dict(_UNKNOWN_FILE)
    if stored:
        origin["source"] = origin["source"] or stored["source"]
    run = stored["run_id"] if stored and stored["is_run"] else None
    return origin | {"stored_at": known_from, "stored_by": run}


def _current(bar: BarKey, known_from: dt.datetime) -> dict[str, Any] | None:
    """File and line of a bar as it is now; None if it is another version."""
    columns = ("instrument_id", "ts", "created_at", "updated_at", "file_id", "line")
    bars = read_slice(GRAINS["price_bars"], Slice(market_named(bar.market), (bar.ts.date(),)), columns)
    since = pl.coalesce("updated_at", "created_at")
    found = bars.filter(pl.col("instrument_id") == str(bar.instrument_id), ts=bar.ts).filter(since == known_from)
    return found.select("file_id", "line").row(0, named=True) if found.height else None
