"""A server of somebody's own: the oldest PostgreSQL that is supported, as a distribution installs it.

What belongs here: starting and stopping one over TCP, with an owner who is no superuser. Kept elsewhere: the
embedded server (`place.py`).
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from boursomatic_assets.settings import DRIVER

OLDEST = 15
PROGRAMS = Path(f"/usr/lib/postgresql/{OLDEST}/bin")

OWNER, PASSWORD = "keeper", "p@ss/word"


@dataclass(frozen=True)
class OwnServer:
    """A server on a port of this machine."""

    port: int

    def create(self, name: str) -> str:
        """Create a database of the owner, and return its address."""
        with psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}".encode())
        url = URL.create(DRIVER, OWNER, PASSWORD, "127.0.0.1", self.port, name)
        return url.render_as_string(hide_password=False)


@contextlib.contextmanager
def own_server() -> Iterator[OwnServer]:
    """Start one; a machine without its programs skips the test."""
    if not (PROGRAMS / "initdb").exists() or os.geteuid() != 0:
        pytest.skip(f"PostgreSQL {OLDEST} of the distribution is not installed, or cannot be started by this user")
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))  # a socket's path is short
    try:
        folder.chmod(0o711)
        data = folder / "data"
        data.mkdir(mode=0o700)
        account = pwd.getpwnam("postgres")
        for path in (folder, data):
            os.chown(path, account.pw_uid, account.pw_gid)
        _run("initdb", "--pgdata", data, "--auth=trust", "--username=postgres", "--no-sync")
        port = _free_port()
        options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        _run("pg_ctl", "start", "--pgdata", data, "--wait", "--log", folder / "log", "-o", options)
        try:
            with psycopg.connect(host="127.0.0.1", port=port, user="postgres", autocommit=True) as connection:
                connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'".encode())
            yield OwnServer(port)
        finally:
            _run("pg_ctl", "stop", "--pgdata", data, "--mode", "fast", "--wait")
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def following(server: OwnServer) -> Iterator[OwnServer]:
    """Start a replica of a server, made as docs/replica.md says."""
    with psycopg.connect(host="127.0.0.1", port=server.port, user="postgres", autocommit=True) as connection:
        connection.execute("CREATE ROLE replica_of_bars LOGIN REPLICATION PASSWORD '...'")
        connection.execute("SELECT pg_create_physical_replication_slot('replica_of_bars', true)")
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        data, port = folder / "data", _free_port()
        source = (
            "--dbname",
            f"host=127.0.0.1 port={server.port} user=replica_of_bars",
            "--slot",
            "replica_of_bars",
        )
        how = ("--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf", "--no-sync")
        _run("pg_basebackup", *source, "--pgdata", data, *how)
        options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        _run("pg_ctl", "start", "--pgdata", data, "--wait", "--log", folder / "log", "-o", options)
        try:
            yield OwnServer(port)
        finally:
            _run("pg_ctl", "stop", "--pgdata", data, "--mode", "fast", "--wait")
    finally:
        shutil.rmtree(folder)


def _run(program: str, *words: object) -> None:
    command = [str(PROGRAMS / program), *map(str, words)]
    done = subprocess.run(
        command,
        user="postgres",
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
