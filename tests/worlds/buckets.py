"""Buckets: an S3-compatible service on this machine, which can be away for a while.

What belongs here: the service, moto's server in a process of its own, and the gate before it. It checks no key
unless it is told to.
"""

import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import uuid4

from worlds.commands import SECRET

KEY = "AKIAIOSFODNN7EXAMPLE"

CHECKED_NEVER = b"1000000000"


@dataclass
class Gate:
    """A proxy before the service: while it is shut, each connection is closed at once.

    Attributes:
        target: The port of the service.
        port: Where it listens.
        refused: How many connections it has closed.
        is_shut: Whether it is shut.
    """

    target: int
    port: int = 0
    refused: int = 0
    is_shut: bool = False
    _open: list[socket.socket] = field(default_factory=list)

    def shut(self) -> None:
        """Let the service be away."""
        self.is_shut = True
        for one in [*self._open]:
            _end(one)

    def open(self) -> None:
        """Let it be back."""
        self.is_shut = False

    def serve(self, listening: socket.socket) -> None:
        """Serve until the socket is closed."""
        while True:
            try:
                client, _ = listening.accept()
            except OSError:  # it is over
                return
            threading.Thread(target=self._connected, args=(client,), daemon=True).start()

    def _connected(self, client: socket.socket) -> None:
        with client:
            if self.is_shut:
                self.refused += 1
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                self._open += [client, server]
                way = threading.Thread(target=_carry, args=(client, server), daemon=True)
                way.start()
                _carry(server, client)
                way.join()
                self._open.remove(client)
                self._open.remove(server)


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for one in (source, sink):
        _end(one)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@dataclass
class Service:
    """A running service."""

    port: int
    gate: Gate

    @property
    def environment(self) -> dict[str, str]:
        """What lets a program find it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.gate.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def new_bucket(self) -> str:
        """Create a bucket, and return the address of a store in it."""
        name = f"bucket-{uuid4().hex[:12]}"
        self._ask("PUT", f"/{name}")
        return f"s3://{name}/a/prefix"

    def check_keys(self) -> None:
        """Refuse every key from now on: it knows none."""
        self._ask("POST", "/moto-api/reset-auth", b"0")

    def trust(self) -> None:
        """Check no key any more."""
        self._ask("POST", "/moto-api/reset-auth", CHECKED_NEVER)

    def _ask(self, method: str, path: str, data: bytes | None = None) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        request.add_header("Content-Type", "text/plain")
        urllib.request.urlopen(request, timeout=30).close()


@contextmanager
def service() -> Iterator[Service]:
    """A service for as long as the context lasts; what it keeps is in its memory."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(port, process)
        gate = Gate(port)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            gate.port = listening.getsockname()[1]
            threading.Thread(target=gate.serve, args=(listening,), daemon=True).start()
            yield Service(port, gate)
            _end(listening)
            gate.shut()
    finally:
        process.terminate()
        process.wait()


def _await(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        assert process.poll() is None and time.monotonic() < deadline, "moto's server does not start"
        time.sleep(0.05)
