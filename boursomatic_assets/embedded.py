"""The embedded server: a real PostgreSQL, started once and shared by every process that names its home.

What belongs here: its life, from the first start to the last stop, and what is done after a crash. Where its
files lie is `embedded_place.py`; as whom its programs run is `embedded_programs.py`; which server is used at
all is `database.py`.
"""

import os
import secrets
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from boursomatic_assets import absorbed, embedded_place
from boursomatic_assets.embedded_place import PORT, Place
from boursomatic_assets.embedded_programs import ServerError, locked, run

USER = "boursomatic"
DATABASES = ("boursomatic", "dagster")
START_SECONDS = 300
NOBODY_LISTENS, NOT_YET, NO_WORD = "Is the server running", "the database system is", "timeout expired"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
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
    """A running server: where it is found, and with what a client may enter."""

    host: Path  # the folder of its socket
    port: int
    user: str
    passfile: Path
    data: Path


def ensure_running(home: Path) -> Server:
    """Return the server of a home folder, made and started first if need be.

    Raises:
        ServerError: It cannot be made or started.
    """
    server = status(home)
    if server:
        return server
    with _in_one_line(home), locked(home):
        for abandoned in embedded_place.places_of_removed_homes(home):
            _stop(abandoned)
        place = embedded_place.make(home)
        if not place.data.exists():
            _create(place)
        for unfinished in place.folder.glob("init-*"):
            shutil.rmtree(unfinished, ignore_errors=True)  # what stays costs room, and is tried again next time
        return _start(place)


def status(home: Path) -> Server | None:
    """Return the server of a home folder if it answers, else None."""
    place = embedded_place.find(home)
    server = _server(place)
    return server if place.has_private_socket() and _is_up(_refusal(server)) else None


def stop(home: Path) -> bool:
    """Stop the server of a home folder; return whether there was one to stop.

    Raises:
        ServerError: It cannot be stopped.
    """
    place = embedded_place.find(home)
    with _in_one_line(home):
        if not place.data.exists():
            return False
        with locked(home):
            return _stop(place)


@contextmanager
def _in_one_line(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServerError(f"the embedded server of {home} cannot be used: {error}") from error


def _server(place: Place) -> Server:
    return Server(place.socket, PORT, USER, place.passfile, place.data)


def _create(place: Place) -> None:
    """Make the cluster with its databases beside its final place, and move it there in one step."""
    password = secrets.token_urlsafe(32)
    _write_private(place.passfile, f"*:*:*:{USER}:{password}\n")
    place.give_to_client(place.passfile)
    scratch = Path(tempfile.mkdtemp(prefix="init-", dir=place.folder))
    _write_private(scratch / "password", password)
    for path in (scratch / "password", scratch):
        place.give_to_server(path)
    _initdb(place, scratch)
    (scratch / "data").rename(place.data)


def _initdb(place: Place, scratch: Path) -> None:
    data, ids = scratch / "data", place.server_ids()
    login = [f"--username={USER}", f"--pwfile={scratch / 'password'}", "--auth=scram-sha-256"]
    text = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    run(ids, "initdb", f"--pgdata={data}", "--data-checksums", *login, *text, *settings)
    databases = "".join(f"CREATE DATABASE {name};\n" for name in DATABASES)
    run(ids, "postgres", "--single", "-D", data, "-c", "exit_on_error=on", "postgres", text=databases)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _start(place: Place) -> Server:
    """Start the server and wait until it answers, whatever was left of the one before."""
    if not os.access(place.passfile, os.R_OK):
        raise ServerError(f"{place.passfile} cannot be read: the password of the embedded server is in it")
    if not place.has_private_socket():
        _stop(place)  # nobody can reach it any more
        place.make_socket_folder()
    server = _server(place)
    deadline = time.monotonic() + START_SECONDS
    while not _is_up(refusal := _refusal(server)):
        if time.monotonic() > deadline:
            raise ServerError(f"the embedded server does not answer ({refusal}): see {place.log}")
        if NOBODY_LISTENS in refusal and not _lives(place):
            _try_start(place)
        time.sleep(0.05)
    return server


def _try_start(place: Place) -> None:
    _remove_stale_locks(place)
    size = place.log.stat().st_size if place.log.exists() else 0
    folder = f"-k {shlex.quote(str(place.socket))}"
    wait = ("-w", "-t", str(START_SECONDS))
    try:
        run(place.server_ids(), "pg_ctl", "start", *wait, "-D", place.data, "-l", place.log, "-o", folder)
    except ServerError as error:
        said = _log_since(place, size)
        reason = " ".join(said.rpartition("FATAL:")[2].split())[:400] or str(error)
        if "shared memory block" in said:
            absorbed.record(ServerError(reason), "the embedded server is started again")
            time.sleep(0.5)  # the last processes of a killed server are still leaving
        elif _lives(place):
            absorbed.record(ServerError(reason), "the embedded server is waited for")
        else:
            raise ServerError(f"the embedded server does not start: {reason}; see {place.log}") from None


def _remove_stale_locks(place: Place) -> None:
    """Remove lock files of a server that died: to PostgreSQL, any process of that number keeps them valid."""
    for lock in (place.data / "postmaster.pid", place.socket / f".s.PGSQL.{PORT}.lock"):
        lock.unlink(missing_ok=True)


def _stop(place: Place) -> bool:
    if not _lives(place):
        return False
    run(place.server_ids(), "pg_ctl", "stop", "-w", "-t", "60", "-m", "fast", "-D", place.data)
    return True


def _refusal(server: Server) -> str:
    """Ask a real query; return what was said instead of an answer."""
    try:
        with psycopg.connect(
            host=str(server.host), port=server.port, user=server.user, dbname=DATABASES[0],
            passfile=str(server.passfile), connect_timeout=10,
        ) as connection:  # fmt: skip
            connection.execute("SELECT 1")
    except psycopg.OperationalError as error:  # the answer itself: whoever waits for another quotes it at the end
        return " ".join(str(error).split())
    return ""


def _is_up(refusal: str) -> bool:
    """Tell a server that answers, or refuses for a reason of its own, from one that starts or is gone."""
    return not any(words in refusal for words in (NOBODY_LISTENS, NOT_YET, NO_WORD))


def _lives(place: Place) -> bool:
    """Tell whether the cluster's server is alive: after a crash its pid may be anybody's."""
    try:
        process = Path("/proc") / (place.data / "postmaster.pid").read_text().split()[0]
        return (process / "comm").read_text() == "postgres\n" and (process / "cwd").readlink() == place.data
    except (OSError, IndexError):  # no such file, or no such process: that is the answer
        return False


def _log_since(place: Place, size: int) -> str:
    """Return what the log has gained since it had a size in bytes."""
    if not place.log.exists():
        return ""
    with place.log.open("rb") as log:
        log.seek(size)
        return log.read().decode(errors="replace")
