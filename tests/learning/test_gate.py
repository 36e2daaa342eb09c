"""The gate: promoted, refused or withdrawn, and the reason as text."""

import json
from typing import Any

import pytest

from boursomatic_assets.language import WORDINGS
from boursomatic_assets.learning.gate import judge_challenger
from boursomatic_assets.learning.parameters import Parameters

LIMITS = Parameters(gate_tolerance=0.002, gate_rank_ic_tolerance=0.01, gate_skill_t=1.0, gate_minimum_sessions=12)
GOOD: dict[str, Any] = {
    "rank_ic": 0.04,
    "rank_ic_t": 2.5,
    "log_loss": 1.09,
    "log_loss_no_skill": 1.098,
    "sessions": 24,
    "by_month": {"2023-11": [0.05, 1.08, 4], "2023-12": [0.03, 1.10, 4]},
}
UNSKILLED = GOOD | {"rank_ic": 0.001, "rank_ic_t": 0.1}


def kind(challenger: dict[str, Any], champion: dict[str, Any] | None = None, *, same_recipe: bool = True) -> str:
    return judge_challenger(challenger, champion, LIMITS, same_recipe=same_recipe).kind


def months(**values: list[float | None]) -> dict[str, Any]:
    """A good record with these months: m2023_11=[rank_ic, log_loss, sampled sessions]."""
    return GOOD | {"by_month": {name[1:].replace("_", "-"): month for name, month in values.items()}}


def test_the_first_version_with_skill_is_promoted() -> None:
    decision = judge_challenger(GOOD, None, LIMITS, same_recipe=False)
    assert decision.kind == "promoted"
    assert decision.reason == (
        "Promoted: mean rank IC 0.0400 (t 2.50) over 24 sampled sessions, and no version spoke before."
    )
    assert decision.numbers["champion"] is None
    assert decision.numbers["on_common_months"] is None


NO_SKILL = {
    "a t below the least": ({"rank_ic_t": 0.99}, "t 0.99, and it takes a t of 1)"),
    "a negative rank IC": (
        {"rank_ic": -0.04, "rank_ic_t": -2.5},
        "(mean rank IC -0.0400, t -2.50, and it takes",
    ),
    "no rank IC": ({"rank_ic": None}, "its record has no mean rank IC to judge it by"),
    "no t": ({"rank_ic_t": None}, "its record has no mean rank IC to judge it by"),
    "too short a record": ({"sessions": 11}, "its record has 11 sampled sessions, and it takes 12"),
    "worse probabilities than none": ({"log_loss": 1.1001}, "(log loss 1.100100, and it takes 1.098000 + 0.002)"),
}


@pytest.mark.parametrize("case", NO_SKILL)
def test_a_challenger_without_skill_is_refused(case: str) -> None:
    change, text = NO_SKILL[case]
    for champion, follows in ((None, "No version speaks, and HOLD is published."), (GOOD, "goes on.")):
        decision = judge_challenger(GOOD | change, champion, LIMITS, same_recipe=False)
        assert decision.kind == "refused"
        assert decision.reason.startswith("Refused: it")
        assert text in decision.reason
        assert decision.reason.endswith(follows)


@pytest.mark.parametrize("case", NO_SKILL)
def test_every_flaw_has_a_text_in_every_language(case: str) -> None:
    """The decision stores the flaw with its figures, as JSON."""
    change, _ = NO_SKILL[case]
    flaw = json.loads(json.dumps(judge_challenger(GOOD | change, None, LIMITS, same_recipe=False).numbers["flaw"]))
    texts = {wording.flaw(flaw) for wording in WORDINGS.values()}
    assert len(texts) == len(WORDINGS)
    assert not any("{" in text for text in texts)


def test_a_record_just_good_enough_is_promoted() -> None:
    assert kind(GOOD | {"rank_ic_t": 1.0, "sessions": 12, "log_loss": 1.0999}) == "promoted"
    assert "flaw" not in judge_challenger(GOOD, None, LIMITS, same_recipe=True).numbers


def test_a_record_without_probabilities_is_judged_by_its_ranks() -> None:
    assert kind(GOOD | {"log_loss": None, "log_loss_no_skill": None}) == "promoted"
    assert kind({"sessions": 24, "rank_ic": 0.04, "rank_ic_t": 2.5}) == "promoted"


def test_a_champion_whose_recipe_lost_its_skill_is_withdrawn() -> None:
    decision = judge_challenger(UNSKILLED, GOOD, LIMITS, same_recipe=True)
    assert decision.kind == "withdrawn"
    assert decision.reason == (
        "Withdrawn, with the version that spoke before and has the same recipe: it shows no skill on sessions that"
        " it had not seen (mean rank IC 0.0010, t 0.10, and it takes a t of 1). No version speaks, and HOLD is"
        " published."
    )


def test_another_recipe_without_skill_leaves_the_champion() -> None:
    decision = judge_challenger(UNSKILLED, GOOD, LIMITS, same_recipe=False)
    assert decision.kind == "refused"
    assert decision.reason.startswith("Refused: it shows no skill")
    assert decision.reason.endswith(" The version that spoke before goes on.")


@pytest.mark.parametrize(
    ("rank_ic", "log_loss", "verdict"),
    [
        (0.04, 1.09, "promoted"),
        (0.031, 1.0915, "promoted"),
        (0.029, 1.09, "refused"),
        (0.04, 1.0925, "refused"),
        (None, None, "promoted"),
        (None, 1.0925, "refused"),
    ],
)
def test_a_challenger_may_be_worse_than_the_champion_within_the_tolerances(
    rank_ic: float | None, log_loss: float | None, verdict: str
) -> None:
    challenger, champion = months(m2023_11=[rank_ic, log_loss, 4]), months(m2023_11=[0.04, 1.09, 4])
    for same_recipe in (True, False):
        assert kind(challenger, champion, same_recipe=same_recipe) == verdict


def test_both_versions_are_compared_on_their_common_months() -> None:
    challenger = months(m2023_10=[0.9, 0.1, 4], m2023_11=[0.02, 1.0, 4], m2023_12=[0.05, None, 2])
    champion = months(m2023_11=[0.03, 1.0, 4], m2023_12=[0.06, 1.0, 2], m2024_01=[-0.9, 9.0, 4])
    common = judge_challenger(challenger, champion, LIMITS, same_recipe=False).numbers["on_common_months"]
    assert common["rank_ic"] == pytest.approx({"challenger": 0.03, "champion": 0.04, "months": 2})
    assert common["log_loss"] == {"challenger": 1.0, "champion": 1.0, "months": 1}


def test_a_month_with_other_sampled_sessions_is_not_compared() -> None:
    challenger = months(m2023_11=[0.04, 1.09, 4], m2023_12=[0.01, 1.2, 4])
    champion = months(m2023_11=[0.04, 1.09, 4], m2023_12=[0.49, 0.9, 1])
    decision = judge_challenger(challenger, champion, LIMITS, same_recipe=True)
    assert decision.kind == "promoted"
    assert decision.numbers["on_common_months"]["rank_ic"]["months"] == 1


def test_without_a_common_month_skill_alone_decides() -> None:
    decision = judge_challenger(GOOD, months(m2020_01=[0.5, 0.5, 4]), LIMITS, same_recipe=False)
    assert decision.kind == "promoted"
    assert "no month in common with the champion" in decision.reason
    assert kind(GOOD, {"log_loss": 1.0}) == "promoted", "a champion of an older kind has no months at all"


def test_a_reason_has_the_figures_of_both_versions() -> None:
    worse = judge_challenger(
        months(m2023_11=[0.01, 1.09, 4]), months(m2023_11=[0.04, 1.09, 4]), LIMITS, same_recipe=True
    )
    assert worse.reason == (
        "Refused: mean rank IC 0.0100 against 0.0400 (common months: 1): more than 0.01 below the champion's."
        " The version that spoke before goes on."
    )
    better = judge_challenger(
        months(m2023_11=[0.05, 1.08, 4]), months(m2023_11=[0.04, 1.09, 4]), LIMITS, same_recipe=True
    )
    assert "mean rank IC 0.0500 against 0.0400" in better.reason
    assert "log loss 1.080000 against 1.090000" in better.reason


def test_the_figures_of_both_versions_are_stored() -> None:
    numbers = judge_challenger(UNSKILLED, GOOD, LIMITS, same_recipe=True).numbers
    assert numbers["challenger"] == {name: value for name, value in UNSKILLED.items() if name != "by_month"}
    assert numbers["champion"] == {name: value for name, value in GOOD.items() if name != "by_month"}
