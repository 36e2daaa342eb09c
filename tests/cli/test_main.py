"""The command line as a whole: a refused command prints one line, exits with a failure and changes nothing."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from worlds.commands import DAY, SECRET, boursomatic, error_line
from worlds.platform import contents, execute

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.cli.main import main
from boursomatic_assets.vocabulary import MARKET_NAMES

NEAREST = "the nearest session with recommendations is"


BAD_REQUESTS = {
    "recommendations --symbol NOPE": "there is no instrument 'NOPE'",
    f"bars NOPE --from {DAY}": "no daily bars of 'NOPE' are known for these dates",
    f"bars SIMU001 --from {DAY} --known-at 2020-01-01": "no daily bars of 'SIMU001' are known for these dates",
    f"bars SIMU001 --from {DAY} --known-at noon": "'noon' does not match",
    "reload NOPE": "'NOPE' has no bars",
    "recommendations --market MARS": "'MARS' is not one of",
    "recommendations --profile reckless": "'reckless' is not one of",
    "recommendations --date 2023-03-15": f"there are no such recommendations of 2023-03-15: {NEAREST} 2023-08-01",
    "recommendations --date 2024-01-15 --market US": f"2024-01-15 is no session of US: {NEAREST} 2024-01-16",
    "recommendations --date 2023-12-25": f"2023-12-25 is no session of US or EURONEXT: {NEAREST} 2023-12-26",
    "recommendations --date 2999-01-04": f"2999-01-04 is in the future: {NEAREST} 2024-02-29",
    "recommendations --date 1999-12-31": f"is before the first partition, 2000-01-03: {NEAREST} 2023-08-01",
    "recommendations --date 15/03/2024": "is no date: write YYYY-MM-DD",
    "recommendations --date 2024-02-30": "is no date: write YYYY-MM-DD",
    f"materialize prices {DAY} US": "there is no asset 'prices': choose from",
    f"materialize users {DAY} US": "there is no asset 'users': choose from",
    f"materialize features {DAY} us": "'us' is not one of",
    "materialize features 1999-12-31 US": "1999-12-31 is before the first partition, 2000-01-03",
    "materialize features 2999-01-04 US": "2999-01-04 is in the future",
    "materialize features 2024-02-24 US": "no market trades between 2024-02-24 and 2024-02-24",
    "materialize features yesterday US": "is no date: write YYYY-MM-DD",
    f"backfill --from {DAY} --to {DAY} --assets features,prices": "there is no asset 'prices'",
    f"backfill --from {DAY} --to 2024-02-27": "the range is empty: 2024-02-28 is after 2024-02-27",
    f"archive restore --from {DAY} --to 2024-02-27 --market US": "the range is empty: 2024-02-28 is after",
    f"backfill --from {DAY} --to {DAY} --assets bars,features,x": "there is no asset 'bars' or 'x': choose from",
    f"backfill --from {DAY} --to {DAY} --assets features,": "there is no asset '': choose from instruments,",
    "backfill --from 1999-12-31 --to 2024-02-28": "is before the first partition",
    "backfill --from 2024-02-28 --to 2999-01-04": "is in the future",
    "backfill --market MARS": "'MARS' is not one of",
    "db rollback": "this drops rows for good",
    "db recreate": "this drops rows for good",
}


@pytest.mark.parametrize("command", BAD_REQUESTS)
def test_a_bad_request_is_refused_and_changes_nothing(readable: Engine, command: str) -> None:
    assert BAD_REQUESTS[command] in error_line(boursomatic(*command.split()))


COMMANDS = (
    f"materialize features {DAY} US",
    f"backfill --from {DAY} --to {DAY}",
    f"archive restore --from {DAY} --to {DAY} --market US",
    "recommendations",
    "track-record",
    "status",
)


@pytest.mark.parametrize(
    "command", [*COMMANDS, "db status", "db rollback --yes", "db recreate --yes", "db upgrade"]
)
def test_a_missing_server_is_reported_without_the_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql+psycopg://ann:{SECRET}@127.0.0.1:1/boursomatic")
    result = boursomatic(*command.split())
    assert "the server at 127.0.0.1:1 does not answer" in error_line(result)
    assert SECRET not in result.output


@pytest.mark.parametrize("command", [*COMMANDS, "db status"])
def test_a_wrong_password_is_reported_without_it(
    filled: Engine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    url = filled.url.set(password=SECRET)
    query = {name: value for name, value in url.query.items() if name != "passfile"}
    wrong = url.set(query=query).render_as_string(hide_password=False)
    for variable in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        monkeypatch.setenv(variable, wrong)
    result = boursomatic(*command.split())
    assert f"refused the password of user {url.username}" in error_line(result)
    assert SECRET not in result.output


BROKEN_VIEW = (
    "DROP TABLE delivered_sessions;"
    " CREATE VIEW delivered_sessions AS SELECT 'US' AS market, 'daily' AS interval, now() AS session, 1 AS kept,"
)


DISK_FULL = "RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full' USING ERRCODE = '53100'; END $$"


FAILURES = {
    "DROP TABLE delivered_sessions": (
        'the database says: relation "delivered_sessions" does not exist: see with `boursomatic db status`'
    ),
    f"{BROKEN_VIEW} pg_terminate_backend(pg_backend_pid()) AS provisional": (
        "the database says: terminating connection due to administrator command: see with `boursomatic doctor`"
    ),
    f"CREATE FUNCTION disk() {DISK_FULL}; {BROKEN_VIEW} disk() AS provisional": (
        "the database says: disk full: give the server what it lacks"
    ),
}


@pytest.mark.parametrize("breaking", FAILURES, ids=["a table is gone", "the session is ended", "the disk is full"])
def test_a_failed_statement_is_one_line_with_its_remedy(migrated: Engine, breaking: str) -> None:
    execute(migrated, breaking)
    if "VIEW" in breaking:
        execute(migrated, "GRANT SELECT ON delivered_sessions TO PUBLIC")
    assert FAILURES[breaking] in error_line(boursomatic("status"))


@pytest.mark.parametrize(
    "address", [f"mysql://ann:{SECRET}@host/db", f"ann:{SECRET}@host", f"postgresql://ann:{SECRET}@host:x/db"]
)
def test_an_invalid_address_is_refused_without_the_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    result = boursomatic("status")
    assert "DATABASE_URL" in error_line(result)
    assert SECRET not in result.output


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("revision", "remedy"), [("0001", "boursomatic db upgrade"), ("zzzz", "update this checkout")]
)
def test_a_schema_at_another_revision_is_refused(
    dagster_home: Engine, revision: str, remedy: str, command: str
) -> None:
    execute(dagster_home, f"UPDATE alembic_version SET version_num = '{revision}'")
    before = contents(dagster_home)
    line = error_line(boursomatic(*command.split()))
    assert f"is at revision {revision}" in line
    assert remedy in line
    assert contents(dagster_home) == before


@pytest.mark.parametrize("name", main.commands)
def test_a_command_says_what_it_does(name: str) -> None:
    first_line = (main.commands[name].help or "").splitlines()[0]
    assert first_line in " ".join(boursomatic(name, "--help").output.split())


def test_the_markets_of_the_options_are_those_of_the_calendars() -> None:
    assert tuple(MARKETS) == MARKET_NAMES
