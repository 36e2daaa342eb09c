"""Heads: what each chain ended with, kept outside of the database, since a cut tail is invisible inside of it.

What belongs here: writing heads to files, and comparing these with the chains.
Kept elsewhere: everything that the database itself shows (`verification.py`).

A file has a line of JSON for each change: when, in which database, and the chains with id, table, market, number
and digest.
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

from sqlalchemy import text

from boursomatic_assets import absorbed, database, settings
from boursomatic_assets.database.addresses import is_embedded
from boursomatic_assets.tables.chains.verification import Difference

FILE = "audit-heads.jsonl"

_HEADS = (
    "SELECT id::text, table_name, market, number, encode(digest, 'hex') AS digest FROM audit_heads ORDER BY 2, 3"
)
_MISSING = text("""
SELECT k.place FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS bigint[]), CAST(:digests AS text[]))
    WITH ORDINALITY AS k(id, number, digest, place)
WHERE NOT EXISTS (
    SELECT FROM audit_heads h JOIN audit_entries e USING (table_name, market)
    WHERE h.id = k.id AND e.number = k.number AND encode(e.digest, 'hex') = k.digest
) ORDER BY k.place
""")


def files() -> tuple[Path, ...]:
    """Where heads are kept: in the home folder, and where `BOURSOMATIC_AUDIT_HEADS` says."""
    further = settings.audit_heads()
    return (settings.home() / FILE, *([further] if further else ()))


def keep() -> None:
    """Add the heads to each file that does not end with them; to be called after a commit that grew a chain.

    The rows are stored by then, so a file that cannot be written fails nothing: the error is recorded as absorbed.
    """
    with database.engine().connect() as connection:
        heads = [dict(row) for row in connection.execute(text(_HEADS)).mappings()]
    for path in files() if heads else ():
        try:
            _append(path, {"heads": heads})
        except (OSError, ValueError) as error:
            absorbed.record(error, f"the heads of the audit's chains are not kept in {path.name}")


def restart(reason: str) -> None:
    """Begin all chains anew with the rows that are there, as the owner, and say so in the files.

    For rows that were deleted or changed on purpose: what the chains so far proved is given up, and that is on
    record.
    """
    with database.engine("owner").begin() as connection:
        connection.execute(text("SELECT restart_audit_chains()"))
    end(reason)
    keep()


def end(reason: str) -> None:
    """Say in each file that the chains so far ended: the tables were dropped on purpose.

    Raises:
        OSError: a file cannot be written.
    """
    for path in files():
        if path.exists():
            _append(path, {"ended": reason})


def compare() -> Iterator[Difference]:
    """Yield a difference for each chain of a file of which the database does not have all entries.

    Heads enter a file after their commit, so they are looked up after the file is read, in a new snapshot.

    Raises:
        ValueError: a line of a file is not as it was written.
    """
    for path in files():
        known = _read(path)
        parts = {f"{name}s": [head[name] for head in known] for name in ("id", "number", "digest")}
        with database.engine().connect() as connection:
            missing = [known[place - 1] for place in connection.scalars(_MISSING, parts)]
        for head in {head["id"]: head for head in reversed(missing)}.values():  # the first of each chain
            detail = (
                f"its chain {head['market']} had entry {head['number']} according to {path.name},"
                " and the database has it no more, or another one"
            )
            yield Difference("head", head["table_name"], None, None, detail)


def _append(path: Path, said: dict[str, Any]) -> None:
    """Add a line about this database, unless its last one says the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        written = file.read()
        last: dict[str, Any] = next(reversed([*_lines(written, path)]), {})
        if {name: value for name, value in last.items() if name != "at"} == {"database": _place(), **said}:
            return
        now = dt.datetime.now(dt.UTC).replace(microsecond=0, tzinfo=None).isoformat()
        file.write(json.dumps({"at": now, "database": _place(), **said}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> list[dict[str, Any]]:
    """All heads of this database in a file since its chains were last ended, in order of time."""
    found: list[dict[str, Any]] = []
    for line in _lines(path.read_text() if path.exists() else "", path):
        if "ended" in line:
            found.clear()
        found += line.get("heads", ())
    return found


def _lines(written: str, path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file that are about this database.

    Raises:
        ValueError: one cannot be read.
    """
    for number, content in enumerate(written.splitlines(), start=1):
        try:
            line = dict(json.loads(content))
        except (ValueError, TypeError):
            raise ValueError(
                f"line {number} of {path} is not as it was written: mend it from a copy of the file"
            ) from None
        if line.get("database") == _place():
            yield line


def _place() -> str:
    """Which database this is: a home folder may have been used with several. The socket's folder may change."""
    url = database.database_url()
    return (
        "embedded" if is_embedded() else f"{url.host or url.query.get('host')}:{url.port or 5432}/{url.database}"
    )
