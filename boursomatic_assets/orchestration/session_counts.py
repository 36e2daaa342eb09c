"""How the result of a check carries its sessions, and what one session's part of it is.

What belongs here: the entries of a check's metadata that name its sessions, written by `checks/` and read by what
stores results (`dagster_patches/storages/event_log.py`).
Kept elsewhere: how violations are counted (`checks/findings/`), the rows of Dagster's history.

A run over a range reports one result. Its metadata holds a table of the sessions with violations, which people
read and from which the result of each session follows; a session that is not in it has none.
"""

import datetime as dt
import textwrap
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from functools import reduce
from typing import Any

import dagster as dg

SESSIONS = "sessions"
"""The entry with the counts of each session: a table of market, session, errors, warnings."""

LOOKED_AT = "looked at"
"""The entry of a run without partitions with what it looked at: a table of market, from, to."""

NO_SESSION = "no session"
"""What stands for the session of violations that belong to none of a market."""

BOTH_MARKETS = "both"
"""What stands for the market of violations that belong to the whole table."""

MAX_EXAMPLES_LENGTH = 300
"""Characters of the rows that a sentence names; the UI shows more of them."""

Metadata = Mapping[str, dg.MetadataValue[Any]]
Key = tuple[str, str]
"""A market and the ISO date of a session."""


def table(rows: Iterable[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    """A table of metadata; its columns are those of the first row, which says which of them are numbers."""
    records = list(rows)
    columns = [
        dg.TableColumn(
            name, "int" if isinstance(value, int) else "float" if isinstance(value, float) else "string"
        )
        for name, value in records[0].items()
    ]
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in records], dg.TableSchema(columns))


def counts_table(counts: Mapping[tuple[str, dt.date | None], tuple[int, int]]) -> dg.MetadataValue[Any]:
    """The table of SESSIONS from errors and warnings by market and session."""
    return table(
        {"market": market, "session": str(session or NO_SESSION), "errors": errors, "warnings": warnings}
        for (market, session), (errors, warnings) in counts.items()
    )


def looked_at(metadata: Metadata) -> list[tuple[str, str, str]]:
    """Market, first and last date of each slice that a run without partitions looked at."""
    return [(row["market"], row["from"], row["to"]) for row in _records(metadata.get(LOOKED_AT))]


def own_counts(metadata: Metadata) -> tuple[dict[Key, tuple[int, int]], dict[str, tuple[int, int]]]:
    """Errors and warnings of each session, and those of each market that count for all of its sessions."""
    sessions: dict[Key, tuple[int, int]] = {}
    markets: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in _records(metadata.get(SESSIONS)):
        found = (row["errors"], row["warnings"])
        if row["session"] == NO_SESSION:
            markets[row["market"]] = found
        else:
            sessions[row["market"], row["session"]] = found
    return sessions, markets


def total(results: Sequence[tuple[Metadata, Set[str]]], market: str) -> tuple[int, int]:
    """Errors and warnings of a market in all of some results, what belongs to no session once: each repeats it.

    Args:
        results: The metadata of each, the newest last, with the dates of which it counts.
        market: The market; empty for what has no partitions.
    """
    own, shared = [], (0, 0)
    for metadata, dates in results:
        sessions, markets = own_counts(metadata)
        if not market or not (sessions or markets):
            own.append((_figure(metadata, "errors"), _figure(metadata, "warnings")))
            continue
        own += [counts for (name, date), counts in sessions.items() if name == market and date in dates]
        shared = add(markets.get(market, (0, 0)), markets.get(BOTH_MARKETS, (0, 0)))
    return reduce(add, own, shared)


def add(some: tuple[int, int], others: tuple[int, int]) -> tuple[int, int]:
    """Errors and warnings together."""
    return some[0] + others[0], some[1] + others[1]


def _figure(metadata: Metadata, name: str) -> int:
    value = metadata[name].value if name in metadata else 0
    return value if isinstance(value, int) else 0


def first_rows(metadata: Metadata, market: str = "", dates: Collection[str] = ()) -> str:
    """The first row of each table of examples, such as `missing US 2024-02-29 NEW`; empty if there is none.

    Args:
        metadata: That of a result.
        market: Rows of another one are passed over.
        dates: Rows of a session that is none of them are passed over.
    """
    firsts = []
    for name, value in metadata.items():
        rows = _records(value) if name not in (SESSIONS, LOOKED_AT) else ()
        if first := next((row for row in rows if _concerns(row, market, dates)), None):
            firsts.append(f"{name} {' '.join(map(str, first.values()))}")
    return textwrap.shorten("; ".join(firsts), MAX_EXAMPLES_LENGTH) if firsts else ""


def _concerns(row: Mapping[str, Any], market: str, dates: Collection[str]) -> bool:
    return (not market or row.get("market", market) == market) and (
        not dates or "session" not in row or row["session"] in dates
    )


def part_of_session(metadata: Metadata, key: Key, counts: tuple[int, int], shared: tuple[int, int]) -> Metadata:
    """The metadata of one session's result: its own counts and rows, without figures of the whole range.

    Args:
        metadata: That of the run's result.
        key: The session.
        counts: Its own errors and warnings, and those that it shares with all sessions of its market.
        shared: The errors and warnings among them that belong to no session.
    """
    own: dict[str, Any] = {"errors": dg.IntMetadataValue(counts[0]), "warnings": dg.IntMetadataValue(counts[1])}
    if sum(shared):
        own["of no session"] = dg.IntMetadataValue(sum(shared))
    for name, value in metadata.items():
        if name not in (SESSIONS, LOOKED_AT) and (rows := [*_rows_of(value, key)]):
            own[name] = table(rows)
    return own


def _rows_of(value: dg.MetadataValue[Any], key: Key) -> Iterator[Mapping[str, Any]]:
    """The rows of a table that name the session, in the market if they name one."""
    for row in _records(value):
        if row.get("session") == key[1] and row.get("market", key[0]) == key[0]:
            yield row


def _records(value: dg.MetadataValue[Any] | None) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, dg.TableMetadataValue):
        return ()
    return [record.data for record in value.records]


def sentence(counts: tuple[int, int]) -> str:
    """Errors and warnings in words, e.g. `2 errors and 1 warning`."""
    named = [
        f"{count:,} {name}{'' if count == 1 else 's'}"
        for count, name in zip(counts, ("error", "warning"), strict=True)
        if count
    ]
    return " and ".join(named) or "no violation"
