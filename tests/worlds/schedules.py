"""Schedules: two writers of one slice, driven step by step through the platform's own code.

What belongs here: the steps at which a writer waits for the schedule, all schedules, and who may take a step.
A writer asks (what is newer than its delivery is judged by that time), locks the slice, reads what is stored,
copies rows, and commits. Kept elsewhere: what is written, and what must come of it (`tests/drills/`).
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from boursomatic_assets.orchestration import chunk_writes
from boursomatic_assets.tables import merging, staging

STEPS = ("ask", "lock", "read", "copy", "commit")

SCHEDULES = [
    "".join("A" if place in chosen else "B" for place in range(2 * len(STEPS)))
    for chosen in itertools.combinations(range(2 * len(STEPS)), len(STEPS))
]
"""Who takes the next step, in every order. Who waits for a lock takes its step when the lock is free."""

WAITING = """SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
"""Who lets a lock go grants it to who waits for it, who may wake up later."""

_writing = threading.local()


class Writer(threading.Thread):
    """A writer that holds before each of its steps."""

    def __init__(self, write: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.write, self.may, self.parked = write, threading.Semaphore(0), threading.Event()
        self.error: BaseException | None = None
        self.steps = list[str]()

    def run(self) -> None:
        """Write, and keep the error."""
        _writing.writer = self
        try:
            self.write()
        except BaseException as error:  # the test shows it
            self.error = error
        finally:
            self.parked.set()

    def reach(self, step: str) -> None:
        """Hold before a step; each is taken once."""
        if step not in self.steps:
            self.steps.append(step)
            self.parked.set()
            self.may.acquire()

    def step(self) -> None:
        """Let it take its next step."""
        self.parked.clear()
        self.may.release()


def reach(step: str) -> None:
    """Hold before a step, in the thread of a writer."""
    if writer := getattr(_writing, "writer", None):
        writer.reach(step)


@contextmanager
def steps_installed() -> Iterator[None]:
    """Let the platform's writers hold."""

    def before(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def held(*args: Any, **named: Any) -> Any:
            reach(step)
            return function(*args, **named)

        return held

    def commit(_: object) -> None:
        if "lock" in getattr(getattr(_writing, "writer", None), "steps", ()):
            reach("commit")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk_writes, "lock_slice", before("lock", chunk_writes.lock_slice))
        patch.setattr(merging, "read_slice", before("read", merging.read_slice))
        patch.setattr(merging, "copy", before("copy", merging.copy))
        patch.setattr(staging, "copy", before("copy", staging.copy))
        event.listen(Engine, "commit", commit)
        try:
            yield
        finally:
            event.remove(Engine, "commit", commit)


def drive(engine: Engine, schedule: str, writes: dict[str, Callable[[], object]]) -> dict[str, Writer]:
    """Let the writers take their steps as a schedule says, and then end; their errors are raised."""
    writers = {name: Writer(write) for name, write in writes.items()}
    with engine.connect() as connection:
        look = connection.execution_options(isolation_level="AUTOCOMMIT")

        def settle() -> None:
            """Until each writer holds, has ended, or waits for a lock."""
            while True:
                going = [writer for writer in writers.values() if not writer.parked.is_set()]
                if not going or look.exec_driver_sql(WAITING).scalar() == len(going):
                    return
                time.sleep(0.001)

        for writer in writers.values():
            writer.start()
        settle()
        for writer in (writers[name] for name in schedule + "AB" * len(STEPS)):
            if writer.is_alive() and writer.parked.is_set():
                writer.step()
                settle()
    for writer in writers.values():
        writer.join(timeout=60)
        if writer.error:
            raise writer.error
    return writers
