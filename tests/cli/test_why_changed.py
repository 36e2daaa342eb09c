"""`boursomatic why-changed`: what moved an advice, in parts that add up."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.commands import boursomatic, error_line
from worlds.corrections import deliver_the_last_session
from worlds.platform import LAST, bring_up_to_date, rows

MOVED = ("expected_return_pct", "confidence")
PARTS = ["bars", "features", "version", "rule", "context"]
ONE_DATE = ("--from", f"{LAST}", "--to", f"{LAST}")


def told(*words: str) -> dict[str, Any]:
    result = boursomatic("why-changed", *words, "--json")
    assert result.exit_code == 0, result.output
    change: dict[str, Any] = json.loads(result.stdout)
    assert [part["part"] for part in change["parts"]] == PARTS
    return change


def require_sum(change: dict[str, Any], engine: Engine) -> None:
    """The parts add up to the change from one stored row to the other."""
    query = f"SELECT {', '.join(MOVED)}, label, view FROM recommendations WHERE id = CAST(:id AS uuid)"
    before, after = (rows(engine, query, id=change[end]["id"])[0] for end in ("from", "to"))
    for end, stored in (("from", before), ("to", after)):
        assert {name: change[end][name] for name in stored} == stored, "what is told is what is stored"
    for name in MOVED:
        assert sum(part["change"][name] for part in change["parts"]) == pytest.approx(after[name] - before[name])
        assert change["change"][name] == pytest.approx(after[name] - before[name])


def part_of(change: dict[str, Any], name: str) -> dict[str, Any]:
    part: dict[str, Any] = change["parts"][PARTS.index(name)]
    return part


def test_between_two_sessions_nothing_of_the_bars_was_restated(replayable: Engine) -> None:
    """From a session without a champion to one with one."""
    change = told("SIMU008", "--profile", "aggressive", "--from", "2023-10-31")
    require_sum(change, replayable)
    assert part_of(change, "bars")["change"] == dict.fromkeys(MOVED, 0)
    assert part_of(change, "rule")["change"] == dict.fromkeys(MOVED, 0)
    scores = [change["from"]["score"], *(part["score"] for part in change["parts"])]
    moved = [name for name, before, after in zip(PARTS, scores, scores[1:], strict=False) if before != after]
    assert moved == ["features", "version"], "neither rules nor others are part of a score"


def test_by_default_it_is_the_last_step(replayable: Engine) -> None:
    change = told("SIMU008")
    require_sum(change, replayable)
    assert (change["from"]["as_of"], change["to"]["as_of"]) == ("2024-02-28T21:00:00", "2024-02-29T21:00:00")
    assert part_of(change, "version")["change"] == dict.fromkeys(MOVED, 0)
    text = boursomatic("why-changed", "SIMU008").stdout
    assert "session 2024-02-28 -> " in text
    assert all(part in text for part in (*PARTS, "in all"))


def test_a_restated_bar_is_told_apart_from_those_of_others(
    filled: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fallen = pl.col("l") * 0.8
    deliver_the_last_session(tmp_path / "corrected", monkeypatch, "SIMU008", l=fallen, c=fallen)
    own, other = told("SIMU008", *ONE_DATE), told("SIMU009", *ONE_DATE)
    for change in (own, other):
        require_sum(change, filled)
        assert part_of(change, "features")["change"] == dict.fromkeys(MOVED, 0)
    assert part_of(own, "bars")["score"] != own["from"]["score"]


def test_what_profiles_ask_for_is_a_part_of_its_own(filled: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The boldest profile had a view, and asks for more than there is."""
    monkeypatch.setenv("BOURSOMATIC_EVIDENCE", "1e9,1e9,1e9")
    bring_up_to_date(LAST, LAST, assets=("recommendations",), markets=("US",), strict=False)
    change = told("SIMU008", "--profile", "aggressive", *ONE_DATE)
    require_sum(change, filled)
    assert [change["from"]["view"], *(part["view"] for part in change["parts"])] == [
        *["given"] * 4, "none", "none",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (ONE_DATE, "has one row of SIMU008 alone"),
        (("--from", "2024-02-29", "--to", "2024-02-28"), "give --from and --to in the order of time"),
        (("--to", "2023-08-01"), "there is no recommendation before that of US 2023-08-01"),
    ],
)
def test_where_there_are_no_two_rows_the_reason_is_said(
    replayable: Engine, words: tuple[str, ...], message: str
) -> None:
    assert message in error_line(boursomatic("why-changed", "SIMU008", *words))
