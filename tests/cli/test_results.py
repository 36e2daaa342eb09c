"""Commands that show results: recommendations, the track record, bars, status."""

import csv
import datetime as dt
import io
import json

import dagster as dg
import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.commands import DAY, boursomatic, error_line
from worlds.platform import INSTRUMENTS, execute, rows

from boursomatic_assets import absorbed
from boursomatic_assets.cli.views import track_record
from boursomatic_assets.cli.views.operating import status
from boursomatic_assets.orchestration.io_manager import PostgresIOManager
from boursomatic_assets.tables.performance import to_percent_text
from boursomatic_assets.vocabulary import LABELS, PROFILES


def test_json_holds_the_active_recommendations(readable: Engine) -> None:
    shown = json.loads(boursomatic("recommendations", "--json").stdout)
    active = rows(
        readable,
        "SELECT symbol, exchange, profile, label, view, confidence, expected_return_pct, horizon_days, stop_loss,"
        " take_profit, to_char(r.as_of, 'YYYY-MM-DD\"T\"HH24:MI:SS') AS as_of, version, justification, r.id::text"
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
def test_recommendations_are_filtered_by_options(readable: Engine, words: tuple[str, ...], count: int) -> None:
    shown = json.loads(boursomatic("recommendations", "--json", *words).stdout)
    assert len(shown) == count
    options = dict(zip(words[::2], words[1::2], strict=True))
    for row in shown:
        assert row["as_of"].startswith(options.get("--date", "2024-02-29"))
        assert row["profile"] == options.get("--profile", row["profile"])
        assert row["symbol"] == options.get("--symbol", row["symbol"])


def test_buy_and_sell_come_first_and_hold_is_a_count(readable: Engine) -> None:
    labels = [row["label"] for row in rows(readable, "SELECT label FROM recommendations WHERE is_active")]
    output = boursomatic("recommendations").output
    shown = [line.split()[4] for line in output.splitlines() if "SIM" in line]
    assert shown == ["BUY"] * labels.count("BUY") + ["SELL"] * labels.count("SELL")
    assert min(map(labels.count, ("BUY", "SELL", "HOLD"))) > 0
    assert f"{labels.count('HOLD')} HOLD (aggressive " in output.splitlines()[-1]
    assert output.splitlines()[-1].endswith(": --all shows them")


@pytest.mark.parametrize("label", LABELS)
def test_rows_of_one_label_are_shown_each(readable: Engine, label: str) -> None:
    expected = rows(readable, "SELECT FROM recommendations WHERE is_active AND label = :label", label=label)
    lines = [
        line for line in boursomatic("recommendations", "--label", label).output.splitlines() if "SIM" in line
    ]
    assert [line.split()[4] for line in lines] == [label] * len(expected)


def test_of_one_symbol_the_horizon_and_the_reason_are_shown(readable: Engine) -> None:
    output = boursomatic("recommendations", "--symbol", "SIMU001").output
    of_one = json.loads(boursomatic("recommendations", "--symbol", "SIMU001", "--json").stdout)
    for row in of_one:
        horizon = f"SIMU001@{row['exchange']}, {row['profile']}, over {row['horizon_days']} sessions"
        assert f"{horizon}\n  {row['justification']}" in output


def test_csv_holds_what_json_holds(readable: Engine) -> None:
    listed = list(csv.DictReader(io.StringIO(boursomatic("recommendations", "--csv").stdout)))
    found = json.loads(boursomatic("recommendations", "--json").stdout)
    texts = [{name: "" if value is None else str(value) for name, value in row.items()} for row in found]
    numbers = {name for name, value in found[0].items() if isinstance(value, float)} | {"stop_loss", "take_profit"}
    exact = [{name: value for name, value in row.items() if name not in numbers} for row in listed]
    assert exact == [{name: value for name, value in row.items() if name not in numbers} for row in texts]
    assert [float(row["confidence"]) for row in listed] == [row["confidence"] for row in found]
    assert boursomatic("recommendations", "--csv", "--json").exit_code == 2


def test_all_recommendations_are_shown_on_request(readable: Engine) -> None:
    result = boursomatic("recommendations", "--all")
    assert result.exit_code == 0
    lines = [line for line in result.output.splitlines() if "SIM" in line]
    assert len(lines) == 6 * INSTRUMENTS
    for label in ("2024-02-29", "v2024.02.01"):
        assert all(label in line for line in lines)


def test_a_hold_without_a_view_is_told_apart_from_an_opinion(filled: Engine) -> None:
    of_one = "is_active AND instrument_id = (SELECT id FROM instruments WHERE symbol = 'SIMU001')"
    views = {"aggressive": "given", "moderate": "capped", "conservative": "none"}
    execute(
        filled,
        *(
            f"UPDATE recommendations SET label = 'HOLD', view = '{view}' WHERE {of_one} AND profile = '{profile}'"
            for profile, view in views.items()
        ),
    )
    lines = boursomatic("recommendations", "--symbol", "SIMU001").output.splitlines()
    shown = [line.split() for line in lines if line.startswith("| SIMU001 ")]
    assert {row[3]: (row[4], row[5]) for row in shown} == {name: ("HOLD", view) for name, view in views.items()}
    rows_ = json.loads(boursomatic("recommendations", "--symbol", "SIMU001", "--json").stdout)
    assert {row["profile"]: row["view"] for row in rows_} == views


def test_rows_of_a_program_that_knows_the_specification_alone_are_shown(filled: Engine) -> None:
    """Beside the platform's own, in every view; nothing is said that such rows do not say."""
    execute(
        filled,
        "INSERT INTO model_versions (id, version, params_hash, metrics_json)"
        " VALUES (gen_random_uuid(), 'v1.0.0', '0', '{\"accuracy\": 0.5}')",
        "INSERT INTO recommendations (id, instrument_id, model_version_id, profile, label, confidence,"
        " features_snapshot, generated_at) SELECT gen_random_uuid(), i.id, m.id, 'moderate', 'BUY', 0.9, '{}',"
        " '2024-02-29 21:30' FROM instruments i, model_versions m WHERE symbol = 'SIMU001' AND version = 'v1.0.0'",
    )
    shown = json.loads(boursomatic("recommendations", "--symbol", "SIMU001", "--json").stdout)
    assert [row["as_of"] for row in shown if row["version"] == "v1.0.0"] == ["2024-02-29T21:30:00"]
    for words in (("recommendations", "--date", "2024-02-29"), ("models", "list"), ("models", "show", "v1.0.0")):
        result = boursomatic(*words)
        assert (result.exit_code, "v1.0.0" in result.stdout) == (0, True)


def test_without_a_champion_the_justification_says_why_in_the_language_set(
    dagster_home: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = ("--date", "2023-09-05", "--market", "US", "--json")
    (justification,) = {row["justification"] for row in json.loads(boursomatic("recommendations", *day).stdout)}
    assert justification.startswith(
        "HOLD, without a view: no model is admitted to advise. Version v2023.09.01, examined on 2023-09-01, was"
        " refused: its"
    )
    monkeypatch.setenv("BOURSOMATIC_LANGUAGE", "fr")
    assert boursomatic("materialize", "recommendations", "2023-09-05", "US").exit_code == 0
    (justification,) = {row["justification"] for row in json.loads(boursomatic("recommendations", *day).stdout)}
    assert justification.startswith(
        "CONSERVER, sans avis : aucun modèle n'est admis à conseiller. La version v2023.09.01, examinée le"
        " 2023-09-01, a été refusée : son historique compte"
    )
    assert "HOLD" not in justification


HOLD_ROWS = {
    "without prices": "stop_loss = NULL, take_profit = NULL",
    "without all that may be null": "stop_loss = NULL, take_profit = NULL, expected_return_pct = NULL,"
    " horizon_days = NULL, justification = NULL",
}


@pytest.mark.parametrize("missing", HOLD_ROWS)
def test_recommendations_that_are_all_hold_are_shown(filled: Engine, missing: str) -> None:
    execute(filled, f"UPDATE recommendations SET label = 'HOLD', {HOLD_ROWS[missing]} WHERE is_active")
    assert "no BUY and no SELL" in boursomatic("recommendations").output
    result = boursomatic("recommendations", "--all")
    assert result.exit_code == 0, result.output
    assert len([line for line in result.output.splitlines() if "SIM" in line and " HOLD " in line]) == (
        6 * INSTRUMENTS
    )
    assert all(row["stop_loss"] is None for row in json.loads(boursomatic("recommendations", "--json").stdout))


def test_without_recommendations_the_error_names_the_remedy(migrated: Engine) -> None:
    for date in ((), ("--date", DAY)):
        assert "`boursomatic backfill` makes recommendations" in error_line(boursomatic("recommendations", *date))


def test_a_symbol_that_is_none_names_the_list_of_instruments(readable: Engine) -> None:
    line = error_line(boursomatic("recommendations", "--symbol", "NOPE"))
    assert line == "error: there is no instrument 'NOPE': `boursomatic instruments list` lists them"


def test_the_track_record_is_shown_as_tables_and_as_json(readable: Engine) -> None:
    shown = json.loads(boursomatic("track-record", "--market", "US", "--profile", "moderate", "--json").stdout)
    scored = (
        "SELECT label, view, count(*) AS n, avg(relative_return_pct) AS relative_pct FROM track_record t"
        " JOIN instruments i ON i.id = t.instrument_id"
        " WHERE exchange <> 'EURONEXT' AND profile = 'moderate' GROUP BY label, view ORDER BY label, view"
    )
    names = ("label", "view", "n", "relative_pct")
    assert [{name: row[name] for name in names} for row in shown["labels"]] == [
        row | {"relative_pct": pytest.approx(row["relative_pct"])} for row in rows(readable, scored)
    ]
    assert {"given", "none"} <= {row["view"] for row in shown["labels"]}
    assert all((row["hit_rate"] is None) == (row["view"] != "given") for row in shown["labels"])
    result = boursomatic("track-record", "--market", "US", "--profile", "moderate")
    assert all(f"| moderate   {row['label']}" in result.output for row in shown["labels"])
    assert result.output.endswith(f"\nexpected calibration error {shown['calibration_error']:.3f}\n")


def test_a_track_record_without_outcomes_is_shown(filled: Engine) -> None:
    execute(
        filled,
        "UPDATE track_record SET outcome = NULL, hit = NULL, realised_return_pct = NULL,"
        " first_touched = NULL, touched_on = NULL",
    )
    result = boursomatic("track-record")
    assert result.exit_code == 0, result.output
    assert "| moderate       HOLD " in result.output
    assert "calibration error" not in result.output
    assert result.output.endswith(f"\n{track_record.NO_BINS}\n")
    assert json.loads(boursomatic("track-record", "--json").stdout)["bins"] == []


def test_thousands_of_recommendations_are_set_apart() -> None:
    shown = to_percent_text(pl.DataFrame({"n": [14938, None], "hit_rate": [0.5123, None], "label": ["BUY", None]}))
    assert shown.rows() == [("14,938", "51.23", "BUY"), ("", "", "")]


def test_without_a_track_record_the_error_names_the_remedy(migrated: Engine) -> None:
    for words in (("track-record",), ("track-record", "verify")):
        assert "no recommendation has reached the end of its horizon" in error_line(boursomatic(*words))


def test_an_option_that_verification_would_not_read_is_refused(readable: Engine) -> None:
    for command in ("verify", "expected"):
        assert "give them after it" in error_line(boursomatic("track-record", "--market", "US", command))


IS_OPEN = (
    "SELECT profile, exchange = 'EURONEXT' AS euronext, label, count(*) AS n, avg(confidence) AS expected"
    " FROM recommendations r JOIN instruments i ON i.id = r.instrument_id WHERE r.is_active AND view = 'given'"
    " GROUP BY 1, 2, 3"
)


def test_what_is_expected_is_the_mean_confidence_of_active_rows_with_a_view(readable: Engine) -> None:
    found = json.loads(boursomatic("track-record", "expected", "--json").stdout)
    own = {(row["profile"], row["market"], row["label"]): (row["n"], row["expected"]) for row in found}
    active = {
        (row["profile"], "EURONEXT" if row["euronext"] else "US", row["label"]): (row["n"], row["expected"])
        for row in rows(readable, IS_OPEN)
    }
    assert len(active) > 8
    assert {key: own[key] for key in active} == {
        key: (n, pytest.approx(mean)) for key, (n, mean) in active.items()
    }
    totals = {key[0]: n for key, (n, _) in own.items() if key not in active}
    assert totals == {
        profile: sum(n for key, (n, _) in active.items() if key[0] == profile) for profile in PROFILES
    }
    assert all((row["low"] is None) == bool(row["note"]) for row in found)
    told = {row["profile"] for row in found if row["low"] is not None}
    assert "aggressive" in told
    assert "conservative" not in told, "there were no three of its horizons"
    text = boursomatic("track-record", "expected", "--profile", "conservative", "--market", "US").stdout
    assert "too short a record: " in text
    assert "EURONEXT" not in text


def test_what_was_expected_on_a_past_date_depends_on_nothing_later(filled: Engine) -> None:
    words = ("track-record", "expected", "--date", "2024-01-31", "--json")
    then, now = boursomatic(*words).stdout, boursomatic("track-record", "expected", "--json").stdout
    assert then != now
    later = "UPDATE track_record SET hit = NOT hit, confidence = 0.9 WHERE ts >= '2024-02-01'"
    other = "UPDATE recommendations SET view = 'given', confidence = 0.9 WHERE as_of >= '2024-02-01'"
    execute(filled, later, "ALTER TABLE recommendations DISABLE TRIGGER USER", other)
    assert boursomatic(*words).stdout == then


def test_without_a_view_nothing_is_expected(migrated: Engine) -> None:
    assert boursomatic("track-record", "expected").stdout == "no open recommendation gives a view\n"
    assert json.loads(boursomatic("track-record", "expected", "--json").stdout) == []


def test_the_shadow_record_of_all_months_is_verified_from_stored_rows(readable: Engine) -> None:
    """Months in which nobody spoke count like the others."""
    result = boursomatic("track-record", "verify")
    assert result.exit_code == 0, result.output
    assert result.output.count("\n  ok\n") == 3
    for record in json.loads(boursomatic("track-record", "verify", "--json").stdout):
        assert record["score"]["rank_ic"] == pytest.approx(record["expected_return_pct"]["rank_ic"], abs=0.002)
        ((of_profile, months),) = (
            tuple(row.values())
            for row in rows(
                readable,
                "SELECT count(*), count(DISTINCT to_char(as_of, 'YYYY-MM')) AS months FROM track_record"
                " WHERE profile = :profile AND realised_return_pct IS NOT NULL",
                profile=record["profile"],
            )
        )
        assert (record["rows"], record["months"]) == (of_profile, months)
    low, high = record["score"]["interval"]
    assert low < record["score"]["rank_ic"] < high
    assert f"{record['score']['rank_ic']:.4f}, 90% interval {low:.4f} to {high:.4f}" in result.output


ONE_SCORE = "(SELECT id FROM track_record WHERE view = 'given' AND hit ORDER BY id LIMIT 1)"
UNTRUE = {
    "hit does not say": f"UPDATE track_record SET hit = false WHERE id = {ONE_SCORE}",
    "outcome is not the third": "UPDATE track_record SET hit = false, outcome ="
    f" CASE outcome WHEN 'BUY' THEN 'SELL' ELSE 'BUY' END WHERE id = {ONE_SCORE}",
    "relative return is not": "UPDATE track_record SET relative_return_pct = relative_return_pct + 0.01"
    f" WHERE id = {ONE_SCORE}",
    "is not that of the recommendation": "UPDATE track_record SET view = 'none', hit = NULL"
    f" WHERE id = {ONE_SCORE}",
    "they differ by more than 0.002": "UPDATE recommendations SET expected_return_pct = -expected_return_pct"
    " WHERE profile = 'aggressive'",
}


@pytest.mark.parametrize("problem", UNTRUE)
def test_verification_fails_where_a_stored_row_does_not_follow(filled: Engine, problem: str) -> None:
    if "recommendations" in UNTRUE[problem]:  # both tables, and no trigger that would refuse it
        execute(
            filled,
            "SET LOCAL session_replication_role = replica",
            UNTRUE[problem],
            "UPDATE track_record SET expected_return_pct = -expected_return_pct WHERE profile = 'aggressive'",
        )
    else:
        execute(filled, UNTRUE[problem])
    result = boursomatic("track-record", "verify")
    assert result.exit_code == 1
    assert problem in result.output
    assert not all(
        record["holds"] for record in json.loads(boursomatic("track-record", "verify", "--json").stdout)
    )


def test_bars_are_shown_as_known_now_and_at_a_past_time(readable: Engine) -> None:
    result = boursomatic("bars", "SIMU001", "--from", DAY, "--json")
    assert [bar["ts"] for bar in json.loads(result.output)] == ["2024-02-28T00:00:00", "2024-02-29T00:00:00"]
    now = rows(readable, "SELECT clock_timestamp()::timestamp::text AS now")[0]["now"][:19]
    moment = (dt.datetime.fromisoformat(now) + dt.timedelta(seconds=1)).isoformat()
    assert boursomatic("bars", "SIMU001", "--from", DAY, "--json", "--known-at", moment).output == result.output
    assert (
        "are known for these dates"
        in boursomatic("bars", "SIMU001", "--from", DAY, "--known-at", f"{DAY}T12:30").output
    )
    table = boursomatic("bars", "SIMU001", "--from", DAY).output
    assert "known_from" in table
    assert table.count("SIMU001") == 2


def test_status_shows_sessions_champion_and_row_counts(readable: Engine) -> None:
    result = boursomatic("status")
    assert result.exit_code == 0
    facts = {line.partition(":")[0]: line.partition(":")[2].strip() for line in result.output.splitlines()}
    assert facts["US"] == facts["EURONEXT"] == "newest session 2024-02-29"
    assert facts["model"] == "v2024.02.01"
    assert facts["price_bars"] == f"{INSTRUMENTS * 588:,} rows"
    assert facts["pending"] == "nothing"
    assert len({len(line) for line in result.output.splitlines() if line.endswith(" rows")}) == 1
    evidence = [line.split(None, 1)[1] for line in result.output.splitlines() if line.startswith("evidence:")]
    assert [" ".join(line.split()[4:]) for line in evidence] == [
        f"at {horizon} sessions, {profile} asks for 1.1 to 1: it has a view"
        for horizon, profile in ((10, "aggressive"), (20, "moderate"), (40, "conservative"))
    ]
    assert all(line.startswith("v2024.02.01 ") for line in evidence)


def test_status_shows_the_newest_session_of_15m_bars(filled: Engine) -> None:
    """An evening bar that is dated 2024-02-29 00:45 in UTC belongs to the session of the 28th."""
    execute(
        filled,
        "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval) SELECT gen_random_uuid(), id,"
        " '2024-02-29 00:45', 1, 1, 1, 1, 1, '15m' FROM instruments WHERE exchange = 'NYSE' LIMIT 1",
    )
    lines = boursomatic("status").output.splitlines()
    assert "US:               newest session 2024-02-29, with 15m bars 2024-02-28" in lines
    assert "EURONEXT:         newest session 2024-02-29" in lines


def test_status_shows_runs_with_absorbed_errors_newest_first(
    dagster_home: Engine, dagster_instance: dg.DagsterInstance, absorbed_errors: list[str]
) -> None:
    @dg.asset
    def absorbing() -> None:
        absorbed.record(ValueError("no answer"), "asked again")

    runs = [
        dg.materialize([absorbing], resources={"io_manager": PostgresIOManager()}, instance=dagster_instance)
        for _ in range(status.MAX_ABSORBED_RUNS + 1)
    ]
    lines = [line for line in boursomatic("status").output.splitlines() if line.startswith("absorbed:")]
    summary = "1 error, the first: asked again, after ValueError: no answer"
    assert lines[0] == f"absorbed:         run {runs[-1].run_id[:8]}: {summary}"
    assert len(lines) == status.MAX_ABSORBED_RUNS + 1
    assert lines[-1] == (
        "absorbed:         and 1 older runs: look for the tag boursomatic/absorbed_errors in the list of runs"
    )


def test_status_omits_runs_without_absorbed_errors(dagster_home: Engine) -> None:
    assert "absorbed" not in boursomatic("status").output


def test_status_without_dagsters_database_shows_all_but_its_runs(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_DATABASE_URL", "postgresql://ann@127.0.0.1:1/dagster")
    result = boursomatic("status")
    assert result.exit_code == 0
    assert "v2024.02.01" in result.output
    assert "absorbed:         not known: the server at 127.0.0.1:1 does not answer" in result.output


def test_status_of_an_empty_platform_succeeds(migrated: Engine) -> None:
    result = boursomatic("status")
    assert result.exit_code == 0
    assert "none is promoted yet" in result.output


INSERT_FILES = (
    "INSERT INTO delivered_files (id, source, file, lines, header, blank, comments, footer, delivered, problem,"
    " passed_over) SELECT gen_random_uuid(), 'files', f.* FROM (VALUES {})"
    " AS f(file, lines, header, blank, comments, footer, delivered, problem, passed_over)"
)


def insert_files(engine: Engine, *values: str) -> None:
    execute(engine, "DELETE FROM delivered_files", INSERT_FILES.format(", ".join(values)))


def about_files() -> list[str]:
    subjects = ("files", "file", "passed over", "rejected file")
    return [line for line in boursomatic("status").output.splitlines() if line.partition(":")[0] in subjects]


def test_status_shows_files_with_their_lines_problems_and_what_was_passed_over(migrated: Engine) -> None:
    assert about_files() == []
    insert_files(
        migrated,
        "('a.csv', 30005, 1, 2, 1, 1, 30000, NULL, false)",
        "('b.csv', 12, 1, 0, 0, 0, 9, NULL, false)",
        "('c.csv', 20, 0, 0, 0, 0, 0, 'state the zone of its times', false)",
        "('d.csv', 0, 0, 0, 0, 0, 0, 'd.csv: may not be read', false)",
        "('.DS_Store', 0, 0, 0, 0, 0, 0, NULL, true)",
        "('readme.md', 7, 0, 0, 0, 0, 0, NULL, true)",
    )
    assert about_files() == [
        "files:            2 read (30,017 lines: 30,009 delivered, 2 header, 2 blank, 1 comments, 1 footer,"
        " 2 not accounted for), 2 not understood",
        "file:             c.csv: state the zone of its times",
        "file:             d.csv: may not be read",
        "passed over:      .DS_Store, readme.md",
    ]


def test_status_names_the_first_20_files_of_a_kind_and_counts_the_others(migrated: Engine) -> None:
    problems = [f"('{n:02}.csv', 0, 0, 0, 0, 0, 0, 'is empty', false)" for n in range(25)]
    others = [f"('{n:02}.md', 0, 0, 0, 0, 0, 0, NULL, true)" for n in range(21)]
    insert_files(migrated, *problems, *others)
    counted, *named, more, passed_over = about_files()
    assert counted == "files:            0 read, 25 not understood"
    assert named == [f"file:             {n:02}.csv: is empty" for n in range(20)]
    assert more == "file:             and 5 more"
    assert passed_over.startswith("passed over:      00.md, 01.md, ")
    assert passed_over.endswith(", 19.md, and 1 more")


def test_status_shows_a_file_once_from_the_ledger_if_that_has_it(migrated: Engine) -> None:
    insert_files(
        migrated,
        "('asked.csv', 2, 0, 0, 0, 0, 0, 'state its zone', false)",
        "('mended.csv', 2, 1, 0, 0, 0, 1, NULL, false)",
    )
    execute(
        migrated,
        "INSERT INTO rejected_bars (id, market, source, file, raw, reason) SELECT gen_random_uuid(), market,"
        " 'files', file, json_build_object('error', file || ': as it was'), 'file cannot be understood'"
        " FROM unnest(ARRAY['asked.csv', 'mended.csv', 'gone.csv']) file, unnest(ARRAY['US', 'EURONEXT']) market",
    )
    assert about_files() == [
        "rejected file:    gone.csv: as it was",
        "files:            1 read (2 lines: 1 delivered, 1 header), 1 not understood",
        "file:             asked.csv: state its zone",
    ]


def test_a_search_shows_each_recommendation_with_its_justification(readable: Engine) -> None:
    (row,) = rows(
        readable,
        "SELECT symbol || '@' || exchange AS name, justification FROM recommendations r"
        " JOIN instruments i ON i.id = r.instrument_id WHERE r.superseded_at IS NULL"
        " ORDER BY as_of DESC, exchange, symbol, profile LIMIT 1",
    )
    result = boursomatic("search", row["name"].partition("@")[0], "--limit", "1")
    heading, justification = result.stdout.splitlines()
    assert heading.split()[1] == row["name"]
    assert justification.strip()
    assert result.stderr == "the newest 1, and there are more: --limit shows them\n"
    (found,) = json.loads(boursomatic("search", row["name"].partition("@")[0], "--limit", "1", "--json").stdout)
    assert found["justification"] == justification.strip()


def test_a_search_that_finds_nothing_says_which_word_nothing_has(readable: Engine) -> None:
    result = boursomatic("search", "zebra", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert "no justification and no instrument has the word 'zebra'" in result.stderr
    assert "there is no word to search for in 'the'" in error_line(boursomatic("search", "the"))
