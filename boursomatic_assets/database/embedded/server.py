"""The embedded server: a real PostgreSQL, started once and shared by every process with the same home folder.

What belongs here: creating, starting and stopping it, and recovery after a crash. Kept elsewhere: its folders
(`cluster.py`), its binaries and the user who runs them (`binaries.py`), which server is used
(`database/addresses.py`).
"""

import os
import secrets
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from boursomatic_assets import absorbed
from boursomatic_assets.database.embedded import cluster as embedded_cluster
from boursomatic_assets.database.embedded.binaries import ServerError, folder_lock, run_program
from boursomatic_assets.database.embedded.cluster import PORT, Cluster, write_private

USER = "boursomatic"
DATABASES = ("boursomatic", "dagster")
START_SECONDS = 300
NOT_LISTENING, STARTING_UP, TIMED_OUT = "Is the server running", "the database system is", "timeout expired"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    "client_connection_check_interval": "10s",  # what a client that is gone still waits for or computes ends
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    # /dev/shm is small in containers, and emptied at a user's logout on many systems.
    "min_dynamic_shared_memory": "64MB",
    "dynamic_shared_memory_type": "mmap",
}


@dataclass(frozen=True)
class Server:
    """A running server: the address of its socket, and the credentials of the client."""

    host: Path  # the folder of its socket
    port: int
    user: str
    passfile: Path
    data: Path


def ensure_running(home: Path) -> Server:
    """Return the server of a home folder; create and start it if it does not run.

    Raises:
        ServerError: It cannot be created or started.
    """
    server = status(home)
    if server:
        return server
    with _as_server_error(home), folder_lock(home):
        for abandoned in embedded_cluster.abandoned_clusters(home):
            stop_cluster(abandoned)
        cluster = embedded_cluster.make_cluster(home)
        if not cluster.data.exists():
            _create_cluster(cluster)
        for unfinished in cluster.folder.glob("init-*"):
            shutil.rmtree(unfinished, ignore_errors=True)  # what remains is removed at a later start
        return start_cluster(cluster)


def status(home: Path) -> Server | None:
    """Return the server of a home folder if it answers, or None."""
    cluster = embedded_cluster.find_cluster(home)
    server = _server_of(cluster)
    return server if cluster.has_private_socket() and _answers(_connection_failure(server)) else None


def stop(home: Path) -> bool:
    """Stop the server of a home folder; return whether one was running.

    Raises:
        ServerError: It cannot be stopped.
    """
    cluster = embedded_cluster.find_cluster(home)
    with _as_server_error(home):
        if not cluster.data.exists():
            return False
        with folder_lock(home):
            return stop_cluster(cluster)


@contextmanager
def _as_server_error(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServerError(f"the embedded server of {home} cannot be used: {error}") from error


def _server_of(cluster: Cluster) -> Server:
    return Server(cluster.socket, PORT, USER, cluster.passfile, cluster.data)


def _create_cluster(cluster: Cluster) -> None:
    """Create the cluster with its databases in a temporary folder, and rename that to the data directory."""
    password = secrets.token_urlsafe(32)
    cluster.write_passfile(cluster.passfile, USER, password)
    scratch = Path(tempfile.mkdtemp(prefix="init-", dir=cluster.folder))
    write_private(scratch / "password", password)
    for path in (scratch / "password", scratch):
        cluster.chown_to_server(path)
    _initdb(cluster, scratch)
    (scratch / "data").rename(cluster.data)


def _initdb(cluster: Cluster, scratch: Path) -> None:
    data, ids = scratch / "data", cluster.server_ids()
    login = [f"--username={USER}", f"--pwfile={scratch / 'password'}", "--auth=scram-sha-256"]
    text = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    run_program(ids, "initdb", f"--pgdata={data}", "--data-checksums", *login, *text, *settings)
    databases = "".join(f"CREATE DATABASE {name};\n" for name in DATABASES)
    run_program(ids, "postgres", "--single", "-D", data, "-c", "exit_on_error=on", "postgres", text=databases)


def start_cluster(cluster: Cluster, further: Mapping[str, str] | None = None) -> Server:
    """Start the server of a cluster, and wait until it answers, whatever an earlier one has left behind.

    Args:
        cluster: The cluster.
        further: Settings that hold for as long as the server runs.

    Raises:
        ServerError: It does not start, or does not answer.
    """
    if not os.access(cluster.passfile, os.R_OK):
        raise ServerError(f"{cluster.passfile} cannot be read: the password of the embedded server is in it")
    if not cluster.has_private_socket():
        stop_cluster(cluster)  # no client can reach it
        cluster.make_socket_folder()
    server = _server_of(cluster)
    deadline = time.monotonic() + START_SECONDS
    while not _answers(failure := _connection_failure(server)):
        if time.monotonic() > deadline:
            raise ServerError(f"the embedded server does not answer ({failure}): see {cluster.log}")
        if NOT_LISTENING in failure and not _is_alive(cluster):
            _try_start(cluster, further or {})
        time.sleep(0.05)
    return server


def _try_start(cluster: Cluster, further: Mapping[str, str]) -> None:
    _remove_stale_locks(cluster)
    size = cluster.log.stat().st_size if cluster.log.exists() else 0
    options = shlex.join(["-k", str(cluster.socket), *(f"-c{name}={value}" for name, value in further.items())])
    wait = ("-w", "-t", str(START_SECONDS))
    try:
        run_program(
            cluster.server_ids(), "pg_ctl", "start", *wait, "-D", cluster.data, "-l", cluster.log, "-o", options
        )
    except ServerError as error:
        log_text = _log_since(cluster, size)
        reason = " ".join(log_text.rpartition("FATAL:")[2].split())[:400] or str(error)
        if "shared memory block" in log_text:
            absorbed.record(ServerError(reason), "the embedded server is started again")
            time.sleep(0.5)  # processes of a killed server have not ended yet
        elif _is_alive(cluster):
            absorbed.record(ServerError(reason), "the embedded server is waited for")
        else:
            raise ServerError(f"the embedded server does not start: {reason}; see {cluster.log}") from None


def _remove_stale_locks(cluster: Cluster) -> None:
    """Remove the lock files of a dead server: PostgreSQL takes any process with its pid for that server."""
    for lock in (cluster.data / "postmaster.pid", cluster.socket / f".s.PGSQL.{PORT}.lock"):
        lock.unlink(missing_ok=True)


def stop_cluster(cluster: Cluster) -> bool:
    """Stop the server of a cluster; return whether one was running.

    Raises:
        ServerError: It cannot be stopped.
    """
    if not _is_alive(cluster):
        return False
    run_program(cluster.server_ids(), "pg_ctl", "stop", "-w", "-t", "60", "-m", "fast", "-D", cluster.data)
    return True


def _connection_failure(server: Server) -> str:
    """Run a query; return the message of the failure, or an empty text."""
    try:
        with psycopg.connect(
            host=str(server.host), port=server.port, user=server.user, dbname=DATABASES[0],
            passfile=str(server.passfile), connect_timeout=10,
        ) as connection:  # fmt: skip
            connection.execute("SELECT 1")
    except psycopg.OperationalError as error:  # returned: the caller quotes the last one when it gives up
        return " ".join(str(error).split())
    return ""


def _answers(failure: str) -> bool:
    """Return whether the server answers or refuses the connection, rather than is starting or not running."""
    return not any(words in failure for words in (NOT_LISTENING, STARTING_UP, TIMED_OUT))


def _is_alive(cluster: Cluster) -> bool:
    """Return whether the server of a cluster is alive: after a crash its pid may belong to another process."""
    try:
        process = Path("/proc") / (cluster.data / "postmaster.pid").read_text().split()[0]
        return (process / "comm").read_text() == "postgres\n" and (process / "cwd").readlink() == cluster.data
    except (OSError, IndexError):  # there is no such file or process
        return False


def _log_since(cluster: Cluster, size: int) -> str:
    """Return what was appended to the log since it had a size in bytes."""
    if not cluster.log.exists():
        return ""
    with cluster.log.open("rb") as log:
        log.seek(size)
        return log.read().decode(errors="replace")
