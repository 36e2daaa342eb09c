"""Heads: what each chain ended with, kept outside of the database, since a cut tail is invisible inside of it.

What belongs here: writing heads to files, and comparing these with the chains.
Kept elsewhere: everything that the database itself shows (`verification.py`).

A file has a line of JSON for each change: when, and the chains with their id, table, market, number and digest.
The id of a chain is made with the database's tables, so a chain of tables that were made anew is another chain.
Lines are only added.
"""

import datetime as dt
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from boursomatic_assets import settings
from boursomatic_assets.tables.chains.verification import Difference

FILE = "audit-heads.jsonl"

_HEADS = (
    "SELECT id::text, table_name, market, number, encode(digest, 'hex') AS digest FROM audit_heads ORDER BY 2, 3"
)
_ENTRY = (
    "SELECT e.number FROM audit_heads h JOIN audit_entries e USING (table_name, market)"
    " WHERE h.id = CAST(:id AS uuid) AND e.number = :number AND encode(e.digest, 'hex') = :digest"
)


def files() -> tuple[Path, ...]:
    """Where heads are kept: in the home folder, and where `BOURSOMATIC_AUDIT_HEADS` says."""
    further = settings.audit_heads()
    return (settings.home() / FILE, *([further] if further else ()))


def keep(connection: Connection) -> None:
    """Add the heads to each file that does not end with them.

    Raises:
        OSError: a file cannot be written.
    """
    heads = [dict(row) for row in connection.execute(text(_HEADS)).mappings()]
    if heads:
        _append({"heads": heads})


def forget(reason: str) -> None:
    """Say in each file that the chains so far ended, because the tables were dropped by command."""
    if any(path.exists() for path in files()):
        _append({"ended": reason})


def compare(connection: Connection) -> Iterator[Difference]:
    """Yield a difference for each chain of a file that the database does not have, or not as far."""
    for path in files():
        for head in _last_heads(path).values():
            if connection.scalar(text(_ENTRY), head) is None:
                detail = (
                    f"its chain {head['market']} had entry {head['number']} according to {path.name},"
                    " and the database has it no more, or another one"
                )
                yield Difference("head", head["table_name"], None, None, detail)


def _append(line: dict[str, Any]) -> None:
    for path in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _without_time(_last_line(file.read())) == line:
                continue
            now = dt.datetime.now(dt.UTC).replace(microsecond=0, tzinfo=None).isoformat()
            file.write(json.dumps({"at": now, **line}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _last_line(content: str) -> dict[str, Any]:
    lines = content.splitlines()
    return json.loads(lines[-1]) if lines else {}


def _without_time(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "at"}


def _last_heads(path: Path) -> dict[str, dict[str, Any]]:
    """The furthest head of each chain since the chains were last ended, by id."""
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        said = json.loads(line)
        if "ended" in said:
            found.clear()
        for head in said.get("heads", ()):
            if head["number"] >= found.get(head["id"], head)["number"]:
                found[head["id"]] = head
    return found
