"""`boursomatic check`: findings on the loaded sessions, without a run."""

import json

import pytest
from sqlalchemy import Engine
from worlds.commands import boursomatic, error_line
from worlds.platform import execute

OF_US = "(SELECT id FROM instruments WHERE exchange <> 'EURONEXT')"
WITHOUT_A_BAR = (
    "DELETE FROM {} WHERE ts = '2024-02-07' AND instrument_id ="
    f" (SELECT id FROM instruments WHERE id IN {OF_US} ORDER BY symbol LIMIT 1)"
)
MISSING = "every_tracked_instrument_has_its_bar"


def test_an_undamaged_asset_passes(readable: Engine) -> None:
    result = boursomatic("check", "--asset", "features")
    assert result.exit_code == 0
    assert result.stdout == (
        "4 of 4 checks passed; EURONEXT 2023-01-03 .. 2024-02-29 (297 sessions),"
        " US 2023-01-03 .. 2024-02-29 (291 sessions)\n"
    )


def test_errors_name_their_sessions_and_come_first(filled: Engine) -> None:
    execute(filled, WITHOUT_A_BAR.format("price_bars"))
    result = boursomatic("check", "--asset", "price_bars", "--market", "US")
    assert result.exit_code == 1
    header, error, *warnings, _, _ = result.stdout.splitlines()
    assert header.split() == ["result", "check", "errors", "warnings", "sessions"]
    assert error.split() == [
        "error",
        "price_bars.every_delivered_row_is_accounted_for",
        "1",
        "0",
        "US",
        "2024-02-07",
    ]
    assert ["warning", f"price_bars.{MISSING}", "0", "1", "US", "2024-02-07"] in [
        line.split() for line in warnings
    ]


def test_warnings_alone_are_no_failure(filled: Engine) -> None:
    execute(
        filled,
        "UPDATE computed_sessions SET changed_at = clock_timestamp()"
        " WHERE asset = 'price_bars' AND market = 'US' AND session = '2024-02-28'",
    )
    result = boursomatic("check", "--asset", "features")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split()[:5] == [
        "warning",
        "features.features_follow_their_bars",
        "0",
        "2",
        "US",
    ]


def test_only_sessions_of_the_range_and_market_are_looked_at(filled: Engine) -> None:
    execute(filled, WITHOUT_A_BAR.format("price_bars"))
    for words in (("--from", "2024-02-08"), ("--to", "2024-02-06"), ("--market", "EURONEXT")):
        assert boursomatic("check", "--asset", "price_bars", *words).exit_code == 0, words
    assert (
        boursomatic("check", "--asset", "price_bars", "--from", "2024-02-07", "--to", "2024-02-07").exit_code == 1
    )


def test_a_session_that_is_not_loaded_is_not_looked_at(filled: Engine) -> None:
    execute(
        filled,
        *(
            f"DELETE FROM {table} WHERE market = 'US' AND session = '2024-02-07'"
            for table in ("computed_sessions", "delivered_sessions")
        ),
        f"DELETE FROM price_bars WHERE ts = '2024-02-07' AND instrument_id IN {OF_US}",
    )
    result = boursomatic("check", "--asset", "price_bars", "--json")
    looked_at = {
        (part["from"], part["to"])
        for check in json.loads(result.stdout)
        for part in check["looked_at"]
        if part["market"] == "US"
    }
    assert looked_at == {("2023-01-03", "2024-02-06"), ("2024-02-08", "2024-02-29")}


def test_json_has_every_check_with_its_sessions(filled: Engine) -> None:
    execute(filled, WITHOUT_A_BAR.format("price_bars"))
    result = boursomatic("check", "--asset", "price_bars", "--json")
    found = {check["check"]: check for check in json.loads(result.stdout)}
    assert found["prices_are_sane"]["result"] == "passed"
    missing = found[MISSING]
    assert (missing["result"], missing["errors"], missing["warnings"]) == ("warning", 0, 1)
    assert missing["sessions"] == [{"market": "US", "session": "2024-02-07", "errors": 0, "warnings": 1}]
    (row,) = missing["figures"]["missing"]
    assert row["session"] == "2024-02-07"


def test_what_belongs_to_no_session_is_named(filled: Engine) -> None:
    execute(filled, "DROP INDEX idx_features_instrument_ts")
    line = boursomatic("check", "--asset", "features", "--from", "2024-02-28").stdout.splitlines()[1]
    assert line.endswith("the whole table")


@pytest.mark.parametrize("words", [("--asset", "nothing"), ("--from", "2024-02-02", "--to", "2024-02-01")])
def test_a_wrong_call_says_what_is_wrong(readable: Engine, words: tuple[str, ...]) -> None:
    result = boursomatic("check", *words)
    assert result.exit_code == 2
    assert error_line(result)


def test_a_range_without_a_loaded_session_is_no_empty_database(readable: Engine) -> None:
    result = boursomatic("check", "--asset", "features", "--from", "2030-01-01")
    assert (result.exit_code, result.stdout) == (0, "4 of 4 checks passed; no loaded session in this range\n")


def test_an_empty_database_has_nothing_to_check(migrated: Engine) -> None:
    result = boursomatic("check", "--asset", "price_bars")
    assert (result.exit_code, result.stdout) == (0, "11 of 11 checks passed; no session is loaded\n")
