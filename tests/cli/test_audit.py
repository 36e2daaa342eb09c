"""`boursomatic audit`: what it shows and how it exits, by an id, a partition, and a sample."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine
from worlds.commands import boursomatic, error_line
from worlds.platform import execute, rows

BUY = "SELECT id FROM recommendations WHERE label = 'BUY' AND is_active ORDER BY id LIMIT 1"


def a_buy(engine: Engine) -> str:
    """The id of an active BUY, of 2024-02-29."""
    return str(rows(engine, BUY)[0]["id"])


def test_a_recommendation_is_shown_beside_what_comes_out_again(replayable: Engine) -> None:
    shown = boursomatic("audit", a_buy(replayable))
    assert shown.exit_code == 0
    first, _, *numbers = shown.stdout.splitlines()
    assert first.endswith("session 2024-02-29, by v2024.02.01: identical")
    assert all(len(set(line.split()[1:])) == 1 for line in numbers), "stored and replayed"
    names = [*("label", "view", "confidence", "expected_return_pct", "horizon_days", "stop_loss", "take_profit")]
    assert [line.split()[0] for line in numbers] == names


def test_options_may_stand_before_and_after_an_id(replayable: Engine) -> None:
    found = [
        json.loads(boursomatic(*words).stdout)
        for words in (
            ("audit", a_buy(replayable), "--json", "--from-bars"),
            ("audit", "--json", "--from-bars", a_buy(replayable)),
        )
    ]
    assert found[0] == found[1]
    assert found[0]["status"] == "identical"
    assert found[0]["stored"] == found[0]["replayed"]


def test_a_partition_and_a_sample_are_counted(replayable: Engine) -> None:
    partition = boursomatic("audit", "--all", "2024-02-29", "US")
    assert (partition.exit_code, partition.stdout) == (0, "36 of 36 recommendations of 1 sessions are identical\n")
    sample = boursomatic("audit", "--sample", "100", "--seed", "7")
    assert (sample.exit_code, sample.stdout) == (0, "100 of 100 recommendations of 100 sessions are identical\n")
    assert "--seed 7" in sample.stderr
    assert json.loads(boursomatic("audit", "--sample", "5", "--json").stdout) == {
        **{"sessions": 5, "identical": 5, "differs": 0, "not_replayed": 0},
        "rows": [],
    }


def test_what_was_changed_by_hand_is_shown_and_the_exit_code_is_1(filled: Engine) -> None:
    identifier = a_buy(filled)
    execute(filled, f"UPDATE recommendations SET confidence = 0.99 WHERE id = '{identifier}'")
    for words in ((identifier,), ("--all", "2024-02-29", "US"), ("--sample", "20000")):
        shown = boursomatic("audit", *words)
        assert shown.exit_code == 1
        assert identifier in shown.stdout
        assert "0.99" in shown.stdout
        assert "the row was changed after it was written" in shown.stdout
    (row,) = json.loads(boursomatic("audit", "--all", "2024-02-29", "US", "--json").stdout)["rows"]
    assert (row["id"], row["status"], row["stored"]["confidence"]) == (identifier, "differs", 0.99)


def test_a_changed_byte_of_the_model_file_is_shown(filled: Engine, home: Path) -> None:
    for file in (home / "models").iterdir():
        file.write_bytes(file.read_bytes().replace(b"leaf_value=", b"leaf_value=1", 1))
    shown = boursomatic("audit", a_buy(filled))
    assert shown.exit_code == 1
    assert "is damaged, its SHA-256 is" in shown.stdout


def test_rows_that_cannot_be_replayed_prove_nothing_and_are_not_called_wrong(filled: Engine) -> None:
    older = """regexp_replace(features_snapshot::text, '"close":[0-9.]*,|"rules":"[^"]*",', '', 'g')::json"""
    changed = f"UPDATE recommendations SET id = gen_random_uuid(), features_snapshot = {older}"
    execute(filled, f"{changed} WHERE as_of = '2024-02-29 21:00'")
    shown = boursomatic("audit", "--all", "2024-02-29", "US")
    assert shown.exit_code == 1
    assert "0 of 36 recommendations of 1 sessions are identical" in shown.stdout
    assert "36 are not replayed:" in shown.stdout
    assert "differ" not in shown.stdout
    both = boursomatic("audit", "--sample", "20000")
    assert both.exit_code == 0, "what could be replayed is identical"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give one of: the id of a recommendation, --all, or --sample [--seed]"),
        (("--seed", "1"), "give one of"),
        (("--all", "2024-02-29", "US", "--sample", "1"), "give one of"),
        (("--sample", "1", "00000000-0000-0000-0000-000000000000"), "an id stands alone"),
        (("verfy",), "'verfy' is neither the id of a recommendation nor one of verify"),
        (("--all", "2024-02-30", "US"), "no date"),
    ],
)
def test_a_wrong_call_exits_with_2(home: Path, words: tuple[str, ...], message: str) -> None:
    shown = boursomatic("audit", *words)
    assert shown.exit_code == 2
    assert message in error_line(shown)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("00000000-0000-0000-0000-000000000000",), "there is no recommendation 00000000"),
        (("--all", "2024-02-25", "US"), "there are no recommendations of 2024-02-25 US"),
    ],
)
def test_what_is_not_there_cannot_be_proved(readable: Engine, words: tuple[str, ...], message: str) -> None:
    shown = boursomatic("audit", *words)
    assert shown.exit_code == 1
    assert message in error_line(shown)
