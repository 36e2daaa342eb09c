"""Forks: commands of a place that begin at once, forked from a process that has imported the platform.

What belongs here: that process, as a program, and the place that asks it. A drill starts hundreds of commands, and
each would spend seconds on imports. What is forked has a process, a session and an environment of its own, and is
killed, stopped and held like any other. Kept elsewhere: the place (`place.py`), its failpoints (`failpoints.py`).
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worlds import failpoints
from worlds.place import PROGRAM, Place

DAGSTER = "dagster"
"""The first word of a command that is Dagster's own, and not the platform's."""


class Forked:
    """A command that was forked, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        """Await its pid."""
        self.folder, self.args, self.returncode = folder, words, None
        while not (folder / "pid").exists():
            time.sleep(0.002)
        self.pid = int((folder / "pid").read_text())

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None as long as it goes on."""
        if self.returncode is None and (self.folder / "ended").exists():
            self.returncode = int((self.folder / "ended").read_text())
        return self.returncode

    def wait(self, timeout: float = 600) -> int:
        """Wait for its end."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.005)
        return code

    def communicate(self, timeout: float = 600) -> tuple[str, str]:
        """Wait for its end, and return what it said."""
        self.wait(timeout)
        return (self.folder / "stdout").read_text(), (self.folder / "stderr").read_text()

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.send_signal(signal.SIGKILL)


@dataclass
class ForkingPlace(Place):
    """A place whose commands are forked.

    Attributes:
        constants: Values of the platform's constants in what is forked, by module and name: short times.
        server: The process that forks.
        clock: What a child's environment has beside that of the place.
    """

    constants: dict[str, Any] = field(default_factory=dict)
    server: "subprocess.Popen[str] | None" = None

    def start(self, *words: str, program: tuple[str, ...] = ("-c", PROGRAM)) -> Any:
        """Start a command, or one that holds, by a fork; another program in the ordinary way."""
        if program not in (("-c", PROGRAM), failpoints.PROGRAM):
            return super().start(*words, program=program)
        point = words[:2] if program == failpoints.PROGRAM else None
        folder = Path(tempfile.mkdtemp(prefix="fork-", dir=self.home.parent))
        request = {
            "folder": str(folder),
            "point": point,
            "words": words[2:] if point else words,
            "environment": self.environment,
            "constants": self.constants,
        }
        assert self.server is not None
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return Forked(folder, words)


def import_paths() -> str:
    """Where a program finds what tests share, and the platform itself."""
    return os.pathsep.join(map(str, (failpoints.TESTS, failpoints.TESTS.parent)))


@contextlib.contextmanager
def forking(place: Place) -> Iterator[ForkingPlace]:
    """A place whose commands are forked, over another one's home."""
    environment = place.environment | {"PYTHONPATH": import_paths(), "GRPC_ENABLE_FORK_SUPPORT": "0"}
    server = subprocess.Popen(
        [sys.executable, "-m", "worlds.forks"],
        env=environment,
        stdin=subprocess.PIPE,
        text=True,
        cwd=place.home,
        start_new_session=True,
    )
    try:
        yield ForkingPlace(place.home, place.settings, server=server)
    finally:
        assert server.stdin
        server.stdin.close()
        server.wait()


def main() -> None:
    """Fork a command for each line of standard input."""
    importlib.import_module("boursomatic_assets.cli.launching")
    importlib.import_module("boursomatic_assets.cli.running.interrupts")
    importlib.import_module("boursomatic_assets.registry")
    importlib.import_module("dagster._cli")
    importlib.import_module("dagster_postgres")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            _keep(json.loads(line))


def _keep(request: dict[str, Any]) -> None:
    """Fork the command, and write down how it ends: the process that forks awaits nobody."""
    folder = Path(request["folder"])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    if (pid := os.fork()) == 0:
        _execute(request, folder)
    _write(folder / "pid", pid)
    _, status = os.waitpid(pid, 0)
    _write(folder / "ended", os.waitstatus_to_exitcode(status))
    os._exit(0)


def _write(path: Path, number: int) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(str(number))
    unfinished.rename(path)


def _execute(request: dict[str, Any], folder: Path) -> None:
    """Be the command."""
    os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, name in enumerate(("/dev/null", folder / "stdout", folder / "stderr")):
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    for name, value in request["constants"].items():
        module, _, constant = name.rpartition(".")
        setattr(importlib.import_module(module), constant, value)
    if request["point"]:
        failpoints.install(Path(request["point"][0]), request["point"][1])
    sys.argv = ["boursomatic", *request["words"]]
    if request["words"][0] == DAGSTER:
        from dagster._cli import main as command

        sys.argv = list(request["words"])
    else:
        from boursomatic_assets.cli import main as command
    code = 1
    try:
        command()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    _end(code)


def _end(code: int) -> None:
    """End as an interpreter does, without what the process that forks has registered for its own end."""
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
