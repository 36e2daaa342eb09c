"""The command line: what it answers, and how it refuses: one line, a failing exit code, nothing changed."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from platform_of import INSTRUMENTS, contents, execute, rows
from sqlalchemy import Engine, make_url

from boursomatic_assets import absorbed, diagnosis, runs, slices, views
from boursomatic_assets.cli import main
from boursomatic_assets.io_manager import PostgresIOManager

SECRET = "s3cret-p4ss"
DAY = "2024-02-28"


def boursomatic(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def refusal(result: Result) -> str:
    """The one line on stderr of a command that refused."""
    assert result.exit_code != 0
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("Usage:", "Try ")) and line]
    assert len(lines) == 1, result.stderr
    assert lines[0].lower().startswith("error: ")
    assert "Traceback" not in result.output
    return lines[0]


@pytest.fixture
def dagster_home(filled: Engine, dagster_instance: object, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The filled platform, with Dagster's storage beside it."""
    return filled


NEAREST = "the nearest session with advice is"
UNCHANGED = {
    "recommendations --symbol NOPE": "there is no instrument 'NOPE'",
    f"bars NOPE --from {DAY}": "no daily bars of 'NOPE' are known for that",
    f"bars SIMU001 --from {DAY} --known-at 2020-01-01": "no daily bars of 'SIMU001' are known for that",
    f"bars SIMU001 --from {DAY} --known-at noon": "'noon' does not match",
    "reload NOPE": "'NOPE' has no bars",
    "recommendations --market MARS": "'MARS' is not one of",
    "recommendations --profile reckless": "'reckless' is not one of",
    "recommendations --date 2023-03-15": f"nothing was advised for that on 2023-03-15: {NEAREST} 2023-08-01",
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
    f"restore --from {DAY} --to 2024-02-27 --market US": "the range is empty: 2024-02-28 is after 2024-02-27",
    f"backfill --from {DAY} --to {DAY} --assets bars,features,x": "there is no asset 'bars' or 'x': choose from",
    f"backfill --from {DAY} --to {DAY} --assets features,": "there is no asset '': choose from instruments,",
    "backfill --from 1999-12-31 --to 2024-02-28": "is before the first partition",
    "backfill --from 2024-02-28 --to 2999-01-04": "is in the future",
    "backfill --market MARS": "'MARS' is not one of",
    "db rollback": "this drops rows for good",
    "db recreate": "this drops rows for good",
}


@pytest.mark.parametrize("command", UNCHANGED)
def test_a_bad_request_is_refused_and_changes_nothing(dagster_home: Engine, command: str) -> None:
    before = contents(dagster_home)
    assert UNCHANGED[command] in refusal(boursomatic(*command.split()))
    assert contents(dagster_home) == before


def test_a_session_that_is_not_over_is_refused(dagster_home: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "_now", lambda: dt.datetime(2024, 2, 28, 17))
    for words in (("materialize", "price_bars", DAY, "US"), ("backfill", "--from", DAY, "--to", DAY)):
        assert f"the US session {DAY} closes at {DAY} 21:00 UTC" in refusal(boursomatic(*words))


ALL = (
    f"materialize features {DAY} US",
    f"backfill --from {DAY} --to {DAY}",
    f"restore --from {DAY} --to {DAY} --market US",
    "recommendations",
    "track-record",
    "status",
)


@pytest.mark.parametrize("command", [*ALL, "db status", "db rollback --yes", "db recreate --yes", "db upgrade"])
def test_a_server_that_is_not_there_is_named_without_the_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql+psycopg://ann:{SECRET}@127.0.0.1:1/boursomatic")
    result = boursomatic(*command.split())
    assert "the server at 127.0.0.1:1 does not answer" in refusal(result)
    assert SECRET not in result.output


@pytest.mark.parametrize("command", [*ALL, "db status"])
def test_a_wrong_password_is_said_without_it(
    filled: Engine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    url = filled.url.set(password=SECRET)
    query = {name: value for name, value in url.query.items() if name != "passfile"}
    monkeypatch.setenv("DATABASE_URL", url.set(query=query).render_as_string(hide_password=False))
    result = boursomatic(*command.split())
    assert f"refused the password of user {url.username}" in refusal(result)
    assert SECRET not in result.output


FAILING = (
    "DROP TABLE delivered_sessions; CREATE VIEW delivered_sessions AS SELECT 'US' AS market, now() AS session,"
)
FULL = "RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full' USING ERRCODE = '53100'; END $$"
FAILS = {
    "DROP TABLE delivered_sessions": (
        'the database says: relation "delivered_sessions" does not exist: see with `boursomatic db status`'
    ),
    f"{FAILING} pg_terminate_backend(pg_backend_pid()) AS provisional": (
        "the database says: terminating connection due to administrator command: see with `boursomatic doctor`"
    ),
    f"CREATE FUNCTION disk() {FULL}; {FAILING} disk() AS provisional": (
        "the database says: disk full: give the server what it lacks"
    ),
}


@pytest.mark.parametrize("breaking", FAILS, ids=["a table is gone", "the session is ended", "the disk is full"])
def test_a_statement_that_fails_is_one_line_that_says_what_to_do(migrated: Engine, breaking: str) -> None:
    execute(migrated, breaking)
    assert FAILS[breaking] in refusal(boursomatic("status"))


@pytest.mark.parametrize(
    "address", [f"mysql://ann:{SECRET}@host/db", f"ann:{SECRET}@host", f"postgresql://ann:{SECRET}@host:x/db"]
)
def test_an_address_that_is_none_is_refused_without_the_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    result = boursomatic("status")
    assert "DATABASE_URL" in refusal(result)
    assert SECRET not in result.output


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize(
    ("revision", "remedy"), [("0001", "boursomatic db upgrade"), ("zzzz", "update this checkout")]
)
def test_a_schema_of_other_code_is_refused(dagster_home: Engine, revision: str, remedy: str, command: str) -> None:
    execute(dagster_home, f"UPDATE alembic_version SET version_num = '{revision}'")
    before = contents(dagster_home)
    line = refusal(boursomatic(*command.split()))
    assert f"is at revision {revision}" in line
    assert remedy in line
    assert contents(dagster_home) == before


def broken_folder(tmp_path: Path, problem: str) -> Path:
    folder = tmp_path / "bars"
    if problem != "is no folder":
        folder.mkdir()
    if problem == "are missing":
        (folder / "bars.csv").write_text("symbol,exchange,ts,o,h,l,c\nA,NYSE,2024-02-28,1,1,1,1\n")
    return folder


@pytest.mark.parametrize("problem", ["is no folder", "holds no file with bars", "are missing"])
def test_a_folder_that_cannot_be_read_fails_the_run(
    dagster_home: Engine, tmp_path: Path, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = broken_folder(tmp_path, problem)
    monkeypatch.setenv("BOURSOMATIC_FILES", str(folder))
    before = contents(dagster_home)
    result = boursomatic("materialize", "price_bars", DAY, "US")
    assert result.exit_code == 1
    problem_line, error = result.stderr.splitlines()[-2:]
    assert problem in problem_line
    assert error.startswith("error: the run failed: instruments, price_bars")
    assert "Traceback" not in result.output
    assert contents(dagster_home) == before


def test_a_source_that_does_not_exist_fails_the_run(dagster_home: Engine) -> None:
    """In a process of its own, since the choice of a source is read when the platform is loaded."""
    before = contents(dagster_home)
    code = "from boursomatic_assets.cli import main; main()"
    command = [sys.executable, "-c", code, "materialize", "price_bars", DAY, "US"]
    environment = os.environ | {"BOURSOMATIC_SOURCE": "crystal_ball"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "there is no source 'crystal_ball': set BOURSOMATIC_SOURCE to simulated, files" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the run failed: instruments, price_bars")
    assert "Traceback" not in done.stderr
    assert contents(dagster_home) == before


def test_a_damaged_model_file_fails_the_run(dagster_home: Engine, home: Path) -> None:
    for path in (home / "models").iterdir():
        path.write_text("tree\n")
    before = contents(dagster_home)
    result = boursomatic("materialize", "recommendations", DAY, "US")
    assert result.exit_code == 1
    assert "is damaged" in result.stderr.splitlines()[-2]
    assert result.stderr.splitlines()[-1].startswith("error: the run failed: recommendations")
    assert contents(dagster_home) == before


# --- what is answered


def test_one_partition_is_computed(dagster_home: Engine) -> None:
    execute(dagster_home, f"DELETE FROM features WHERE ts = '{DAY}'")
    result = boursomatic("materialize", "features", DAY, "US")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("[1/1] features")
    assert len(rows(dagster_home, f"SELECT FROM features WHERE ts = '{DAY}'")) == INSTRUMENTS


def test_assets_may_be_listed_with_spaces(dagster_home: Engine) -> None:
    result = boursomatic(
        "backfill", "--from", DAY, "--to", DAY, "--market", "US", "--assets", "price_bars, features"
    )
    assert result.exit_code == 0, result.output
    assert "[1/1] instruments, price_bars, features " in result.output


def test_who_loads_one_market_alone_is_told_once_that_models_learn_from_both(dagster_home: Engine) -> None:
    asked = ("backfill", "--from", "2024-02-27", "--to", DAY, "--market", "US")
    assert boursomatic(*asked, "--assets", "model_versions").stderr == ""
    execute(dagster_home, "DELETE FROM computed_sessions WHERE asset = 'features' AND market = 'EURONEXT'")
    (warning,) = boursomatic(*asked, "--assets", "model_versions").stderr.splitlines()
    assert warning.startswith("warning: EURONEXT has features on 0 of its 2 sessions in this range")
    assert (
        "boursomatic backfill --market EURONEXT --assets instruments,price_bars,features --from 2024-02-27"
        in warning
    )
    assert boursomatic(*asked, "--assets", "features").stderr == ""


def test_json_is_what_the_table_holds(filled: Engine) -> None:
    shown = json.loads(boursomatic("recommendations", "--json").stdout)
    active = rows(
        filled,
        "SELECT symbol, exchange, profile, label, confidence, expected_return_pct, horizon_days, stop_loss,"
        " take_profit, to_char(r.as_of, 'YYYY-MM-DD\"T\"HH24:MI:SS') AS as_of, version, justification"
        " FROM recommendations r"
        " JOIN instruments i ON i.id = r.instrument_id JOIN model_versions m ON m.id = r.model_version_id"
        " WHERE r.is_active ORDER BY exchange, symbol, profile",
    )
    assert shown == active
    assert len(shown) == 2 * INSTRUMENTS * 3


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--profile", "moderate"), 2 * INSTRUMENTS),
        (("--market", "US"), 3 * INSTRUMENTS),
        (("--symbol", "SIMU001"), 3),
        (("--date", "2024-01-10"), 6 * INSTRUMENTS),
        (("--date", "2024-01-15"), 3 * INSTRUMENTS),
        (("--date", "2024-01-10", "--market", "EURONEXT", "--profile", "aggressive"), INSTRUMENTS),
    ],
)
def test_advice_is_narrowed_to_what_is_asked_for(filled: Engine, words: tuple[str, ...], count: int) -> None:
    shown = json.loads(boursomatic("recommendations", "--json", *words).stdout)
    assert len(shown) == count
    asked = dict(zip(words[::2], words[1::2], strict=True))
    for row in shown:
        assert row["as_of"].startswith(asked.get("--date", "2024-02-29"))
        assert row["profile"] == asked.get("--profile", row["profile"])
        assert row["symbol"] == asked.get("--symbol", row["symbol"])


def test_the_table_shows_every_advice(filled: Engine) -> None:
    result = boursomatic("recommendations")
    assert result.exit_code == 0
    lines = [line for line in result.output.splitlines() if "SIM" in line]
    assert len(lines) == 6 * INSTRUMENTS
    for label in ("2024-02-29", "v2024.02.01"):
        assert all(label in line for line in lines)


def test_while_no_version_speaks_the_language_that_is_set_says_why(
    dagster_home: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = ("--date", "2023-09-05", "--market", "US", "--json")
    (said,) = {row["justification"] for row in json.loads(boursomatic("recommendations", *day).stdout)}
    assert said.startswith(
        "HOLD: no model is admitted to advise. Version v2023.09.01, examined on 2023-09-01, was refused: its"
    )
    monkeypatch.setenv("BOURSOMATIC_LANGUAGE", "fr")
    assert boursomatic("materialize", "recommendations", "2023-09-05", "US").exit_code == 0
    (said,) = {row["justification"] for row in json.loads(boursomatic("recommendations", *day).stdout)}
    assert said.startswith(
        "CONSERVER : aucun modèle n'est admis à conseiller. La version v2023.09.01, examinée le 2023-09-01, a été"
        " refusée : son historique compte"
    )
    assert "HOLD" not in said


HOLDS = {
    "as a row of HOLD has it": "stop_loss = NULL, take_profit = NULL",
    "with nothing that may be missing": "stop_loss = NULL, take_profit = NULL, expected_return_pct = NULL,"
    " horizon_days = NULL, justification = NULL",
}


@pytest.mark.parametrize("missing", HOLDS)
def test_advice_that_is_all_hold_is_shown(filled: Engine, missing: str) -> None:
    execute(filled, f"UPDATE recommendations SET label = 'HOLD', {HOLDS[missing]} WHERE is_active")
    result = boursomatic("recommendations")
    assert result.exit_code == 0, result.output
    assert len([line for line in result.output.splitlines() if "SIM" in line and " HOLD " in line]) == (
        6 * INSTRUMENTS
    )
    assert all(row["stop_loss"] is None for row in json.loads(boursomatic("recommendations", "--json").stdout))


def test_the_track_record_is_shown_as_tables_and_as_json(filled: Engine) -> None:
    shown = json.loads(boursomatic("track-record", "--market", "US", "--profile", "moderate", "--json").stdout)
    scored = (
        "SELECT label, count(*) AS n FROM track_record t JOIN instruments i ON i.id = t.instrument_id"
        " WHERE exchange <> 'EURONEXT' AND profile = 'moderate' GROUP BY label ORDER BY label"
    )
    assert [{"label": row["label"], "n": row["n"]} for row in shown["labels"]] == rows(filled, scored)
    result = boursomatic("track-record", "--market", "US", "--profile", "moderate")
    assert all(f"| moderate   {row['label']}" in result.output for row in shown["labels"])
    assert result.output.endswith(f"\nexpected calibration error {shown['calibration_error']:.3f}\n")


def test_a_track_record_whose_outcomes_are_not_known_is_shown(filled: Engine) -> None:
    execute(
        filled,
        "UPDATE track_record SET outcome = NULL, hit = NULL, realised_return_pct = NULL,"
        " first_touched = NULL, touched_on = NULL",
    )
    result = boursomatic("track-record")
    assert result.exit_code == 0, result.output
    assert "| moderate       HOLD " in result.output
    assert "calibration error" not in result.output
    assert json.loads(boursomatic("track-record", "--json").stdout)["bins"] == []


def test_without_any_advice_it_is_said_what_to_do(migrated: Engine) -> None:
    for date in ((), ("--date", DAY)):
        assert "`boursomatic backfill` makes advice" in refusal(boursomatic("recommendations", *date))


def test_without_a_track_record_it_is_said_what_to_do(migrated: Engine) -> None:
    assert "no advice has reached the end of its horizon" in refusal(boursomatic("track-record"))


def test_status_says_what_is_there(filled: Engine) -> None:
    result = boursomatic("status")
    assert result.exit_code == 0
    said = {line.partition(":")[0]: line.partition(":")[2].strip() for line in result.output.splitlines()}
    assert said["US"] == said["EURONEXT"] == "newest session 2024-02-29"
    assert said["model"] == "v2024.02.01"
    assert said["price_bars"] == f"{INSTRUMENTS * 588:,} rows"
    assert said["pending"] == "nothing"


def test_status_tells_the_newest_session_of_15m_bars_too(filled: Engine) -> None:
    """That of an evening's last bar, which is dated 2024-02-29 00:45, is the session of the 28th."""
    execute(
        filled,
        "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval) SELECT gen_random_uuid(), id,"
        " '2024-02-29 00:45', 1, 1, 1, 1, 1, '15m' FROM instruments WHERE exchange = 'NYSE' LIMIT 1",
    )
    said = boursomatic("status").output.splitlines()
    assert "US:               newest session 2024-02-29, with 15m bars 2024-02-28" in said
    assert "EURONEXT:         newest session 2024-02-29" in said


def test_a_file_that_cannot_be_understood_is_told_by_name(
    dagster_home: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(os.environ["BOURSOMATIC_FILES"], tmp_path / "bars")
    (tmp_path / "bars/notes.txt").write_text("nothing of interest\n")
    monkeypatch.setenv("BOURSOMATIC_FILES", str(tmp_path / "bars"))
    result = boursomatic("backfill", "--from", DAY, "--to", DAY, "--assets", "price_bars")
    assert result.exit_code == 0
    warnings = [line for line in result.output.splitlines() if "warn: price_bars.no_row_was_refused" in line]
    assert len(warnings) == 2
    assert all("file cannot be understood 1, refused notes.txt: " in line for line in warnings)
    assert [line[:29] for line in boursomatic("status").output.splitlines() if "notes.txt" in line] == [
        "rejected file:    notes.txt: "
    ]


CORRECTION = (
    "UPDATE computed_sessions SET changed_at = clock_timestamp() WHERE asset = 'price_bars' AND market = 'US'"
    " AND session >= '2024-02-28'"
)


def test_what_a_correction_makes_stale_is_said_and_refreshed(dagster_home: Engine) -> None:
    execute(dagster_home, CORRECTION)
    said = boursomatic("status").output
    assert "stale:            features US 2024-02-28 .. 2024-02-29 (2 sessions)" in said
    assert "stale:            recommendations US 2024-02-28 .. 2024-02-29 (2 sessions)" in said
    advice = "SELECT t.xmin::text, t.*::text FROM recommendations t ORDER BY id"
    before = rows(dagster_home, advice)
    result = boursomatic("refresh")
    assert result.exit_code == 0
    assert "[1/2] features                           US       2024-02-28 .. 2024-02-29" in result.output
    assert "[2/2] track_record                       US       2024-02-28 .. 2024-02-29" in result.output
    assert "stale:            features" not in boursomatic("status").output
    assert rows(dagster_home, advice) == before
    assert boursomatic("refresh").output == "no features or scores are stale\n"


def test_bars_are_shown_as_they_are_and_as_they_were(filled: Engine) -> None:
    told = boursomatic("bars", "SIMU001", "--from", DAY, "--json")
    assert [bar["ts"] for bar in json.loads(told.output)] == ["2024-02-28T00:00:00", "2024-02-29T00:00:00"]
    now = rows(filled, "SELECT clock_timestamp()::timestamp::text AS now")[0]["now"][:19]
    moment = (dt.datetime.fromisoformat(now) + dt.timedelta(seconds=1)).isoformat()
    assert boursomatic("bars", "SIMU001", "--from", DAY, "--json", "--known-at", moment).output == told.output
    assert (
        "are known for that" in boursomatic("bars", "SIMU001", "--from", DAY, "--known-at", f"{DAY}T12:30").output
    )
    table = boursomatic("bars", "SIMU001", "--from", DAY).output
    assert "known_from" in table
    assert table.count("SIMU001") == 2


def test_a_reload_delivers_the_whole_past_of_an_instrument(filled: Engine) -> None:
    (run,) = runs.of_whole_past("SIMU001")
    assert str(run).split() == ["instruments,", "price_bars", "US", "2023-01-03", "..", "2024-02-29"]


def test_status_tells_the_runs_that_absorbed_errors_the_newest_first(
    dagster_home: Engine, dagster_instance: dg.DagsterInstance, absorbed_errors: list[str]
) -> None:
    @dg.asset
    def absorbing() -> None:
        absorbed.record(ValueError("no answer"), "asked again")

    runs = [
        dg.materialize([absorbing], resources={"io_manager": PostgresIOManager()}, instance=dagster_instance)
        for _ in range(views.RUNS + 1)
    ]
    said = [line for line in boursomatic("status").output.splitlines() if line.startswith("absorbed:")]
    summary = "1 error, the first: asked again, after ValueError: no answer"
    assert said[0] == f"absorbed:         run {runs[-1].run_id[:8]}: {summary}"
    assert len(said) == views.RUNS + 1
    assert said[-1] == (
        "absorbed:         and 1 older runs: look for the tag boursomatic/absorbed_errors in the list of runs"
    )


def test_status_without_dagsters_database_tells_all_but_its_runs(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_DATABASE_URL", "postgresql://ann@127.0.0.1:1/dagster")
    result = boursomatic("status")
    assert result.exit_code == 0
    assert "v2024.02.01" in result.output
    assert "absorbed:         not known: the server at 127.0.0.1:1 does not answer" in result.output


def test_status_is_silent_about_runs_that_absorbed_nothing(dagster_home: Engine) -> None:
    assert "absorbed" not in boursomatic("status").output


def test_status_of_an_empty_platform_is_no_error(migrated: Engine) -> None:
    result = boursomatic("status")
    assert result.exit_code == 0
    assert "none is promoted yet" in result.output


def test_doctor_finds_a_sound_platform_sound(dagster_home: Engine) -> None:
    result = boursomatic("doctor")
    assert result.exit_code == 0, result.output
    assert "FAIL" not in result.output
    assert "v2024.02.01, its file is intact" in result.output


def test_doctor_shows_the_disk_of_the_embedded_database(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's database may lie elsewhere: PostgreSQL refuses to run as root."""
    (tmp_path / "elsewhere").mkdir()
    (home / "postgres").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(diagnosis, "_SUBJECTS", {"disk": diagnosis._SUBJECTS["disk"]})
    assert f" GiB free in {tmp_path}/elsewhere" in boursomatic("doctor").output
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://ann@host/boursomatic")
    assert "elsewhere" not in boursomatic("doctor").output


def test_doctor_names_each_thing_that_is_wrong(
    dagster_home: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (home / "models").iterdir():
        path.unlink()
    monkeypatch.setenv("BOURSOMATIC_SOURCE", "crystal_ball")
    execute(dagster_home, "UPDATE alembic_version SET version_num = '0001'")
    result = boursomatic("doctor")
    assert result.exit_code == 1
    failed = [line.removeprefix("FAIL").strip() for line in result.output.splitlines() if line.startswith("FAIL")]
    assert [line.split("  ")[0] for line in failed] == ["schema", "source of bars", "active model"]


def test_doctor_without_a_server_says_so_without_the_password(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql+psycopg://ann:{SECRET}@127.0.0.1:1/boursomatic")
    result = boursomatic("doctor")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "does not answer" in result.output
    assert SECRET not in result.output


def test_the_address_is_shown_without_its_password(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql+psycopg://ann:{SECRET}@host:5432/boursomatic")
    result = boursomatic("db", "url")
    assert result.exit_code == 0
    assert make_url(result.stdout.strip()).host == "host"
    assert SECRET not in result.output


def test_db_status_names_the_revision(migrated: Engine) -> None:
    assert boursomatic("db", "status").stdout.splitlines()[2] == "pending: nothing"


def test_rows_are_dropped_only_when_somebody_says_so(filled: Engine) -> None:
    line = refusal(boursomatic("db", "rollback"))
    assert f"{INSTRUMENTS * 588} in price_bars" in line
    assert "--yes" in line
    assert boursomatic("db", "recreate", "--yes").exit_code == 0
    assert not rows(filled, "SELECT FROM price_bars")
    assert boursomatic("db", "rollback").exit_code == 0, "empty tables need no word"
    assert "current: base" in boursomatic("db", "status").stdout
