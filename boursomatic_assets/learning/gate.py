"""The gate: whether a challenger becomes champion, and what follows if it does not.

What belongs here: the comparison of two records of out-of-sample scores, by their metrics, and its reason as text.
Kept elsewhere: metrics of a record (`evaluation/`), the decision log (`registry/`), the text of a flaw
(`language/`).

A version with the champion's recipe is a retrain: it follows the champion, unless the evidence against the recipe
has reached what is asked for it; then the champion is withdrawn, and there is none. A version with another recipe
is a challenger, and is compared with the champion.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from boursomatic_assets.language import ENGLISH
from boursomatic_assets.learning.parameters import Parameters

Metrics = Mapping[str, Any]
"""rank_ic, rank_ic_t, log_loss, log_loss_no_skill, sessions, evidence by horizon as `EvidenceRecord.before`
returns it, and by_month: {"2021-03": [rank_ic, log_loss, sampled sessions]}. Any number may be null."""

COMPARED_FIGURES = ("rank_ic", "rank_ic_t", "log_loss", "log_loss_no_skill", "sessions", "evidence")
"""The metrics of both versions that are stored with the comparison."""

RANK_IC, LOG_LOSS, SESSIONS = range(3)
"""Indices in a month of `by_month`."""

Kind = Literal["promoted", "retrained", "refused", "withdrawn"]


@dataclass(frozen=True)
class Demand:
    """The least evidence that lets anybody speak.

    Attributes:
        horizon: Sessions of the steps that the evidence is of.
        least: How many to one.
    """

    horizon: int
    least: float


@dataclass(frozen=True)
class Verdict:
    """The decision about a challenger, its reason in English, and the numbers of both versions with any flaw."""

    kind: Kind
    reason: str
    numbers: dict[str, Any]


def judge_challenger(
    challenger: Metrics, champion: Metrics | None, limits: Parameters, demand: Demand, *, same_recipe: bool
) -> Verdict:
    """Judge a challenger by its evidence, and compare another recipe with the champion's.

    Args:
        challenger: The metrics of its record before its due date.
        champion: Those of the champion until then; None if there was none.
        limits: The parameters of the gate.
        demand: The evidence that is asked.
        same_recipe: Whether both have the same parameters.

    Returns:
        `promoted`: the challenger is champion. `retrained`: it is, with the recipe of the one before.
        `refused`: the champion stays, or there is still none. `withdrawn`: there is no champion any more.
    """
    numbers = compare_metrics(challenger, champion)
    if champion is not None and same_recipe:
        return _judge_retrain(challenger, demand, numbers)
    if flaw := _find_flaw(challenger, limits, demand):
        follows = "No version speaks, and HOLD is published" if champion is None else _GOES_ON
        return Verdict("refused", f"Refused: {ENGLISH.flaw(flaw)}. {follows}.", numbers | {"flaw": flaw})
    if shortfall := _find_shortfall(numbers["on_common_months"], limits):
        return Verdict("refused", f"Refused: {shortfall}. {_GOES_ON}.", numbers)
    comparison = _comparison(champion, numbers["on_common_months"])
    return Verdict("promoted", f"Promoted: {_describe(challenger, demand)}, {comparison}.", numbers)


_GOES_ON = "The version that spoke before goes on"


def _judge_retrain(challenger: Metrics, demand: Demand, numbers: dict[str, Any]) -> Verdict:
    against = _evidence(challenger, demand, "against")
    if against is not None and against >= demand.least:
        flaw = {"kind": "disproved", "against": against, "least": demand.least, "horizon": demand.horizon}
        opening = "Withdrawn, with the version that spoke before and has the same recipe"
        reason = f"{opening}: {ENGLISH.flaw(flaw)}. No version speaks, and HOLD is published."
        return Verdict("withdrawn", reason, numbers | {"flaw": flaw})
    return Verdict("retrained", f"Retrained with the champion's recipe: {_describe(challenger, demand)}.", numbers)


def _describe(metrics: Metrics, demand: Demand) -> str:
    """Return the evidence and the record of a version as text."""
    evidence = _evidence(metrics, demand, "value")
    rank_ic = metrics.get("rank_ic")
    record = "no mean rank IC" if rank_ic is None else f"mean rank IC {rank_ic:.4f}"
    proof = "no evidence" if evidence is None else f"evidence {evidence:.3g} to 1 at {demand.horizon} sessions"
    return f"{proof}, {record} over {metrics.get('sessions') or 0} sampled sessions"


def _evidence(metrics: Metrics, demand: Demand, name: str) -> float | None:
    found = (metrics.get("evidence") or {}).get(str(demand.horizon)) or {}
    value: float | None = found.get(name)
    return value


def compare_metrics(challenger: Metrics, champion: Metrics | None) -> dict[str, Any]:
    """Return the figures of both versions as JSON, and their means over the months that both have.

    `on_common_months` has, for rank_ic and log_loss, the challenger's mean, the champion's and the number of
    months. A month counts where both have a value for as many sampled sessions, and is weighted by their number.
    It is null without such a month.
    """
    numbers = {"challenger": _figures(challenger), "champion": champion and _figures(champion)}
    common = champion and {
        name: mean
        for name, index in (("rank_ic", RANK_IC), ("log_loss", LOG_LOSS))
        if (mean := _weighted_means(list(_common_months(challenger, champion, index))))
    }
    return {**numbers, "on_common_months": common or None}


def _figures(metrics: Metrics) -> dict[str, Any]:
    return {name: metrics.get(name) for name in COMPARED_FIGURES}


def _common_months(challenger: Metrics, champion: Metrics, index: int) -> Iterator[tuple[float, float, float]]:
    """Yield both values and the weight of each month in which both have one, of as many sampled sessions.

    Of a record's last month only the first sessions were known on its due date; a later record has all of it.
    """
    challenger_months, champion_months = (metrics.get("by_month") or {} for metrics in (challenger, champion))
    for month in sorted(challenger_months.keys() & champion_months.keys()):
        ours, theirs = challenger_months[month], champion_months[month]
        same_sessions = ours[SESSIONS] == theirs[SESSIONS] > 0
        if same_sessions and ours[index] is not None and theirs[index] is not None:
            yield ours[index], theirs[index], ours[SESSIONS]


def _weighted_means(months: list[tuple[float, float, float]]) -> dict[str, float] | None:
    if not months:
        return None
    total = sum(weight for *_, weight in months)
    challenger, champion = (sum(month[side] * month[2] for month in months) / total for side in (0, 1))
    return {"challenger": challenger, "champion": champion, "months": len(months)}


def _find_flaw(metrics: Metrics, limits: Parameters, demand: Demand) -> dict[str, Any] | None:
    """Return why a record shows no skill: a key of `Wording.flaws`, with its figures; None if it shows skill."""
    sessions, evidence = metrics.get("sessions") or 0, _evidence(metrics, demand, "value")
    if sessions < limits.gate_minimum_sessions:
        return {"kind": "short", "sessions": sessions, "least": limits.gate_minimum_sessions}
    if evidence is None:
        return {"kind": "unmeasured"}
    if not evidence >= demand.least:
        return {"kind": "unproven", "evidence": evidence, "least": demand.least, "horizon": demand.horizon}
    return None


def _find_shortfall(common: Mapping[str, Any] | None, limits: Parameters) -> str | None:
    """Return why a challenger ranks worse than the champion; None if it does not, or without a common month."""
    rank_ic = (common or {}).get("rank_ic")
    if rank_ic and rank_ic["challenger"] < rank_ic["champion"] - limits.gate_rank_ic_tolerance:
        means, tolerance = _compare_means("rank_ic", rank_ic), limits.gate_rank_ic_tolerance
        return f"{means}: more than {tolerance:g} below the champion's"
    return None


def _comparison(champion: Metrics | None, common: Mapping[str, Any] | None) -> str:
    """Return the end of the sentence about a promotion: what the challenger was compared with."""
    if champion is None:
        return "and no version spoke before"
    if common is None:
        return "and no month in common with the champion"
    means = ", ".join(_compare_means(name, mean) for name, mean in common.items())
    return f"and not worse than the champion: {means}"


def _compare_means(name: str, mean: Mapping[str, Any]) -> str:
    """Return the means of one figure of both versions as text."""
    title, digits = {"rank_ic": ("mean rank IC", 4), "log_loss": ("log loss", 6)}[name]
    challenger, champion = (f"{mean[side]:.{digits}f}" for side in ("challenger", "champion"))
    return f"{title} {challenger} against {champion} (common months: {mean['months']})"
