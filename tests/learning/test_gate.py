"""The gate: promoted, retrained, refused or withdrawn, and the reason as text."""

import json
from typing import Any

import pytest

from boursomatic_assets.language import WORDINGS
from boursomatic_assets.learning.gate import Demand, judge_challenger
from boursomatic_assets.learning.parameters import Parameters

LIMITS = Parameters(gate_rank_ic_tolerance=0.01, gate_minimum_sessions=12)
DEMAND = Demand(horizon=10, least=2.0)


def evidence(value: float, against: float = 0.3) -> dict[str, Any]:
    """Evidence at the demand's horizon, and more at another."""
    return {"10": {"value": value, "against": against}, "20": {"value": 99.0, "against": 99.0}}


GOOD: dict[str, Any] = {
    "rank_ic": 0.04,
    "rank_ic_t": 2.5,
    "log_loss": 1.09,
    "log_loss_no_skill": 1.098,
    "sessions": 24,
    "evidence": evidence(2.5),
    "by_month": {"2023-11": [0.05, 1.08, 4], "2023-12": [0.03, 1.10, 4]},
}
UNPROVEN = GOOD | {"evidence": evidence(1.99)}
FLAWS = {
    "too little evidence": (UNPROVEN, "is 1.99 to 1 at 10 sessions, and it takes 2 to 1"),
    "no evidence": (GOOD | {"evidence": None}, "its record has no evidence to judge it by"),
    "none at this horizon": (GOOD | {"evidence": {"20": {"value": 9.0}}}, "has no evidence to judge it by"),
    "too short a record": (GOOD | {"sessions": 11}, "its record has 11 sampled sessions, and it takes 12"),
}
DISPROVED = GOOD | {"evidence": evidence(0.1, against=2.0)}


def kind(challenger: dict[str, Any], champion: dict[str, Any] | None = None, *, same_recipe: bool = False) -> str:
    return judge_challenger(challenger, champion, LIMITS, DEMAND, same_recipe=same_recipe).kind


def months(**values: list[float | None]) -> dict[str, Any]:
    """A good record with these months: m2023_11=[rank_ic, log_loss, sampled sessions]."""
    return GOOD | {"by_month": {name[1:].replace("_", "-"): month for name, month in values.items()}}


def test_the_first_version_with_enough_evidence_is_promoted() -> None:
    decision = judge_challenger(GOOD, None, LIMITS, DEMAND, same_recipe=False)
    assert decision.kind == "promoted"
    assert decision.reason == (
        "Promoted: evidence 2.5 to 1 at 10 sessions, mean rank IC 0.0400 over 24 sampled sessions, and no version"
        " spoke before."
    )
    assert decision.numbers["champion"] is None
    assert decision.numbers["on_common_months"] is None
    assert "flaw" not in decision.numbers
    assert kind(GOOD | {"evidence": evidence(2.0), "sessions": 12}) == "promoted", "just enough"


@pytest.mark.parametrize("case", FLAWS)
def test_a_challenger_without_enough_evidence_is_refused(case: str) -> None:
    flawed, text = FLAWS[case]
    for champion, follows in ((None, "No version speaks, and HOLD is published."), (GOOD, "goes on.")):
        decision = judge_challenger(flawed, champion, LIMITS, DEMAND, same_recipe=False)
        assert decision.kind == "refused"
        assert text in decision.reason
        assert decision.reason.endswith(follows)


@pytest.mark.parametrize("flawed", [*(flawed for flawed, _ in FLAWS.values())])
def test_every_flaw_has_a_text_in_every_language(flawed: dict[str, Any]) -> None:
    """The decision stores the flaw with its figures, as JSON."""
    numbers = judge_challenger(flawed, None, LIMITS, DEMAND, same_recipe=False).numbers
    flaw = json.loads(json.dumps(numbers["flaw"]))
    texts = {wording.flaw(flaw) for wording in WORDINGS.values()}
    assert len(texts) == len(WORDINGS)
    assert not any("{" in text for text in texts)


def test_the_champions_recipe_is_retrained_whatever_is_asked_to_speak() -> None:
    """Who may speak follows from the evidence of the version itself."""
    for metrics in (GOOD, UNPROVEN, GOOD | {"sessions": 11}):
        assert kind(metrics, GOOD, same_recipe=True) == "retrained"
    reason = judge_challenger(UNPROVEN, GOOD, LIMITS, DEMAND, same_recipe=True).reason
    assert reason.startswith("Retrained with the champion's recipe: evidence 1.99 to 1 at 10 sessions")
    assert kind(GOOD, None, same_recipe=True) == "promoted", "there is no champion to follow"


def test_a_champion_whose_recipe_is_disproved_is_withdrawn() -> None:
    decision = judge_challenger(DISPROVED, GOOD, LIMITS, DEMAND, same_recipe=True)
    assert decision.kind == "withdrawn"
    assert decision.reason == (
        "Withdrawn, with the version that spoke before and has the same recipe: the evidence against it is 2 to"
        " 1 at"
        " 10 sessions, and 2 to 1 withdraws it. No version speaks, and HOLD is published."
    )
    assert kind(GOOD | {"evidence": evidence(0.1, against=1.99)}, GOOD, same_recipe=True) == "retrained"
    assert decision.numbers["flaw"]["kind"] == "disproved"
    assert all(wording.flaw(decision.numbers["flaw"]) for wording in WORDINGS.values())


def test_another_recipe_without_evidence_leaves_the_champion() -> None:
    decision = judge_challenger(UNPROVEN, GOOD, LIMITS, DEMAND, same_recipe=False)
    assert decision.kind == "refused"
    assert decision.reason.endswith(" The version that spoke before goes on.")


@pytest.mark.parametrize(
    ("rank_ic", "verdict"), [(0.04, "promoted"), (0.031, "promoted"), (0.029, "refused"), (None, "promoted")]
)
def test_another_recipe_may_rank_worse_than_the_champion_within_the_tolerance(
    rank_ic: float | None, verdict: str
) -> None:
    challenger, champion = months(m2023_11=[rank_ic, 9.0, 4]), months(m2023_11=[0.04, 1.09, 4])
    assert kind(challenger, champion) == verdict


def test_both_versions_are_compared_on_their_common_months() -> None:
    challenger = months(m2023_10=[0.9, 0.1, 4], m2023_11=[0.02, 1.0, 4], m2023_12=[0.05, None, 2])
    champion = months(m2023_11=[0.03, 1.0, 4], m2023_12=[0.06, 1.0, 2], m2024_01=[-0.9, 9.0, 4])
    common = judge_challenger(challenger, champion, LIMITS, DEMAND, same_recipe=False).numbers["on_common_months"]
    assert common["rank_ic"] == pytest.approx({"challenger": 0.03, "champion": 0.04, "months": 2})
    assert common["log_loss"] == {"challenger": 1.0, "champion": 1.0, "months": 1}


def test_a_month_with_other_sampled_sessions_is_not_compared() -> None:
    challenger = months(m2023_11=[0.04, 1.09, 4], m2023_12=[0.01, 1.2, 4])
    champion = months(m2023_11=[0.04, 1.09, 4], m2023_12=[0.49, 0.9, 1])
    decision = judge_challenger(challenger, champion, LIMITS, DEMAND, same_recipe=False)
    assert decision.kind == "promoted"
    assert decision.numbers["on_common_months"]["rank_ic"]["months"] == 1


def test_without_a_common_month_evidence_alone_decides() -> None:
    decision = judge_challenger(GOOD, months(m2020_01=[0.5, 0.5, 4]), LIMITS, DEMAND, same_recipe=False)
    assert decision.kind == "promoted"
    assert "no month in common with the champion" in decision.reason
    assert kind(GOOD, {"log_loss": 1.0}) == "promoted", "a champion of an older kind has no months at all"


def test_a_reason_has_the_figures_of_both_versions() -> None:
    worse = judge_challenger(
        months(m2023_11=[0.01, 1.09, 4]), months(m2023_11=[0.04, 1.09, 4]), LIMITS, DEMAND, same_recipe=False
    )
    assert worse.reason == (
        "Refused: mean rank IC 0.0100 against 0.0400 (common months: 1): more than 0.01 below the champion's."
        " The version that spoke before goes on."
    )
    better = judge_challenger(
        months(m2023_11=[0.05, 1.08, 4]), months(m2023_11=[0.04, 1.09, 4]), LIMITS, DEMAND, same_recipe=False
    )
    assert "mean rank IC 0.0500 against 0.0400" in better.reason
    assert "log loss 1.080000 against 1.090000" in better.reason


def test_the_figures_of_both_versions_are_stored() -> None:
    numbers = judge_challenger(UNPROVEN, GOOD, LIMITS, DEMAND, same_recipe=False).numbers
    for side, metrics in (("challenger", UNPROVEN), ("champion", GOOD)):
        assert numbers[side] == {name: value for name, value in metrics.items() if name != "by_month"}
