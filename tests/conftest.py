"""Fixtures of the whole suite: one real PostgreSQL per test run, and a separate database for each test.

The server is the embedded one, in a temporary folder of the run, shared by all workers of
pytest-xdist; in memory where there is enough, since a database has hundreds of files, and a copy is made for each
test. With `BOURSOMATIC_TEST_DATABASE_URL` (a superuser's address) that server is used instead. With
`BOURSOMATIC_TEST_PARTITIONED=1` bars and features are partitioned by year in each test's database.
"""

import contextlib
import datetime as dt
import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psycopg
import pytest
from sqlalchemy import URL, Engine, make_url

from boursomatic_assets import absorbed, settings
from boursomatic_assets import database as db
from boursomatic_assets.database import embedded
from boursomatic_assets.database.roles import role_name

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from worlds.buckets import Service

    from boursomatic_assets.vocabulary import Role

EXAMPLES = int(os.environ.get("BOURSOMATIC_TEST_EXAMPLES", "30"))
"""How many examples a property is tried on, unless its test says so."""

hypothesis.settings.register_profile(  # a busy machine must not fail a test
    "untimed", deadline=None, max_examples=EXAMPLES
)
hypothesis.settings.load_profile("untimed")

HOME = "BOURSOMATIC_HOME"
RUN_PREFIX = "boursomatic-tests-"
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""With it each process that a test starts would compile the whole package anew."""
MEMORY, MEMORY_BYTES = Path("/dev/shm"), 4 << 30
"""A folder that Linux keeps in memory, and how much a run may need there."""
LITTLE_EVIDENCE = "1.1,1.1,1.1"
"""What the profiles ask for in a test with a home: a year of a few instruments cannot show more."""
SERVER_VARIABLE = "BOURSOMATIC_TEST_DATABASE_URL"
PARTITIONED = os.environ.get("BOURSOMATIC_TEST_PARTITIONED") == "1"
FIRST_YEAR = 2022
"""Partitioned tables begin with it in a test, so that rows of earlier years are in the default partition."""
DATABASE_VARIABLES = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_ACCOUNTS_URL", "DATABASE_APP_URL")
DATABASE_FIXTURES = {"admin", "home"}
"""Fixtures that start a server, or a home folder in which one may start."""


def pytest_configure(config: pytest.Config) -> None:
    """Before any worker starts: hide the user's home, database and Dagster instance from the tests."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the background jobs of a shell ignore
    if not hasattr(config, "workerinput"):
        for name in (
            *DATABASE_VARIABLES,
            "BOURSOMATIC_READ_URL",
            "DAGSTER_DATABASE_URL",
            "DAGSTER_HOME",
            NO_BYTECODE,
        ):
            os.environ.pop(name, None)
        os.environ["BOURSOMATIC_DATABASE_WAIT"] = os.environ["BOURSOMATIC_STORE_WAIT"] = "0"
        remove_homes_of_killed_runs()
        os.environ[HOME] = str(make_home_of_run())


def pytest_unconfigure(config: pytest.Config) -> None:
    """After the last worker: remove what the run has created."""
    if not hasattr(config, "workerinput"):
        run = Path(os.environ[HOME])
        if SERVER_VARIABLE in os.environ:
            Admin(run).drop_all()
        remove_home(run)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a database, which `make check` leaves out; skip those of plain tables on others."""
    for item in items:
        if PARTITIONED and item.get_closest_marker("plain"):
            item.add_marker(pytest.mark.skip(reason="it is about plain tables"))
        if DATABASE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.database)


def make_home_of_run() -> Path:
    """Make the home folder of the run, in memory if there is enough."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    folder = tempfile.mkdtemp(prefix=f"{RUN_PREFIX}{os.getpid()}-", dir=MEMORY if in_memory else None)
    Path(folder).chmod(0o711)  # root's server is another user's, who finds its folder here
    return Path(folder)


def remove_home(home: Path) -> None:
    """Stop the embedded server of a throw-away home, and remove both."""
    embedded.stop(home)
    for outside in (home / "postgres" / "socket", home / "postgres"):
        shutil.rmtree(outside.resolve(), ignore_errors=True)
    shutil.rmtree(home)


def remove_homes_of_killed_runs() -> None:
    """Remove the home folders of runs that were killed."""
    folders = (MEMORY, Path(tempfile.gettempdir()))
    for home in (home for folder in folders for home in folder.glob(f"{RUN_PREFIX}*-*")):
        pid = home.name.removeprefix(RUN_PREFIX).partition("-")[0]
        if home.owner() == Path.home().owner() and not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(FileNotFoundError):  # another run is removing it too
                remove_home(home)


class Admin:
    """Makes and drops the databases of one test run."""

    def __init__(self, run: Path) -> None:
        address = os.environ.get(SERVER_VARIABLE)
        self.run = run
        self.url = make_url(address) if address else embedded_url(run)
        self.prefix = f"test_{run.name[-8:].lower()}_"
        self.logins: dict[Role, tuple[str, str]] = {}

    def address(self, name: str) -> str:
        """The DATABASE_URL of one of the server's databases."""
        return self.url.set(drivername=settings.DRIVER, database=name).render_as_string(hide_password=False)

    def address_of(self, role: "Role", name: str) -> str:
        """The DATABASE_URL of a database for a login that is a member of a role, one for each test process."""
        if role not in self.logins:
            self.logins[role] = self.create_login(role)
        login, password = self.logins[role]
        url = make_url(self.address(name)).set(username=login, password=password)
        return url.difference_update_query(["passfile"]).render_as_string(hide_password=False)

    def create_login(self, role: "Role") -> tuple[str, str]:
        """Create a login that is a member of a role; return its name and password."""
        login, password = f"{self.prefix}{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
        self.execute(f'CREATE ROLE "{login}" LOGIN PASSWORD \'{password}\' IN ROLE "{role_name(role)}"')
        return login, password

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection]:
        """A superuser's connection in autocommit mode."""
        with db.connect(self.url) as connection:
            connection.autocommit = True
            yield connection

    def execute(self, *statements: str) -> None:
        """Run statements, each a transaction."""
        with self.connected() as connection:
            for statement in statements:
                connection.execute(statement)

    def names(self) -> list[str]:
        """The databases of this run."""
        with self.connected() as connection:
            rows = connection.execute("SELECT datname FROM pg_database").fetchall()
        return [name for (name,) in rows if name.startswith(self.prefix)]

    def create(self, template: str = "template0") -> str:
        """Create a database, and return its name."""
        name = f"{self.prefix}{uuid.uuid4().hex[:12]}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return name

    def drop(self, name: str) -> None:
        """Drop a database, even with open connections."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def drop_all(self) -> None:
        """Drop the databases and logins of the run: its templates, and those of interrupted tests."""
        for name in self.names():
            self.drop(name)
        with self.connected() as connection:
            logins = connection.execute(
                "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [self.prefix]
            )
            for (login,) in logins.fetchall():
                connection.execute(f'DROP ROLE "{login}"'.encode())

    def template(self, kind: str, fill: Callable[[str], None]) -> str:
        """Return the name of a database filled once per run, to be cloned by each test."""
        name = f"{self.prefix}{kind}_template"
        with self.connected() as connection:
            connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
            if name not in self.names():
                unfinished = self.create()
                fill(self.address(unfinished))
                connection.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"'.encode())
        return name


def embedded_url(home: Path) -> URL:
    """A superuser's address of the embedded server kept under `home`, started if need be."""
    server = embedded.ensure_running(home)
    query = {"host": str(server.host), "passfile": str(server.passfile)}
    return URL.create(settings.DRIVER, username=server.user, database="postgres", query=query)


class AbsorbedErrorLog(logging.Handler):
    """Collects the lines of the errors that are absorbed during a test."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self.expected = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


@pytest.fixture(autouse=True)
def absorbed_error_log() -> Iterator[AbsorbedErrorLog]:
    """Fails a test in which an error was absorbed, unless it requests `absorbed_errors`.

    Collects the errors of the test's process, and of the runs of other processes in its `dagster_instance`.
    """
    log, logger = AbsorbedErrorLog(), logging.getLogger(absorbed.__name__)
    logger.addHandler(log)
    yield log
    logger.removeHandler(log)
    if log.lines and not log.expected:
        pytest.fail("errors were absorbed that the test does not expect:\n" + "\n".join(log.lines))


@pytest.fixture
def absorbed_errors(absorbed_error_log: AbsorbedErrorLog) -> list[str]:
    """The errors absorbed so far, in a test that expects some."""
    absorbed_error_log.expected = True
    return absorbed_error_log.lines


@pytest.fixture(scope="session")
def admin() -> Admin:
    """The server of the run; an embedded one is not durable, which is faster."""
    admin = Admin(Path(os.environ[HOME]))
    if SERVER_VARIABLE not in os.environ:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            admin.execute(f"ALTER SYSTEM SET {setting} = off")
        admin.execute("SELECT pg_reload_conf()")
    return admin


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home folder, set as BOURSOMATIC_HOME; a server started in it is stopped."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv(HOME, str(folder))
    monkeypatch.setenv("BOURSOMATIC_EVIDENCE", LITTLE_EVIDENCE)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)  # a command of an earlier test exports its own
    yield folder
    remove_home(folder)


@pytest.fixture
def database(admin: Admin, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An empty database, set as DATABASE_URL; its owner does everything in it."""
    name = admin.create()
    monkeypatch.setenv("DATABASE_URL", admin.address(name))
    yield from _engine_of(admin, name, monkeypatch)


@pytest.fixture
def migrated(admin: Admin, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A database without rows at the newest revision; the platform is the writer in it, the test the owner."""
    with migrated_database(admin, monkeypatch) as engine:
        yield engine


@contextmanager
def migrated_database(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The database of `migrated`, for as long as the context lasts."""
    name = admin.create(admin.template("migrated", _migrate))
    admin.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'UTC'")  # a clone has no settings of its own
    _set_addresses(admin, name, monkeypatch)
    yield from _engine_of(admin, name, monkeypatch)


@pytest.fixture
def log_in(admin: Admin) -> "Iterator[Callable[[Role], psycopg.Connection]]":
    """Connects to the test's database as a new login that is a member of one role."""
    connections = list[psycopg.Connection]()

    def connect(role: "Role") -> psycopg.Connection:
        login, password = admin.create_login(role)
        url = db.database_url("owner").set(username=login, password=password)
        connections.append(db.connect(url.difference_update_query(["passfile"])))
        return connections[-1]

    yield connect
    for connection in connections:
        login = connection.info.user
        connection.close()
        admin.execute(f'DROP ROLE "{login}"')


@pytest.fixture
def filled(admin: Admin, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A database with the small platform of `worlds/platform.py`, with its model files.

    Runs of the test read their bars from the platform's folder, set as BOURSOMATIC_FILES.
    """
    from worlds import platform as platform_of

    from boursomatic_assets.cli import launching

    bars = admin.run / "bars of the platform"
    monkeypatch.setattr(launching, "defs", platform_of.platform)
    template = admin.template("filled", lambda address: _fill_platform(admin, address, bars))
    monkeypatch.setenv("BOURSOMATIC_FILES", str(bars))
    shutil.copytree(platform_of.models_of(bars), home / "models")
    name = admin.create(template)
    admin.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'UTC'")  # a clone has no settings of its own
    _set_addresses(admin, name, monkeypatch)
    yield from _engine_of(admin, name, monkeypatch)


@pytest.fixture(scope="session")
def shared_platform(admin: Admin) -> Iterator[str]:
    """The name of a database with the small platform in which the server refuses every write."""
    bars = admin.run / "bars of the platform"
    name = admin.create(admin.template("filled", lambda address: _fill_platform(admin, address, bars)))
    admin.execute(
        f"ALTER DATABASE \"{name}\" SET timezone = 'UTC'",
        f'ALTER DATABASE "{name}" SET default_transaction_read_only = on',
    )
    yield name
    admin.drop(name)


@pytest.fixture
def readable(admin: Admin, shared_platform: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The small platform of `filled`, one for all tests that only read: a write fails its test."""
    monkeypatch.setenv("DAGSTER_DATABASE_URL", admin.address(shared_platform))
    _set_addresses(admin, shared_platform, monkeypatch)
    engine = db.engine("owner")
    yield engine
    db.disconnect()
    engine.dispose()  # a test may have named another database meanwhile


@pytest.fixture
def replayable(readable: Engine, admin: Admin, home: Path) -> Engine:
    """The platform of `readable`, with its model files."""
    from worlds import platform as platform_of

    shutil.copytree(platform_of.models_of(admin.run / "bars of the platform"), home / "models")
    return readable


@pytest.fixture(scope="session")
def bucket_service() -> "Iterator[Service]":
    """An S3-compatible service on this machine."""
    from worlds import buckets

    with buckets.service() as service:
        yield service


@pytest.fixture
def buckets(bucket_service: "Service", monkeypatch: pytest.MonkeyPatch) -> "Iterator[Service]":
    """The service, which this process and its children find in their environment."""
    for name, value in bucket_service.environment.items():
        monkeypatch.setenv(name, value)
    yield bucket_service
    bucket_service.gate.open()


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of passwords that cost next to nothing."""
    from worlds.accounts import make_hashes_cheap

    make_hashes_cheap(monkeypatch)


@pytest.fixture
def ada(migrated: Engine, cheap: None) -> uuid.UUID:
    """The id of Ada's account, the only one of the database."""
    from worlds.accounts import ADA, PASSWORD

    from boursomatic_assets.accounts import keeping

    return keeping.create(ADA, PASSWORD).id


@pytest.fixture
def dagster_instance(
    admin: Admin, home: Path, monkeypatch: pytest.MonkeyPatch, absorbed_error_log: AbsorbedErrorLog
) -> "Iterator[DagsterInstance]":
    """A Dagster instance of the project's dagster.yaml, on a separate database.

    It is set as DAGSTER_HOME and DAGSTER_DATABASE_URL, for the processes that a test starts.
    """
    with _instance_of(admin, monkeypatch) as instance:
        yield instance
        absorbed_error_log.lines += [
            value for _, values in instance.get_run_tags([absorbed.TAG]) for value in values
        ]


@contextmanager
def _instance_of(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> "Iterator[DagsterInstance]":
    from dagster import DagsterInstance

    from boursomatic_assets.orchestration.instance import ensure_dagster_home

    name = admin.create(admin.template("dagster", _fill_dagster))
    monkeypatch.setenv("DAGSTER_DATABASE_URL", admin.address(name))
    monkeypatch.setenv("DAGSTER_HOME", str(ensure_dagster_home()))
    with DagsterInstance.get() as instance:
        yield instance
    admin.drop(name)


def _set_addresses(admin: Admin, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the platform work as its roles, and not as the owner: what they may not do fails a test."""
    monkeypatch.setenv("DATABASE_URL", admin.address_of("writer", name))
    monkeypatch.setenv("DATABASE_OWNER_URL", admin.address(name))
    monkeypatch.setenv("DATABASE_ACCOUNTS_URL", admin.address_of("account_admin", name))
    monkeypatch.setenv("DATABASE_APP_URL", admin.address_of("app", name))


def _engine_of(admin: Admin, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    if "DAGSTER_DATABASE_URL" not in os.environ:  # so that none is created on the run's server
        monkeypatch.setenv("DAGSTER_DATABASE_URL", admin.address(name))
    engine = db.engine("owner")
    yield engine
    db.disconnect()
    engine.dispose()  # a test may have named another database meanwhile
    admin.drop(name)


def _migrate(address: str) -> None:
    from boursomatic_assets.database import migrate

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DATABASE_URL", address)
        monkeypatch.setenv("DAGSTER_DATABASE_URL", address)
        migrate.upgrade()
        if PARTITIONED:
            _partition()
        db.disconnect()


def _partition() -> None:
    """Partition the empty tables, from FIRST_YEAR on."""
    from boursomatic_assets.database import partitioning

    partitioning.partition()
    with db.engine("owner").begin() as connection:
        for table, year in itertools.product(("price_bars", "features"), range(FIRST_YEAR, dt.date.today().year)):
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS partitions.{table}_{year} PARTITION OF {table}"
                f" FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
            )


def _fill_platform(admin: Admin, address: str, bars: Path) -> None:
    """Fill it with the project's Dagster storage, which writes the events of a range at once."""
    from worlds import platform as platform_of

    from boursomatic_assets.cli import launching
    from boursomatic_assets.orchestration.dagster_patches import guard

    _migrate(address)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(launching, "defs", platform_of.platform)
        monkeypatch.setenv("DATABASE_URL", address)
        monkeypatch.setenv("BOURSOMATIC_EVIDENCE", LITTLE_EVIDENCE)
        monkeypatch.setenv("BOURSOMATIC_FILES", str(bars))
        monkeypatch.setenv("BOURSOMATIC_HOME", str(bars.with_name("home of the platform")))
        with _instance_of(admin, monkeypatch) as instance:
            if guard.enabled():
                platform_of.fill(bars, instance)
            else:
                _fill_with_patches(bars)
        db.disconnect()


def _fill_with_patches(bars: Path) -> None:
    """Fill the platform in another process: stock Dagster would take a quarter of an hour."""
    program = (
        "import dagster, pathlib, sys; from worlds import platform; from boursomatic_assets.cli import launching;"
        "launching.defs = platform.platform;"
        "instance = dagster.DagsterInstance.get(); platform.fill(pathlib.Path(sys.argv[1]), instance)"
    )
    environment = os.environ | {"BOURSOMATIC_STOCK_DAGSTER": "0"}
    subprocess.run(
        [sys.executable, "-c", program, str(bars)], cwd=Path(__file__).parent, env=environment, check=True
    )


def _fill_dagster(address: str) -> None:
    from boursomatic_assets.orchestration.dagster_patches.storage import BoursomaticStorage

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DAGSTER_DATABASE_URL", address)
        BoursomaticStorage.from_config_value(None, {})
