"""`boursomatic dev` in a process of its own, and what is asked of its webserver."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

PATIENCE_SECONDS = 120
Answer = tuple[int, str]
"""The status and the body."""


def free_port() -> int:
    """A port on which nothing listens yet."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def eventually_answers(port: int, path: str) -> Answer:
    """The answer of a server that is starting."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask(port, path=path)
        except OSError:
            assert time.monotonic() < deadline, "nothing answers"
            time.sleep(0.3)


@contextmanager
def dev(
    log: Path, *options: str, environment: dict[str, str] | None = None, **variables: str
) -> "Iterator[tuple[int, subprocess.Popen[bytes]]]":
    """A running `boursomatic dev`, in a session of its own; its port, and its process.

    It has this process's environment, or another one, with some variables more.
    """
    port = free_port()
    program = Path(sys.executable).with_name("boursomatic")
    given = (environment or dict(os.environ)) | variables
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "dev", "--port", str(port), *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=given,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        yield port, process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_SECONDS)


def members(session: int) -> dict[int, str]:
    """The processes of a session that live, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if os.getsid(int(folder.name)) == session and (line := (folder / "cmdline").read_bytes()):
                found[int(folder.name)] = line.replace(b"\0", b" ").decode()
    return found


def eventually_gone(session: int, seconds: float = 60) -> dict[int, str]:
    """The processes of a session that are left after some time: none, as soon as there is none."""
    deadline = time.monotonic() + seconds
    while (left := members(session)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def answers(port: int) -> bool:
    """Whether the webserver answers yet."""
    try:
        return ask(port, path="/server_info")[0] == 200
    except OSError:
        return False


def ask(
    port: int,
    query: str = "",
    *,
    path: str = "/graphql",
    method: str = "",
    tls: tuple[str, ssl.SSLContext] | None = None,
    **headers: str,
) -> Answer:
    """Send a request as a page does, GraphQL by POST; with `tls` to a server of this name, by its certificate."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    if tls:
        name, context = tls
        connection.connect()
        connection.sock = context.wrap_socket(connection.sock, server_hostname=name)
    body, kind = None, {}
    if query and method != "GET":
        method, kind = "POST", {"Content-Type": "application/json"}
        body = query if query.startswith('{"') else json.dumps({"query": query})
    elif query:
        path = f"{path}?query={quote(query)}"
    connection.request(method or "GET", path, body, kind | headers)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer
