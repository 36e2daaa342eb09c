"""What the command line shows of the change of a recommendation.

What belongs here: the parts as text and as JSON. Kept elsewhere: the parts (`audit/explanation/change.py`),
options (`cli/results.py`).
"""

import json
from typing import Any

from boursomatic_assets.cli.views import text

PARTS = {
    "bars": "bars up to its session were restated",
    "features": "its own features, by the same version",
    "version": "the version, and whether any may speak",
    "rule": "the recipe, and the evidence that profiles ask for",
    "context": "the others, among which it is ranked",
}
"""What each part exchanges."""

RECIPE_CHANGED = "The recipe changed in between: rule holds all that cannot be separated across it. Confidence is"


def as_json(change: dict[str, Any]) -> str:
    """The change as a JSON object; times are ISO, naive UTC."""
    return json.dumps(change, indent=2, default=lambda value: value.isoformat())


def as_text(change: dict[str, Any]) -> str:
    """From what to what, and a row for each part with what it moved and what was advised after it."""
    before, after = change["from"], change["to"]
    title = (
        f"{change['symbol']}@{change['exchange']} {change['profile']}: {_label(before)} of the {change['market']}"
        f" session {before['as_of']:%Y-%m-%d} -> {_label(after)} of {after['as_of']:%Y-%m-%d}"
    )
    total = {"part": "in all", **after, "change": change["change"]}
    start = {"part": "before", **before, "change": {}}
    table = [_row(one) for one in (start, *change["parts"], total)]
    meaning = [f"  {part['part']:<10}{PARTS[part['part']]}" for part in change["parts"]]
    if before["meaning"] != after["meaning"]:
        meaning += ["", RECIPE_CHANGED, *(_confidence(*end) for end in (("before", before), ("after", after)))]
    return "\n".join([title, f"  {before['id']} -> {after['id']}", "", text.as_lines(table), "", *meaning])


def _row(part: dict[str, Any]) -> dict[str, str]:
    moved = {
        f"{name}": "" if (by := part["change"].get(column)) is None else text.change(by, 4)
        for name, column in (("expected %", "expected_return_pct"), ("confidence", "confidence"))
    }
    state = {
        "label": _label(part),
        "score": text.number(part["score"], 4),
        "rank": text.number(part["score_rank"], 3),
    }
    return {"part": part["part"], **moved, **state}


def _confidence(name: str, end: dict[str, Any]) -> str:
    return f"  {name:<10}{end['confidence']:.4f}: the probability {end['meaning']} (rules {end['rules']})"


def _label(state: dict[str, Any]) -> str:
    """The label, and the view if it is no opinion."""
    return state["label"] if state["view"] in (None, "given") else f"{state['label']} (view: {state['view']})"
