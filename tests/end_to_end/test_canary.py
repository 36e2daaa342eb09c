"""No secret is left behind: canaries in every secret setting, and a search of all that runs and commands leave.

Places searched: the home with its models, archive and caches; DAGSTER_HOME with compute logs and `dagster.yaml`;
the folder for temporary files; standard output and error of every command, and the log of `dev`; every table of
the platform's and of Dagster's database (runs, tags, events, metadata) and what the server shows of its sessions;
the arguments of every process that is started; answers of the webserver about its instance and the run.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from conftest import Admin
from psycopg import sql
from worlds.ui import ask, dev

CORES = {
    "DATABASE_URL": "canaryone7f3a",
    "DAGSTER_DATABASE_URL": "canarytwo9b1c",
    "STOOQ": "canarykey5d2e",
    "WEBHOOK": "canaryhook3e8b",
    "SMTP": "canarymail6a4f",
}
"""What is searched for: the part of each secret that is written alike in any encoding."""

SPECIAL = "@:/ %é'"
PROGRAM = Path(sys.executable).with_name("boursomatic")
ABOUT = """{ instance { info } runsOrError { ... on Runs { results { runId status runConfigYaml tags { key value }
    eventConnection(limit: 1000) { events { ... on MessageEvent { message } } } } } } }"""
LAUNCH = """mutation { launchRun(executionParams: { selector: { repositoryLocationName: "boursomatic",
    repositoryName: "__repository__", jobName: "market_session", assetSelection: [{path: ["instruments"]}] } }) {
    __typename } }"""


@pytest.fixture
def databases(admin: Admin, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """Two databases, of users whose passwords are canaries; the secret settings that are no command are set."""
    names = []
    server = admin.url.query.get("host") or admin.url.host
    for variable in ("DATABASE_URL", "DAGSTER_DATABASE_URL"):
        name, password = admin.create(), CORES[variable] + SPECIAL
        with admin.connected() as connection:
            role = [sql.Identifier(name), sql.Literal(password)]
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(*role))
            connection.execute(sql.SQL("ALTER DATABASE {0} OWNER TO {0}").format(sql.Identifier(name)))
        port = f"&port={admin.url.port}" if admin.url.port else ""
        address = (
            f"postgresql://{name}:{quote(password, safe='')}@/{name}?host={quote(str(server), safe='')}{port}"
        )
        monkeypatch.setenv(variable, address)
        names.append(name)
    monkeypatch.setenv("BOURSOMATIC_STOOQ_KEY", CORES["STOOQ"])
    monkeypatch.setenv("BOURSOMATIC_ALERT_WEBHOOK", f"http://127.0.0.1:1/services/{CORES['WEBHOOK']}")
    monkeypatch.setenv("BOURSOMATIC_ALERT_SMTP", f"smtp://ann:{CORES['SMTP']}@127.0.0.1:1")
    monkeypatch.setenv("BOURSOMATIC_ALERT_TO", "ann@example.com")
    monkeypatch.setenv("BOURSOMATIC_SIMULATED_INSTRUMENTS", "4")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    yield names
    for name in names:
        admin.drop(name)
        admin.execute(f'DROP ROLE "{name}"')


@contextmanager
def watched_arguments(found: set[str]) -> Iterator[None]:
    """Notes the arguments of all processes in which a canary is, again and again."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    arguments = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:  # it has ended
                    continue
                if any(core in arguments for core in CORES.values()):
                    found.add(arguments)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def run(*words: str, **variables: str) -> tuple[int, str]:
    """The exit code of a command, and all that it printed."""
    result = subprocess.run(
        [PROGRAM, *words], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    return result.returncode, result.stdout + result.stderr


def dump(admin: Admin, name: str) -> Iterator[tuple[str, bytes]]:
    """Every table of a database as text."""
    with psycopg.connect(admin.address(name).replace("+psycopg", "")) as connection:
        tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        for (table,) in connection.execute(tables).fetchall():
            query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(sql.Identifier(table))
            with connection.cursor().copy(query) as rows:
                yield f"{name}.{table}", b"".join(bytes(row) for row in rows)
        sessions = connection.execute("SELECT string_agg(query || application_name, ' ') FROM pg_stat_activity")
        yield f"{name}: sessions", str(sessions.fetchone()).encode()


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below some folders."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()


def use_ui(log: Path) -> Iterator[tuple[str, bytes]]:
    """Launch a run in the UI; its answers."""
    with dev(log) as (port, _):
        assert '"LaunchRunSuccess"' in ask(port, LAUNCH)[1]
        deadline = time.monotonic() + 120
        while '"SUCCESS"' not in (told := ask(port, ABOUT)[1]):
            assert time.monotonic() < deadline, told
            time.sleep(0.5)
        assert json.loads(told)["data"]["instance"]["info"]
        yield "answers about the instance", told.encode()


DAY = "2024-06-03"
SHORT = ("db upgrade", f"materialize price_bars {DAY} US", "doctor", "alerts test", "recommendations")
"""Commands of the short twin: each secret is used by one of them."""


@pytest.mark.parametrize("short", [True, pytest.param(False, marks=pytest.mark.drill)], ids=["short", "all"])
def test_no_secret_is_left_behind(
    admin: Admin, home: Path, databases: list[str], tmp_path: Path, short: bool
) -> None:
    """All commands are a drill; its short twin uses the UI as well, but a few commands."""
    in_arguments: set[str] = set()
    printed = {}
    nowhere = {"BOURSOMATIC_SOURCE": "files", "BOURSOMATIC_FILES": str(tmp_path / "nothing")}
    commands = {
        "db upgrade": (0, {}),
        f"materialize price_bars {DAY} US": (0, {}),
        f"materialize price_bars {DAY} EURONEXT": (1, nowhere),
        "status": (0, {}),
        "settings": (0, {}),
        "settings --json": (0, {}),
        "doctor": (0, {"BOURSOMATIC_SOURCE": "stooq"}),
        "alerts test": (1, {}),
        "db url": (0, {}),
        "db status": (0, {}),
        "db psql -c SELECT": (0, {}),
        "recommendations": (1, {"DATABASE_URL": os.environ["DATABASE_URL"].replace("%40", "%41")}),
    }
    if short:
        commands = {name: commands[name] for name in SHORT}
    with watched_arguments(in_arguments):
        for command, (expected, variables) in commands.items():
            code, printed[command] = run(*command.split(), **variables)
            assert code == expected, printed[command]
        answered = list(use_ui(tmp_path / "dev.log"))

    left = [
        *((command, text.encode()) for command, text in printed.items()),
        *files(home, tmp_path / "temporary"),
        *files(Path(os.environ["BOURSOMATIC_HOME"]) / "dagster"),
        ("log of dev", (tmp_path / "dev.log").read_bytes()),
        *answered,
        *(part for name in databases for part in dump(admin, name)),
    ]
    places = [place for place, _ in left]
    assert {f"{databases[1]}.runs", f"{databases[1]}.event_logs", f"{databases[0]}.price_bars"} <= set(places)
    assert any("compute_logs" in place or place.endswith(".err") for place in places), "compute logs are there"
    leaks = {place for place, content in left if any(core.encode() in content for core in CORES.values())}
    assert leaks == set()
    assert in_arguments == set()
