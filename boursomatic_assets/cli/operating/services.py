"""The services of `boursomatic dev`: started together, watched, and ended together.

What belongs here: what is started, the end of one as the end of all, and that none outlives this process.
Kept elsewhere: the command (`dev.py`), the same services as units of systemd (`docs/server.md`).

`dagster dev` would start them too, but it ends with exit code 0 whatever became of them, and leaves them behind
where it is killed itself. Runs are processes of their own: they go on, and the next daemon takes charge of them.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess  # nosec B404
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

PROGRAMS = Path(sys.executable).parent

LOOK_SECONDS = 0.5
GRACE_SECONDS = 20.0
"""How long the services may take to end before they are killed."""

START_SECONDS = 300
"""How long the code may take to load."""

LONGEST_FOLDER = 60
"""The longest name of the folder of temporary files, in characters, for which a socket's path has room."""

LOCATION = "boursomatic"
DEFINITIONS = "boursomatic_assets.definitions"

DEATH_OF_PARENT: Final = 1
"""Linux: PR_SET_PDEATHSIG of prctl(2)."""

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Service:
    """A child process with the name that people know it by."""

    def __init__(self, name: str, words: Sequence[str | Path]) -> None:
        """Start it."""
        self.name = name
        self.process = subprocess.Popen(list(map(str, words)), preexec_fn=partial(_end_with, os.getpid()))  # nosec B603

    def ending(self) -> str | None:
        """How it ended, in words; None while it goes on."""
        code = self.process.poll()
        if code is None:
            return None
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"the {self.name} (process {self.process.pid}) {how}"

    def terminate(self) -> None:
        """Ask it to end."""
        self.process.terminate()


class CodeServer(Service):
    """The code server, which is two processes: one that holds the code, and one before it that can replace it."""

    def __init__(self, address: Path) -> None:
        """Start it at a socket."""
        super().__init__(
            "code server",
            [
                *(PROGRAMS / "dagster", "code-server", "start", "--socket", address),
                *("--module-name", DEFINITIONS, "--location-name", LOCATION, "--log-level", "warning"),
            ],
        )
        self._address, self._second = address, set[int]()

    def ending(self) -> str | None:
        """As of any service; the one in front does not notice the end of the other."""
        if ended := super().ending():
            return ended
        if alive := _children(self.process.pid):
            self._second = alive
        elif self._second:
            return f"the code server's second process (process {max(self._second)}) has ended"
        return None

    def terminate(self) -> None:
        """Ask it to end; the second process does not notice at once that the one in front was killed."""
        super().terminate()
        if self.process.poll() is not None:
            for pid in self._second:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def answers(self) -> bool:
        """Whether it has loaded the code: it listens from then on."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            return connection.connect_ex(str(self._address)) == 0


def run(host: str, port: int, beside: Sequence[tuple[str, Sequence[str | Path]]], *, read_only: bool) -> None:
    """Run the services until a signal comes.

    Args:
        host: The address of the UI.
        port: Its port.
        beside: Further services: the name and the command of each.
        read_only: Whether the UI may change nothing.

    Raises:
        RuntimeError: One of them ended by itself; the others are ended too.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    services = list[Service]()
    with TemporaryDirectory(prefix="boursomatic-", dir=_short_folder()) as folder:
        try:
            for service in _start(Path(folder), host, port, beside, read_only):
                services.append(service)
                if not _await_ready(service, services, stop):
                    return
            while not stop.wait(LOOK_SECONDS):
                _require_all(services)
        finally:
            _end(services)


def _short_folder() -> str | None:
    """A folder for a socket where that of temporary files is too deep: the path of a socket has 100 characters."""
    return "/tmp" if len(gettempdir()) > LONGEST_FOLDER and Path("/tmp").is_dir() else None  # noqa: S108 # nosec B108


def _start(
    folder: Path, host: str, port: int, beside: Sequence[tuple[str, Sequence[str | Path]]], read_only: bool
) -> Iterator[Service]:
    """Start one service after the other."""
    address, workspace = folder / "code-server", folder / "workspace.yaml"
    server = {"socket": str(address), "location_name": LOCATION}
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # which is YAML too
    yield CodeServer(address)
    yield Service(
        "webserver",
        [
            *(PROGRAMS / "dagster-webserver", "-h", host, "-p", str(port), "-w", workspace),
            *(("--read-only",) if read_only else ()),
        ],
    )
    yield Service("daemon", [PROGRAMS / "dagster-daemon", "run", "-w", workspace])
    for name, words in beside:
        yield Service(name, words)


def _await_ready(service: Service, services: Sequence[Service], stop: threading.Event) -> bool:
    """Wait until the code is loaded, which the other services ask for at once; False if a signal came.

    Raises:
        RuntimeError: A service ended meanwhile, or the code takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while isinstance(service, CodeServer) and not service.answers():
        if stop.wait(LOOK_SECONDS):
            return False
        _require_all(services)
        if time.monotonic() > deadline:
            raise RuntimeError(f"the code has not loaded within {START_SECONDS} s: see the log above")
    return not stop.is_set()


def _require_all(services: Sequence[Service]) -> None:
    """Require that every service goes on.

    Raises:
        RuntimeError: One has ended.
    """
    for service in services:
        if ended := service.ending():
            raise RuntimeError(f"{ended}: all services end, start `boursomatic dev` again")


def _end(services: Sequence[Service]) -> None:
    """End services, the newest first, and kill those that take too long.

    The second process of the code server stays until the runs that it started are over.
    """
    deadline = time.monotonic() + GRACE_SECONDS
    for service in reversed(services):
        service.terminate()
    for service in reversed(services):
        try:
            service.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:  # what it had not committed is rolled back
            service.process.kill()
            service.process.wait()


def _end_with(parent: int) -> None:
    """Let the kernel end this new process with its parent, however that ends; only Linux can."""
    if _libc:
        _libc.prctl(DEATH_OF_PARENT, signal.SIGTERM)
        if os.getppid() != parent:  # it has ended already
            os._exit(1)


def _children(parent: int) -> set[int]:
    """The children of a process that live, as Linux tells; elsewhere none."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            state, its_parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(its_parent) == parent and state != "Z":
                found.add(int(path.parent.name))
    return found
