"""Failpoints: a command in a process of its own, held at a point of its work until the test lets it go on.

What belongs here: the points, as a program, and the test's hand on it. A point is a statement, a COPY, a commit
(and what follows it), an event of Dagster's, an fsync or rename of a file, a file of the store, or the start of a
program. Kept
elsewhere: what is done to a held process (`tests/drills/`), where it runs (`place.py`).
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

from worlds.place import Place

PROGRAM = ("-m", "worlds.failpoints")

TESTS = Path(__file__).parents[1]


class Held:
    """A command that holds at a point."""

    def __init__(self, place: Place, folder: Path, point: int | str, *words: str) -> None:
        """Start it; it holds at the point of this number, or at the first whose line has these words."""
        folder.mkdir()
        self.folder = folder
        place.settings["PYTHONPATH"] = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
        self.process = place.start(str(folder), str(point), *words, program=PROGRAM)

    def await_point(self, seconds: float = 120) -> str | None:
        """Wait until it holds, and return the point; None if it has ended before."""
        deadline = time.monotonic() + seconds
        while not (self.folder / "reached").exists():
            if self.process.poll() is not None:
                return None
            assert time.monotonic() < deadline, self.trace()[-5:]
            time.sleep(0.01)
        return self.trace()[-1]

    def go_on(self) -> None:
        """Let it go on."""
        (self.folder / "go on").touch()

    def end(self, seconds: float = 300) -> "subprocess.CompletedProcess[str]":
        """Let it go on to its end."""
        self.go_on()
        output, errors = self.process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, output, errors)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.kill()
        self.process.communicate()

    def trace(self) -> list[str]:
        """The points that it has come by, in order: number, kind, first words."""
        path = self.folder / "trace"
        return path.read_text().splitlines() if path.exists() else []


def points(place: Place, folder: Path, *words: str) -> list[str]:
    """The points of a command that is not held; it must succeed."""
    held = Held(place, folder, "none at all", *words)
    ended = held.end()
    assert ended.returncode == 0, ended.stderr
    return held.trace()


def install(folder: Path, wanted: str) -> None:
    """Let this process hold at a point."""
    from psycopg import Cursor
    from sqlalchemy import Engine, event
    from sqlalchemy.engine.default import DefaultDialect

    from boursomatic_assets.orchestration.dagster_patches.storages.event_log import BatchedEventLog
    from boursomatic_assets.stores.store import Store

    numbers, lock = count(1), threading.Lock()
    trace = (folder / "trace").open("a", buffering=1)

    def reach(kind: str, what: str) -> None:
        with lock:
            number = next(numbers)
            line = f"{number} {kind} {' '.join(what.split())[:100]}"
            trace.write(f"{line}\n")
            if not (folder / "reached").exists() and (
                str(number) == wanted or (not wanted.isdecimal() and wanted in line)
            ):
                (folder / "reached").touch()
                while not (folder / "go on").exists():
                    if not folder.exists():  # the test was interrupted, and its place is removed
                        os._exit(1)
                    time.sleep(0.01)

    def hold_before(owner: Any, name: str, kind: str, describe: Callable[..., str], after: str = "") -> None:
        original = getattr(owner, name)

        @wraps(original)
        def held(*args: Any, **kwargs: Any) -> Any:
            reach(kind, describe(*args))
            returned = original(*args, **kwargs)
            if after:
                reach(after, describe(*args))
            return returned

        setattr(owner, name, held)

    @event.listens_for(Engine, "before_cursor_execute")
    def _(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        database = "dagster" if "psycopg2" in type(connection.dialect).__module__ else "platform"
        reach(f"{database} statement", statement)

    def database_of(dialect: Any, *_: Any) -> str:
        return "dagster" if "psycopg2" in type(dialect).__module__ else "platform"

    hold_before(DefaultDialect, "do_commit", "commit", database_of, after="committed")
    hold_before(Cursor, "copy", "copy", lambda cursor, statement, *_: str(statement))
    hold_before(BatchedEventLog, "store_event", "event", lambda log, entry: str(entry.dagster_event_type))
    hold_before(os, "fsync", "fsync", lambda descriptor: str(Path(f"/proc/self/fd/{descriptor}").readlink().name))
    hold_before(Path, "replace", "rename", lambda path, target: str(Path(target).name))
    hold_before(Store, "write_once", "store", lambda store, name, *_: name)
    hold_before(subprocess.Popen, "__init__", "program", lambda process, words, *_: Path(words[0]).name)


def main() -> None:
    """Run a command of the platform that holds: folder, point, words."""
    folder, wanted, *words = sys.argv[1:]
    install(Path(folder), wanted)
    from boursomatic_assets.cli import main as command

    sys.argv = ["boursomatic", *words]
    command()


if __name__ == "__main__":
    main()
