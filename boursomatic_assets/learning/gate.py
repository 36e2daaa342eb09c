"""The gate: whether a challenger takes the champion's place, and what is to be done if it may not.

What belongs here: the comparison of two records of out-of-sample scores, as metrics, and its sentence.
Kept elsewhere: how a record is measured (`evaluation`), where decisions are kept and who speaks (`registry`), what
a lack of skill is called in a justification (`sentences`).

A champion of the same recipe that is retrained without skill has lost its own: none speaks then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from boursomatic_assets.language.sentences import ENGLISH
from boursomatic_assets.learning.parameters import Parameters

Metrics = Mapping[str, Any]
"""rank_ic, rank_ic_t, log_loss, log_loss_no_skill, sessions, and by_month: {"2021-03": [rank_ic, log_loss,
sampled sessions]}. Any number may be null."""

FIGURES = ("rank_ic", "rank_ic_t", "log_loss", "log_loss_no_skill", "sessions")
"""What is kept of each side beside the comparison."""

RANK_IC, LOG_LOSS, SESSIONS = range(3)
"""Places in a month of `by_month`."""

Kind = Literal["promoted", "refused", "withdrawn"]


@dataclass(frozen=True)
class Verdict:
    """What follows for the challenger, why in English, and the numbers of both sides with the flaw, if any."""

    kind: Kind
    reason: str
    numbers: dict[str, Any]


def decide(challenger: Metrics, champion: Metrics | None, limits: Parameters, *, same_recipe: bool) -> Verdict:
    """Hold a challenger against no skill, and then against the champion on the months that both have.

    Args:
        challenger: The metrics of its record before its due date.
        champion: Those of the version that spoke until then; None if none did.
        limits: What it has to reach.
        same_recipe: Whether the parameters of both are the same.

    Returns:
        `promoted`: the challenger speaks. `refused`: the champion goes on, or still none speaks.
        `withdrawn`: none speaks any more.
    """
    numbers = compare(challenger, champion)
    if flaw := _flaw(challenger, limits):
        kind, reason = _without_skill(ENGLISH.flaw(flaw), champion is not None, same_recipe)
        return Verdict(kind, reason, numbers | {"flaw": flaw})
    if worse := _worse(numbers["on_common_months"], limits):
        return Verdict("refused", f"Refused: {worse}. The version that spoke before goes on.", numbers)
    skill = (
        f"mean rank IC {challenger['rank_ic']:.4f} (t {challenger['rank_ic_t']:.2f}) over"
        f" {challenger['sessions']} sampled sessions"
    )
    return Verdict(
        "promoted", f"Promoted: {skill}, {_comparison(champion, numbers['on_common_months'])}.", numbers
    )


def compare(challenger: Metrics, champion: Metrics | None) -> dict[str, Any]:
    """Return both sides' figures as JSON, and their means over the months that both have.

    `on_common_months` has, for rank_ic and log_loss, the challenger's mean, the champion's and the number of
    months; a month counts where both have a number for the same sampled sessions, and weighs as many. It is null
    without such a month.
    """
    numbers = {"challenger": _figures(challenger), "champion": champion and _figures(champion)}
    common = champion and {
        name: mean
        for name, place in (("rank_ic", RANK_IC), ("log_loss", LOG_LOSS))
        if (mean := _means(list(_common(challenger, champion, place))))
    }
    return {**numbers, "on_common_months": common or None}


def _figures(metrics: Metrics) -> dict[str, Any]:
    return {name: metrics.get(name) for name in FIGURES}


def _common(challenger: Metrics, champion: Metrics, place: int) -> Iterator[tuple[float, float, float]]:
    """The two numbers and the weight of each month in which both have one, of as many sampled sessions.

    Of a record's last month only the first sessions were known on its due date; a later record has all of it.
    """
    months, others = (side.get("by_month") or {} for side in (challenger, champion))
    for month in sorted(months.keys() & others.keys()):
        mine, theirs = months[month], others[month]
        same = mine[SESSIONS] == theirs[SESSIONS] > 0
        if same and mine[place] is not None and theirs[place] is not None:
            yield mine[place], theirs[place], mine[SESSIONS]


def _means(months: list[tuple[float, float, float]]) -> dict[str, float] | None:
    if not months:
        return None
    total = sum(weight for *_, weight in months)
    mine, theirs = (sum(month[side] * month[2] for month in months) / total for side in (0, 1))
    return {"challenger": mine, "champion": theirs, "months": len(months)}


def _without_skill(flaw: str, has_champion: bool, same_recipe: bool) -> tuple[Kind, str]:
    """What follows for a challenger without skill, and why in words."""
    if not has_champion:
        return "refused", f"Refused: {flaw}. No version speaks, and HOLD is published."
    if same_recipe:
        lost = "Withdrawn, with the version that spoke before and has the same recipe"
        return "withdrawn", f"{lost}: {flaw}. No version speaks, and HOLD is published."
    return "refused", f"Refused: {flaw}. The version that spoke before goes on."


def _flaw(metrics: Metrics, limits: Parameters) -> dict[str, Any] | None:
    """What a record shows instead of skill: its name in `sentences`, and the figures; None if it shows skill."""
    rank_ic, t, sessions = metrics.get("rank_ic"), metrics.get("rank_ic_t"), metrics.get("sessions") or 0
    if sessions < limits.gate_minimum_sessions:
        return {"kind": "short", "sessions": sessions, "least": limits.gate_minimum_sessions}
    if rank_ic is None or t is None:
        return {"kind": "unmeasured"}
    if not t >= limits.gate_skill_t:
        return {"kind": "unskilled", "rank_ic": rank_ic, "rank_ic_t": t, "least": limits.gate_skill_t}
    loss, blind = metrics.get("log_loss"), metrics.get("log_loss_no_skill")
    if loss is not None and blind is not None and loss > blind + limits.gate_tolerance:
        figures = {"log_loss": loss, "log_loss_no_skill": blind, "tolerance": limits.gate_tolerance}
        return {"kind": "uncalibrated", **figures}
    return None


def _worse(common: Mapping[str, Any] | None, limits: Parameters) -> str | None:
    """Why a challenger is worse than the champion; None if it is not, or if nothing can be compared."""
    rank_ic, loss = ((common or {}).get(name) for name in ("rank_ic", "log_loss"))
    if rank_ic and rank_ic["challenger"] < rank_ic["champion"] - limits.gate_rank_ic_tolerance:
        return f"{_said('rank_ic', rank_ic)}: more than {limits.gate_rank_ic_tolerance:g} below the champion's"
    if loss and loss["challenger"] > loss["champion"] + limits.gate_tolerance:
        return f"{_said('log_loss', loss)}: more than {limits.gate_tolerance:g} above the champion's"
    return None


def _comparison(champion: Metrics | None, common: Mapping[str, Any] | None) -> str:
    """The end of the sentence about a promotion: what it was compared with."""
    if champion is None:
        return "and no version spoke before"
    if common is None:
        return "and no month in common with the champion"
    return f"and not worse than the champion: {', '.join(_said(name, mean) for name, mean in common.items())}"


def _said(name: str, mean: Mapping[str, Any]) -> str:
    """Both sides' means of one figure, in words."""
    words, digits = {"rank_ic": ("mean rank IC", 4), "log_loss": ("log loss", 6)}[name]
    mine, theirs = (f"{mean[side]:.{digits}f}" for side in ("challenger", "champion"))
    return f"{words} {mine} against {theirs} (common months: {mean['months']})"
