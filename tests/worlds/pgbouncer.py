"""PgBouncer in front of the test's server, over TCP on this machine.

What belongs here: its configuration, and the program. A test is skipped where that is not installed.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

PATIENCE_SECONDS = 30
IGNORED = "ignore_startup_parameters = options"

CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
{further}
"""


@contextmanager
def in_front_of(server: URL, mode: str, further: str = IGNORED) -> Iterator[URL]:
    """The address of a pooler in front of a server, of which the address has a password.

    Args:
        server: The server, on a socket of this machine or over TCP.
        mode: `session`, `transaction` or `statement`.
        further: Further lines of its configuration.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    host = str(server.host or server.query["host"])
    owner = Path(host).stat().st_uid if host.startswith("/") else os.getuid()
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name, socket.create_server(("127.0.0.1", 0)) as free:
        folder, own = Path(name), free.getsockname()[1]
        free.close()
        (folder / "users").write_text(f'"{server.username}" "{server.password}"\n')
        configuration = folder / "pgbouncer.ini"
        port = server.port or 5432
        configuration.write_text(
            CONFIGURATION.format(host=host, port=port, own=own, folder=folder, mode=mode, further=further)
        )
        for path in (folder, *folder.iterdir()):
            os.chown(path, owner, -1)
        process = subprocess.Popen(
            [program, "--quiet", configuration], stderr=subprocess.PIPE, text=True, **_as_user(owner)
        )
        try:
            _await(own, process)
            yield server.set(host="127.0.0.1", port=own).difference_update_query(["host", "passfile"])
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_SECONDS)


def _as_user(uid: int) -> dict[str, Any]:
    """How a program of root is run as the server's user: PgBouncer refuses to run as root."""
    if os.geteuid():
        return {}
    entry = pwd.getpwuid(uid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _await(port: int, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert process.poll() is None, process.communicate()[1]
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.02)
        else:
            return
