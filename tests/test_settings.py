"""Settings: an invalid value is refused with the name of its variable and what may be set, before any work."""

import ast
import datetime as dt
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from worlds.commands import SECRET, boursomatic, error_line

import boursomatic_assets
from boursomatic_assets import database, settings
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.language import WORDINGS
from boursomatic_assets.sources import Source, open_source
from boursomatic_assets.sources.simulated.source import Simulated

PACKAGE = Path(boursomatic_assets.__file__).parent

WRONG = {
    "BOURSOMATIC_LANGUAGE": ("de", "'de' is not known: set BOURSOMATIC_LANGUAGE to en or fr"),
    "BOURSOMATIC_EXTENDED_HOURS": ("true", "'true' is not known: set BOURSOMATIC_EXTENDED_HOURS to 0 or 1"),
    "BOURSOMATIC_SESSIONS_PER_RUN": (
        "0",
        "'0' is no count: set BOURSOMATIC_SESSIONS_PER_RUN to a number from 1 on",
    ),
    "BOURSOMATIC_LOCK_WAIT": ("0", "'0' is no count: set BOURSOMATIC_LOCK_WAIT to a number from 1 on"),
    "BOURSOMATIC_SIMULATED_INSTRUMENTS": ("-1", "set BOURSOMATIC_SIMULATED_INSTRUMENTS to a number from 1 on"),
    "BOURSOMATIC_SIMULATED_SEED": (
        "-1",
        "'-1' is no seed: set BOURSOMATIC_SIMULATED_SEED to a whole number from 0",
    ),
    "BOURSOMATIC_SIMULATED_SIGNAL": (
        "2.1",
        "'2.1' is no strength: set BOURSOMATIC_SIMULATED_SIGNAL to a number from 0 (nothing can be predicted)",
    ),
    "BOURSOMATIC_METRICS": (
        "127.0.0.1",
        "'127.0.0.1' is no address: set BOURSOMATIC_METRICS to a host and a port, like 127.0.0.1:9464",
    ),
    "BOURSOMATIC_START": ("2024-02-30", "'2024-02-30' is no date: set BOURSOMATIC_START to YYYY-MM-DD"),
    "BOURSOMATIC_YES": ("yes", "'yes' is not known: set BOURSOMATIC_YES to 0 or 1"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("command", ["backfill", "materialize features 2024-02-28 US", "refresh", "dev"])
def test_an_invalid_value_is_refused_before_any_work(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str, name: str
) -> None:
    value, message = WRONG[name]
    monkeypatch.setenv(name, value)
    assert message in error_line(boursomatic(*command.split()))
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("[::1]:1", ("::1", 1)),
        ("bars.example.com:65535", ("bars.example.com", 65535)),
        ("", None),
    ],
)
def test_an_address_to_listen_at_is_a_host_and_a_port(
    monkeypatch: pytest.MonkeyPatch, text: str, address: tuple[str, int] | None
) -> None:
    monkeypatch.setenv("BOURSOMATIC_METRICS", text)
    assert settings.metrics_address() == address


@pytest.mark.parametrize("text", ["127.0.0.1:0", "127.0.0.1:65536", "::1:9464", "http://127.0.0.1:9464", ":9464"])
def test_what_is_no_host_and_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("BOURSOMATIC_METRICS", text)
    with pytest.raises(settings.SettingError, match="is no address: set BOURSOMATIC_METRICS"):
        settings.metrics_address()


@pytest.mark.parametrize("date", ["1989-12-31", "2999-01-04"])
def test_a_first_date_that_no_calendar_has_is_refused(monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    monkeypatch.setenv("BOURSOMATIC_START", date)
    with pytest.raises(
        settings.SettingError, match=f"^{date} is no first date: set BOURSOMATIC_START to one from 1990-"
    ):
        settings.start()


@pytest.mark.calendar
def test_the_first_date_may_be_today_and_not_in_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    today = dt.datetime.now(dt.UTC).date()
    monkeypatch.setenv("BOURSOMATIC_START", f"{today}")
    assert settings.start() == today
    monkeypatch.setenv("BOURSOMATIC_START", f"{today + dt.timedelta(days=2)}")
    with pytest.raises(settings.SettingError, match=r"set BOURSOMATIC_START to one from 1990-01-02 to "):
        settings.start()


@pytest.mark.parametrize("command", ["backfill", "status", "db upgrade"])
def test_a_home_that_is_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    (tmp_path / "home").write_text("in the way")
    monkeypatch.setenv("BOURSOMATIC_HOME", str(tmp_path / "home"))
    message = f"{tmp_path}/home is no folder to write in (it is a file): set BOURSOMATIC_HOME to one of yours"
    assert message in error_line(boursomatic(*command.split()))


def test_a_home_without_write_permission_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_HOME", "/proc/home")
    assert "/proc/home is no folder to write in (no such file" in error_line(boursomatic("status"))


def test_doctor_names_every_setting_that_is_wrong(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://ann@127.0.0.1:1/boursomatic")
    for name, (value, _) in WRONG.items():
        monkeypatch.setenv(name, value)
    (line,) = [line for line in boursomatic("doctor").output.splitlines() if line.startswith("FAIL  settings")]
    assert all(message in line for _, message in WRONG.values())


def test_an_unset_or_empty_variable_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WRONG:
        monkeypatch.setenv(name, "")
    assert (settings.language(), settings.start()) == ("en", dt.date(2000, 1, 3))
    assert (settings.simulated_instruments(), settings.extended_hours()) == (24, False)
    assert str(settings.Settings().BOURSOMATIC_START) == "2000-01-03"
    settings.require_valid()


def test_all_errors_are_reported_together(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BOURSOMATIC_LANGUAGE", "BOURSOMATIC_YES"):
        monkeypatch.setenv(name, WRONG[name][0])
    with pytest.raises(settings.SettingError) as raised:
        settings.require_valid()
    assert str(raised.value) == "; ".join(WRONG[name][1] for name in ("BOURSOMATIC_LANGUAGE", "BOURSOMATIC_YES"))


def test_a_wrong_variable_stops_only_its_readers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_SESSIONS_PER_RUN", "none")
    monkeypatch.setenv("BOURSOMATIC_SIMULATED_INSTRUMENTS", "7")
    assert (settings.home(), settings.simulated_instruments()) == (home, 7)
    with pytest.raises(settings.SettingError, match=r"^'none' is no count"):
        settings.sessions_per_run()


def test_a_variable_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for language in ("fr", "en"):
        monkeypatch.setenv("BOURSOMATIC_LANGUAGE", language)
        assert settings.language() == language


def test_names_of_variables_are_case_sensitive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("boursomatic_language", "fr")
    assert settings.Settings().BOURSOMATIC_LANGUAGE == "en"


@pytest.mark.parametrize("text", ["-0.5", "nan", "inf", "1e0", "strong", "2.0001"])
def test_a_strength_that_no_signal_has_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("BOURSOMATIC_SIMULATED_SIGNAL", text)
    with pytest.raises(settings.SettingError, match=f"^'{text}' is no strength"):
        settings.simulated_signal()


def test_the_simulated_market_is_that_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def bars(source: Source | None = None) -> pl.DataFrame:
        asked = MARKETS["US"], dt.datetime(2020, 1, 1), dt.datetime(2020, 2, 1)
        return (source or open_source("simulated")).bars(*asked)

    assert bars().equals(bars(Simulated(24, 7, signal=1)))
    monkeypatch.setenv("BOURSOMATIC_SIMULATED_INSTRUMENTS", "3")
    monkeypatch.setenv("BOURSOMATIC_SIMULATED_SEED", "8")
    monkeypatch.setenv("BOURSOMATIC_SIMULATED_SIGNAL", "0")
    assert bars().equals(bars(Simulated(3, 8, signal=0)))
    monkeypatch.setenv("BOURSOMATIC_SIMULATED_SIGNAL", "0.25")
    assert not bars().equals(bars(Simulated(3, 8, signal=0)))


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DAGSTER_DATABASE_URL"])
@pytest.mark.parametrize(
    "behind",
    [
        f"ann:pass@{SECRET}@host/prices",
        f"ann:pass@{SECRET}/x@host/prices",
        f"ann:pass@x:{SECRET}@host/prices",
        f"ann:pass@x?{SECRET}@host/prices",
        f"ann:x@host:{SECRET}/prices",
        f"ann:pass@host?password={SECRET}",
        f"ann:%ff{SECRET}@host/prices",
        f"ann:%00{SECRET}@host/prices",
    ],
)
def test_a_wrong_address_is_refused_by_the_name_of_its_variable_and_nothing_of_it_is_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, behind: str
) -> None:
    """The rest of a password with an @ in it would be shown as the host, or as the database."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann@host/prices")
    monkeypatch.setenv(variable, f"postgresql://{behind}")
    with pytest.raises(database.DatabaseError, match=f"^{variable} ") as raised:
        database.dagster_url() if variable.startswith("DAGSTER") else database.database_url()
    told = str(raised.value).replace(settings.variables.EXAMPLE, "")
    assert not any(part in told for part in (SECRET, "ann", "@host", "prices"))


def test_the_repr_of_settings_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "DAGSTER_DATABASE_URL"):
        monkeypatch.setenv(name, f"postgresql://ann:{SECRET}@host/prices")
    monkeypatch.setenv("BOURSOMATIC_STOOQ_KEY", SECRET)
    assert SECRET not in repr(settings.Settings())
    assert settings.stooq_key() == SECRET


def test_each_language_has_its_wording() -> None:
    assert settings.Settings.model_fields["BOURSOMATIC_LANGUAGE"].annotation == settings.Language
    assert tuple(WORDINGS) == ("en", "fr") == settings.Language.__args__


def test_the_documented_table_is_the_commands_output() -> None:
    document = (PACKAGE.parent / "docs" / "settings.md").read_text()
    table = [line for line in document.splitlines() if line.startswith("|")]
    assert table == boursomatic("settings", "--markdown").stdout.splitlines()


ROOM = {Path("settings", name) for name in ("environment.py", "variables.py")}
ENVIRONMENT_NAMES = {"getenv", "environ", "environb", "EnvVar"}
SOURCES = sorted({path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")} - ROOM)


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    """Other rooms may set variables for their children and for libraries, and pass the whole environment on."""
    tree = ast.parse((PACKAGE / path).read_text())
    assert [ast.unparse(node) for node in environment_reads(tree)] == []


@pytest.mark.parametrize(
    ("code", "is_read"),
    [
        ("os.environ['A'] = 'b'", False),
        ("os.environ.setdefault('A', 'b')", False),
        ("run(env=os.environ | secret)", False),
        ("os.environ['A']", True),
        ("os.environ.get('A')", True),
        ("'A' in os.environ", True),
        ("os.getenv('A')", True),
        ("from os import environ", True),
        ("dg.EnvVar('A')", True),
    ],
)
def test_the_search_finds_reads_and_not_writes(code: str, is_read: bool) -> None:
    assert bool(list(environment_reads(ast.parse(code)))) == is_read


def environment_reads(tree: ast.AST) -> Iterator[ast.AST]:
    """Each use of the environment, without those that write a variable or pass all of them on."""
    allowed = {
        id(part) for node in ast.walk(tree) for part in ast.iter_child_nodes(node) if writes_or_passes_on(node)
    }
    for node in ast.walk(tree):
        names = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set()
        name = getattr(node, "attr", getattr(node, "id", None))
        if id(node) not in allowed and ENVIRONMENT_NAMES & {name, *names}:
            yield node


def writes_or_passes_on(node: ast.AST) -> bool:
    match node:
        case ast.Subscript(ctx=ast.Store()) | ast.Attribute(attr="setdefault") | ast.BinOp(op=ast.BitOr()):
            return True
    return False


def test_the_settings_import_nothing_of_the_package() -> None:
    loaded = "import sys, boursomatic_assets.settings; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("boursomatic_assets")}
    assert ours - {"boursomatic_assets"} == {
        "boursomatic_assets.settings",
        "boursomatic_assets.settings.addresses",
        "boursomatic_assets.settings.environment",
        "boursomatic_assets.settings.first_partition",
        "boursomatic_assets.settings.values",
        "boursomatic_assets.settings.variables",
    }
    assert not {"sqlalchemy", "polars", "dagster"} & set(done.stdout.split())


def test_relative_folders_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_FILES", "bars")
    monkeypatch.setenv("BOURSOMATIC_ARCHIVE", "~/archive")
    monkeypatch.setenv("BOURSOMATIC_STORE", "store")
    monkeypatch.chdir(tmp_path)
    settings.make_paths_absolute()
    assert os.environ["BOURSOMATIC_STORE"] == f"{tmp_path}/store"
    assert os.environ["BOURSOMATIC_FILES"] == f"{tmp_path}/bars"
    assert os.environ["BOURSOMATIC_ARCHIVE"] == str(Path.home() / "archive")


def test_models_and_archive_lie_in_the_home_unless_there_is_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_HOME", str(tmp_path))
    assert (settings.store(), settings.archive()) == (str(tmp_path), f"{tmp_path}/archive")
    monkeypatch.setenv("BOURSOMATIC_STORE", "s3://bucket/prefix/")
    settings.make_paths_absolute()
    assert (settings.store(), settings.archive()) == ("s3://bucket/prefix", "s3://bucket/prefix/archive")
    monkeypatch.setenv("BOURSOMATIC_ARCHIVE", str(tmp_path / "bars"))
    assert (settings.store(), settings.archive()) == ("s3://bucket/prefix", f"{tmp_path}/bars")


def test_the_daemons_first_start_logs_no_needless_warning(caplog: pytest.LogCaptureFixture) -> None:
    from boursomatic_assets.orchestration.dagster_patches import storage  # noqa: F401 - as the daemon has it

    logger = logging.getLogger("dagster.daemon.EventLogConsumerDaemon")
    logger.warning("No cursor for event type RUN_FAILURE, ignoring older events")
    logger.warning("the server is gone")
    assert [record.message for record in caplog.records] == ["the server is gone"]


@pytest.fixture
def recorded(home: Path, monkeypatch: pytest.MonkeyPatch) -> dt.date:
    """What a home with simulated bars on its own server has recorded."""
    for variable in ("BOURSOMATIC_START", "BOURSOMATIC_SOURCE", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    date = dt.date(2024, 6, 10)
    settings.first_partition.record(home, date)
    return date


def test_a_home_with_simulated_bars_begins_where_it_has_recorded(recorded: dt.date) -> None:
    assert settings.start() == recorded


@pytest.mark.parametrize(
    ("variable", "value", "start"),
    [
        ("BOURSOMATIC_START", "2010-01-04", dt.date(2010, 1, 4)),
        ("BOURSOMATIC_SOURCE", "files", dt.date(2000, 1, 3)),
        ("DATABASE_URL", "postgresql://ann@elsewhere/bars", dt.date(2000, 1, 3)),
    ],
)
def test_what_is_stated_and_what_others_may_share_counts_before_the_record(
    recorded: dt.date, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, start: dt.date
) -> None:
    monkeypatch.setenv(variable, value)
    assert settings.start() == start


def test_a_record_that_is_no_date_is_named(recorded: dt.date, home: Path) -> None:
    (home / "first_partition").write_text("soon\n")
    with pytest.raises(settings.SettingError, match=r"first_partition holds no date: delete it"):
        settings.start()


def test_nothing_is_made_where_no_home_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_HOME", str(tmp_path / "none"))
    settings.start()
    assert list(tmp_path.iterdir()) == []
