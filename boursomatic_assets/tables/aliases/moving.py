"""Moving rows: what is stored of one instrument becomes another's, and what both have at one time is kept.

What belongs here: the bars, features and revisions of a merged instrument (`merged`), and how the instrument that
it is merged into (`target`) gets them; `ids` has the id of each.
Kept elsewhere: when an instrument may be merged, and what else a merge does (`merge.py`); archived bars
(`archived.py`).
"""

import datetime as dt

import polars as pl
from sqlalchemy import Connection, Table, select, text

from boursomatic_assets.schema import identifiers
from boursomatic_assets.tables.frames import key
from boursomatic_assets.tables.revisions import known_from
from boursomatic_assets.tables.staging import stage
from boursomatic_assets.vocabulary import INTERVALS

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


def read_bars(connection: Connection, ids: dict[str, str]) -> pl.DataFrame:
    """Return interval and ts of the merged instrument's bars."""
    return _read_times(connection, "SELECT interval, ts FROM price_bars WHERE instrument_id = :merged", ids)


def read_pairs(connection: Connection, ids: dict[str, str]) -> pl.DataFrame:
    """Return interval and ts of the times at which both have a bar, and whether they are the `same`."""
    return _read_times(connection, f"SELECT m.interval, m.ts, {_SAME} AS same FROM {_PAIRS}", ids)


def _read_times(connection: Connection, query: str, ids: dict[str, str]) -> pl.DataFrame:
    schema = {"interval": pl.String(), "ts": pl.Datetime("us"), "same": pl.Boolean()}
    found = connection.execute(text(query), ids)
    columns = [*found.keys()]
    return pl.DataFrame(found.all(), {name: schema[name] for name in columns}, orient="row")


def move_revisions(connection: Connection, ids: dict[str, str], moment: dt.datetime, source: str) -> None:
    """Give the target the merged instrument's earlier bars, and those that differ from its own."""
    connection.execute(_MOVE_REVISIONS, ids)
    connection.execute(_RECORD_PAIRS, {**ids, "moment": moment, "source": source})


def move_rows(connection: Connection, table: Table, ids: dict[str, str]) -> None:
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
