"""A place of its own: a home with an embedded server, whose commands run in processes of their own.

What belongs here: starting commands there, faults of its server, and what its tables hold. For tests that break
things: nothing here is shared with other tests. Kept elsewhere: where a command is held (`failpoints.py`).
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from conftest import LITTLE_EVIDENCE, remove_home
from sqlalchemy import URL

from boursomatic_assets.database import embedded
from boursomatic_assets.database.embedded.cluster import find_cluster
from boursomatic_assets.database.embedded.server import status
from boursomatic_assets.settings import DRIVER

FIRST, LAST = "2023-01-03", "2024-02-29"
"""Sessions that a place computes; the first champion is promoted in November 2023."""

PROGRAM = "import sys; sys.argv[0] = 'boursomatic'; from boursomatic_assets.cli import main; main()"

CURRENT = {
    "instruments": "SELECT i.symbol, i.exchange, i.name, i.is_active FROM instruments i",
    "price_bars": "SELECT i.symbol, b.ts, b.interval, o, h, l, c, v FROM price_bars b"
    " JOIN instruments i ON i.id = b.instrument_id",
    "features": "SELECT i.symbol, to_jsonb(f) - '{id,instrument_id,created_at,updated_at}'::text[] AS row"
    " FROM features f JOIN instruments i ON i.id = f.instrument_id",
    "model_versions": "SELECT as_of, model_path, params_hash, metrics_json::text, history_digest, is_active"
    " FROM model_versions",
    "model_decisions": "SELECT nullif(d.effective_at, d.decided_at), v.as_of, d.kind, d.reason"
    " FROM model_decisions d JOIN model_versions v ON v.id = d.version_id",
    "recommendations": "SELECT i.symbol, r.profile, r.as_of, r.label, r.confidence, r.expected_return_pct,"
    " r.stop_loss, r.take_profit, r.is_active, r.justification, r.features_snapshot::text, v.as_of AS due"
    " FROM recommendations r JOIN instruments i ON i.id = r.instrument_id"
    " JOIN model_versions v ON v.id = r.model_version_id WHERE r.superseded_at IS NULL",
    "track_record": "SELECT i.symbol, r.profile, r.as_of, to_jsonb(t)"
    " - '{id,recommendation_id,instrument_id,created_at,updated_at}'::text[] AS row FROM track_record t"
    " JOIN recommendations r ON r.id = t.recommendation_id JOIN instruments i ON i.id = r.instrument_id"
    " WHERE r.superseded_at IS NULL",
    "rejected_bars": "SELECT count(*) FROM rejected_bars",
}
"""The current rows of each table, without what differs each time: ids, and when a person decided."""


@dataclass
class Place:
    """A home with a server of its own.

    Attributes:
        home: Its folder.
        settings: Further settings of its commands.
    """

    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its commands: simulated bars of 12 instruments."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("DATABASE", "DAGSTER"))
        }
        return inherited | {
            "BOURSOMATIC_HOME": str(self.home),
            "BOURSOMATIC_SOURCE": "simulated",
            "BOURSOMATIC_SIMULATED_INSTRUMENTS": "12",
            "BOURSOMATIC_SIMULATED_SIGNAL": "1.0",
            "BOURSOMATIC_START": FIRST,
            "BOURSOMATIC_EVIDENCE": LITTLE_EVIDENCE,
            "BOURSOMATIC_DATABASE_WAIT": "300",
            "BOURSOMATIC_STORE_WAIT": "300",
            **self.settings,
        }

    def start(self, *words: str, program: tuple[str, ...] = ("-c", PROGRAM)) -> "subprocess.Popen[str]":
        """Start a command in a process and a group of its own."""
        return subprocess.Popen(
            [sys.executable, *program, *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=self.home,
        )

    def run(self, *words: str, program: tuple[str, ...] = ("-c", PROGRAM)) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        process = self.start(*words, program=program)
        output, errors = process.communicate(timeout=600)
        return subprocess.CompletedProcess(list(words), process.returncode, output, errors)

    def done(self, *words: str) -> str:
        """Run a command that must succeed, and return its output."""
        result = self.run(*words)
        assert result.returncode == 0, f"{words}: {result.stderr}"
        return result.stdout

    @contextlib.contextmanager
    def connected(self, database: str = "boursomatic") -> Iterator["psycopg.Connection[Any]"]:
        """A connection of the server's superuser, in autocommit mode."""
        server = embedded.ensure_running(self.home)
        with psycopg.connect(
            host=str(server.host), port=server.port, user=server.user, dbname=database,
            passfile=str(server.passfile), autocommit=True,
        ) as connection:  # fmt: skip
            yield connection

    def rows(self, query: str, database: str = "boursomatic") -> list[tuple[Any, ...]]:
        """What a query returns."""
        with self.connected(database) as connection:
            return connection.execute(query.encode()).fetchall()

    def digests(self) -> dict[str, str]:
        """A digest of the current rows of each table: equal for the same history, however it was computed."""
        return {
            name: hashlib.sha256("\n".join(sorted(map(repr, self.rows(query)))).encode()).hexdigest()
            for name, query in CURRENT.items()
        }

    def address_server(self) -> None:
        """Let commands take the server for one of somebody's own: they do not start it when it is away."""
        server = embedded.ensure_running(self.home)
        query = {"host": str(server.host), "passfile": str(server.passfile)}
        url = URL.create(DRIVER, username=server.user, database="boursomatic", query=query)
        self.settings["DATABASE_URL"] = url.render_as_string()

    def start_server(self) -> None:
        """Start it, if it does not run."""
        embedded.ensure_running(self.home)

    def server_pid(self) -> int:
        """The server's first process; one that was ended a moment ago is waited for."""
        path, deadline = find_cluster(self.home).data / "postmaster.pid", time.monotonic() + 60
        while not (path.exists() and (pid := path.read_text().split()[:1]) and Path(f"/proc/{pid[0]}").exists()):
            assert time.monotonic() < deadline, "nobody starts the server"
            time.sleep(0.01)
        return int(pid[0])

    def kill_server(self) -> None:
        """Kill it, as the system does when memory runs out; whoever needs it starts it again."""
        os.kill(self.server_pid(), signal.SIGKILL)

    def stop_server(self) -> None:
        """Stop it at once, as `pg_ctl stop -m immediate` does."""
        pid = self.server_pid()
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.01)

    def is_up(self) -> bool:
        """Whether the server answers."""
        return status(self.home) is not None


@contextlib.contextmanager
def place(folder: Path, **settings: str) -> Iterator[Place]:
    """An empty home with an upgraded database; its server is ended with the context."""
    folder.mkdir(mode=0o711, parents=True)
    made = Place(folder, settings)
    try:
        made.done("db", "upgrade")
        yield made
    finally:
        remove_home(folder)
