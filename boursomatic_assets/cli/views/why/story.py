"""What the command line shows of one recommendation's story.

What belongs here: the story as text and as JSON. Kept elsewhere: its bar as text (`bar.py`), the story
(`audit/explanation/story.py`), options (`cli/results.py`).
"""

import json
from typing import Any

from boursomatic_assets.cli.views.text import as_lines
from boursomatic_assets.cli.views.why.bar import as_time, bar_as_lines

Facts = dict[str, Any]


def as_json(story: Facts) -> str:
    """The story as a JSON object; times are ISO, naive UTC."""
    return json.dumps(story, indent=2, default=lambda value: value.isoformat())


def as_text(story: Facts) -> str:
    """The story in paragraphs, from the advice back to its bar and forth to its outcome."""
    paragraphs = [
        [*_advice(story["recommendation"]), *_expiry(story["expiry"])],
        bar_as_lines(story["bar"]),
        _features(story["features"]),
        _model(story["model"], story["score"]),
        *([_evidence(story["evidence"])] if story["evidence"] else []),
        _thresholds(story["thresholds"]),
        _versions(story["versions"]),
        _outcome(story["outcome"]),
        _replay(story["replay"]),
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs)


VIEWS = {
    "none": "it is no view: nothing is known of the instrument but what chance gives",
    "capped": "it is HOLD since others came first, and no opinion of the middle",
}
"""What a HOLD means that is no opinion."""


def _advice(advice: Facts) -> list[str]:
    name = f"{advice['symbol']}@{advice['exchange']} {advice['profile']}: {advice['label']}"
    later = advice["sessions_without_newer"]
    note = f"; it has none of the {later:,} later sessions of its market" if later else ""
    return [
        f"{name} of the {advice['market']} session {advice['as_of']:%Y-%m-%d}{note}",
        f"  confidence {_number(advice['confidence'])}, expected return {_number(advice['expected_return_pct'])} %"
        f" over {advice['horizon_days']} sessions, stop {_number(advice['stop_loss'])},"
        f" target {_number(advice['take_profit'])}",
        *([f"  {VIEWS[advice['view']]}"] if advice["view"] in VIEWS else []),
        f"  {advice['justification']}",
        f"  written {as_time(advice['generated_at'])} as {advice['id']}",
    ]


def _expiry(expiry: Facts | None) -> list[str]:
    if expiry is None:
        return []
    reasons = {
        "horizon": "expired, since its horizon has ended",
        "inactive": "expired, since its instrument trades no more",
        "renewed": "active again, since bars came late",
    }
    judged = f"judged by the session {expiry['session']:%Y-%m-%d}, the newest loaded one"
    return [f"  {reasons[expiry['reason']]}: {judged}, at {as_time(expiry['decided_at'])}"]


def _features(features: list[Facts]) -> list[str]:
    columns = ("value", "rank", "contribution")
    table = [{"feature": one["name"], **{name: _number(one[name]) for name in columns}} for one in features]
    return [
        "features, and their contributions to the score",
        *(f"  {line}" for line in as_lines(table).split("\n")),
    ]


def _model(model: Facts, score: Facts | None) -> list[str]:
    lines = [f"model {model['version']}"]
    for title, decision in (("champion since", model.get("since")), ("in force", model.get("in_force"))):
        if decision and not (title == "in force" and decision == model["since"]):
            champion = decision["champion"] or "nobody"
            lines.append(
                f"  {title} {as_time(decision['effective_at'])}: {champion};"
                f" {decision['about']} was {decision['kind']} by {decision['decided_by']}: {decision['reason']}"
            )
    if score:
        chances = ", ".join(f"{label} {_number(chance)}" for label, chance in score["probabilities"].items())
        by_chance = f" ({score['by_chance']:.1%} by chance)" if score["by_chance"] else ""
        lines.append(
            f"  score {_number(score['value'])}, place {score['place']:,} of {score['of']:,},"
            f" rank {score['rank']:.3f}"
        )
        lines.append(f"  probability: {chances}, {score['meaning']}{by_chance}")
    return lines


def _evidence(evidence: list[Facts]) -> list[str]:
    return [
        "evidence for the version, on sessions that it had not seen",
        *(
            f"  {one['profile']}: {one['evidence']:.3g} to 1 at {one['horizon']} sessions, and it asks for"
            f" {one['asked']:g} to 1: {'enough' if one['met'] else 'too little, so it has no view'}"
            for one in evidence
        ),
    ]


def _thresholds(thresholds: list[Facts] | None) -> list[str]:
    if thresholds is None:
        return ["thresholds: not known, since it cannot be replayed"]
    return [
        "thresholds",
        *(f"  {_threshold(**one)}{'' if one['met'] else ': so it is HOLD'}" for one in thresholds),
    ]


def _threshold(condition: str, value: Any, limit: Any, *, met: bool) -> str:
    """A condition with its number and its limit."""
    told = {
        "champion": lambda: f"champion: none ({limit})",
        "direction": lambda: _direction(value, limit),
        "worth": lambda: (
            f"worth more than the rest on the record: {' and '.join(value) or 'nothing'}, for {limit}"
        ),
        "evidence of bolder profiles": lambda: (
            "evidence of the bolder profiles: "
            + ", ".join(f"{name} {value[name]:.3g} to 1 of {asked:g} to 1" for name, asked in limit.items())
        ),
        "evidence": lambda: f"evidence: {value:.3g} to 1, at least {limit:g} to 1",
        "bolder profile": lambda: f"the next bolder profile: {value}, to agree with {limit}",
    }
    if condition in told:
        return told[condition]()
    bound = {
        "probability at the end": "at least",
        "probability": "at least",
        "volatility": "at most",
        "position": "at most",
    }[condition]
    known = _number(value) if value is not None else "not known"
    return f"{condition}: {known}, {f'{bound} {_number(limit)}' if limit is not None else 'any will do'}"


def _direction(direction: str | None, limit: Any) -> str:
    """The direction, and how it comes about: by its bands, or as the likelier one."""
    if isinstance(limit, str):
        return f"direction: {direction or 'a rise and a fall are equally likely'}"
    bands = (
        f"entered among the outermost {limit['enters beyond']:.0%} of its session's scores within"
        f" {limit['sessions']} sessions, and among the outermost {limit['stays within']:.0%} since"
    )
    return f"direction: {direction}, {bands}" if direction else f"direction: none, since it was not {bands}"


def _versions(versions: list[Facts]) -> list[str]:
    lines = ["rows of this session, in the order of writing"]
    for one in versions:
        end = f"superseded {as_time(one['superseded_at'])}" if one["superseded_at"] else "stands"
        state = f"{end}{', active' if one['is_active'] else ''}"
        lines.append(
            f"  {as_time(one['generated_at'])}  {one['id']}  {one['label']} {_number(one['confidence'])}: {state}"
        )
    return lines


def _outcome(outcome: Facts) -> list[str]:
    if not outcome["scored"]:
        return [f"outcome: not scored yet; it is due on {outcome['due'] or 'no session that the calendar knows'}"]
    touched = (
        f"; {outcome['first_touched']} touched on {outcome['touched_on']:%Y-%m-%d}"
        if outcome["touched_on"]
        else ""
    )
    if outcome["unscored"]:
        why = {
            "no bar": "the bar of its session was removed",
            "price basis": "a split, a restatement or an error is suspected in the prices of its horizon",
        }
        return [f"outcome: suspended on {outcome['ts']:%Y-%m-%d}, since {why[outcome['unscored']]}"]
    hit = {True: "a hit", False: "no hit", None: "not judged"}[outcome["hit"]]
    relative = outcome["relative_return_pct"]
    beside = "" if relative is None else f", {relative + 0.0:+.6g} beside its market"
    return [
        f"outcome, scored on {outcome['ts']:%Y-%m-%d}: {_number(outcome['realised_return_pct'])} %{beside},"
        f" which is {outcome['outcome']}: {hit}{touched}"
    ]


def _replay(replay: Facts) -> list[str]:
    causes = [*replay["altered"], *([replay["obstacle"]] if replay["obstacle"] else [])]
    return [f"made again from what is stored: {replay['status']}", *(f"  {cause}" for cause in causes)]


def _number(value: Any) -> str:
    return "-" if value is None else f"{value + 0.0:.6g}" if isinstance(value, float) else str(value)
