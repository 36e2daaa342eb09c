"""Kept: states of a place that a drill comes back to, and what a killed command may leave behind.

What belongs here: copies of the database and of the files beside it, and what is left over. Kept elsewhere: the
place itself (`place.py`).
"""

import shutil
import time
from pathlib import Path

from worlds.place import Place

NOT_COPIED = ("postgres", "postgres.lock", "dagster")
"""What a copy leaves out of the home's folder: the server, and Dagster's runs, which only grow."""

UNENDED = ("NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING")

LEFT_OVER = {
    "advisory locks": "SELECT mode, granted, pid FROM pg_locks WHERE locktype = 'advisory'",
    "temporary tables": "SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'",
    "staging tables": "SELECT relname FROM pg_class WHERE relname LIKE 'stage\\_%'",
    "transactions": "SELECT pid, state, query FROM pg_stat_activity WHERE datname = current_database()"
    " AND state <> 'idle' AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
}
"""What ends with a process, by what the server says."""


def durable_enough(place: Place) -> None:
    """Let the server write without waiting for a disk: no drill cuts the power, while some kill the server."""
    with place.connected() as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


def keep(place: Place, name: str) -> None:
    """Keep the state under a name; one of that name is replaced."""
    _copy_database(place, "boursomatic", f"kept_{name}")
    folder = _folder(place, name)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place.home, folder, ignore=_not_copied(place))


def put_back(place: Place, name: str) -> None:
    """Make the state the one that was kept under a name."""
    _copy_database(place, f"kept_{name}", "boursomatic")
    for path in place.home.iterdir():
        if path.name not in NOT_COPIED:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(_folder(place, name), place.home, dirs_exist_ok=True)
    place.home.chmod(0o711)


def _folder(place: Place, name: str) -> Path:
    return place.home.parent / f"kept {name}"


def _not_copied(place: Place):  # type: ignore[no-untyped-def]
    return lambda folder, names: [name for name in names if Path(folder) == place.home and name in NOT_COPIED]


def _copy_database(place: Place, source: str, target: str) -> None:
    with place.connected("postgres") as connection:
        for name in (source, target):
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        connection.execute(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {target} TEMPLATE {source} STRATEGY file_copy".encode())
        connection.execute(f"ALTER DATABASE {target} SET timezone = 'UTC'".encode())


def held_by_nobody(place: Place, seconds: float = 10) -> dict[str, object]:
    """What of LEFT_OVER is there after so many seconds: a server ends what is killed once it hears of it."""
    deadline = time.monotonic() + seconds
    while (found := _left_over(place)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def _left_over(place: Place) -> dict[str, object]:
    with place.connected() as connection:
        found = {kind: connection.execute(query.encode()).fetchall() for kind, query in LEFT_OVER.items()}
    return {kind: rows for kind, rows in found.items() if rows}


def unended(place: Place) -> dict[str, object]:
    """Runs that are not over for Dagster, and claims that nobody has given up."""
    runs = place.rows(f"SELECT run_id, status FROM runs WHERE status IN {UNENDED}", "dagster")
    claims = place.rows("SELECT run_id FROM run_claims WHERE epoch = 0")
    return {kind: rows for kind, rows in {"runs": runs, "claims": claims}.items() if rows}


def forget_runs(place: Place) -> None:
    """Let no run of an earlier drill go on for Dagster: its claim went with the database."""
    with place.connected("dagster") as connection:
        if connection.execute("SELECT to_regclass('runs')").fetchone() != (None,):
            connection.execute(f"UPDATE runs SET status = 'FAILURE' WHERE status IN {UNENDED}".encode())


def stray_files(place: Place) -> list[str]:
    """Files of models that no version has, and temporary files."""
    models = {path.name for path in (place.home / "models").glob("*.json")}
    known = {path for (path,) in place.rows("SELECT model_path FROM model_versions")}
    unfinished = (path for path in place.home.rglob(".saving-*"))
    return sorted(models - known) + sorted(map(str, unfinished))
