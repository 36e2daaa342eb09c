"""What the command line shows of model versions and of the decisions about them.

What belongs here: the decision log and a version's metrics as text and JSON, and a search as text.
Kept elsewhere: options and exit codes (`cli/models.py`), tables as text (`text.py`), which version is champion at
a time (`registry/decisions.py`).
"""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import polars as pl
import polars.selectors as cs

from boursomatic_assets import database, settings
from boursomatic_assets.advice.profiles import is_proven, profiles_asking
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.cli.views.text import as_text_table
from boursomatic_assets.database.server_time import database_time
from boursomatic_assets.language import ENGLISH
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.search import SearchResult, searched_values
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import Decision, DecisionLog

BAR_WIDTH = 40
"""Characters of the bar for a share of 1 in a reliability curve."""

MULTILINE_METRICS = ("reliability", "by_month", "deciles")
"""Metrics that are not shown on a line: the curve is drawn, and the others fill pages."""

HORIZONS = Parameters.horizons
EVIDENCE = tuple(f"evidence_{horizon}" for horizon in HORIZONS)
"""The columns of a version's evidence."""


def versions() -> pl.DataFrame:
    """Every version, in order of its due date: its last decision, its skill, whether it is champion, and active.

    Raises:
        ValueError: There is none.
    """
    log, now = _read_decision_log()
    if not log.versions:
        raise ValueError("there is no model version yet: `boursomatic backfill` trains those that are due")
    champion = log.champion_at(now)
    rows = [
        {
            "version": version.version,
            "as_of": version.as_of,
            "decision": about[-1].kind if (about := log.decisions_about(version)) else None,
            "decided_by": about[-1].decided_by if about else None,
            "rank_ic": version.metrics.get("rank_ic"),
            "rank_ic_t": version.metrics.get("rank_ic_t"),
            "log_loss": version.metrics.get("log_loss"),
            "log_loss_no_skill": version.metrics.get("log_loss_no_skill"),
            **_evidence(version.metrics),
            "champion": version == champion,
            "active": version == log.active_version,
            "params_hash": version.params_hash,
        }
        for version in log.versions
    ]
    numbers = dict.fromkeys(("rank_ic", "rank_ic_t", "log_loss", "log_loss_no_skill", *EVIDENCE), pl.Float64)
    return pl.DataFrame(rows, schema_overrides=numbers, infer_schema_length=None)


def versions_as_table(shown: pl.DataFrame) -> str:
    """Versions as a table, the evidence of each by horizon, such as `12 / 5.1 / 2.3` to 1.

    The beginning of the hash of the parameters tells recipes apart.
    """
    digits = {"rank_ic": 4, "rank_ic_t": 2, "log_loss": 5, "log_loss_no_skill": 5}
    return as_text_table(
        shown.with_columns(
            pl.col("as_of").dt.strftime("%Y-%m-%d"),
            *((pl.col(name).round(places) + 0.0).cast(pl.String).fill_null("") for name, places in digits.items()),
            pl.col("champion", "active").replace_strict({True: "yes", False: ""}, return_dtype=pl.String),
            pl.col("params_hash").str.head(8),
            pl.Series(EVIDENCE[0], [" / ".join(map(_ratio, row)) for row in shown.select(EVIDENCE).rows()]),
        )
        .drop(EVIDENCE[1:])
        .rename({"params_hash": "recipe", EVIDENCE[0]: "evidence", "log_loss_no_skill": "no_skill"}),
        whole=True,
    )


def version_as_text(name: str) -> str:
    """A version: its decisions, its metrics, and its reliability curve.

    Raises:
        ValueError: There is no such version.
    """
    log, _ = _read_decision_log()
    version = log.find_version(name)
    lines = [f"{version.version}, due {version.as_of:%Y-%m-%d %H:%M} UTC, parameters {version.params_hash}"]
    lines += [f"\n{decision_as_text(decision)}" for decision in log.decisions_about(version)]
    curve = version.metrics.get("reliability")
    lines += ["\nevidence", *(f"  {line}" for line in evidence_lines(version.metrics))]
    lines += [
        "\nmetrics",
        *_figure_lines({k: v for k, v in version.metrics.items() if k not in MULTILINE_METRICS}),
    ]
    return "\n".join([*lines, *(["\nreliability", *reliability_lines(curve)] if curve else [])])


def evidence_lines(metrics: Mapping[str, Any]) -> list[str]:
    """The evidence for a version, and whether it is as much as each profile asks for, the boldest first."""
    standing, has_view, lines = Standing.from_metrics(metrics), True, list[str]()
    for profile in reversed(profiles_asking(settings.evidence())):
        has_view = has_view and is_proven(profile, standing)
        found = f"{_ratio(standing.evidence(profile.horizon))} to 1 at {profile.horizon} sessions"
        asked = f"{profile.name} asks for {_ratio(profile.evidence)} to 1"
        lines.append(f"{found}, {asked}: {'it has a view' if has_view else 'it has no view'}")
    return lines


def version_as_json(name: str) -> str:
    """A version and its decisions as a JSON object.

    Raises:
        ValueError: There is no such version.
    """
    log, _ = _read_decision_log()
    version = log.find_version(name)
    fields = {
        "version": version.version,
        "as_of": version.as_of.isoformat(),
        "params_hash": version.params_hash,
        "metrics": version.metrics,
        "decisions": [_decision_as_dict(decision) for decision in log.decisions_about(version)],
    }
    return json.dumps(fields, indent=2)


def decision_as_text(decision: Decision) -> str:
    """A decision in words, with the numbers that were compared."""
    champion = f"{decision.champion.version} is champion" if decision.champion else "there is no champion"
    lines = [
        f"{decision.kind} by {decision.decided_by}: {champion} from {decision.effective_at:%Y-%m-%d %H:%M:%S} UTC",
        f"  {decision.reason}",
    ]
    return "\n".join([*lines, *_figure_lines(decision.numbers)])


def champion_as_text(at: dt.datetime | None = None) -> str:
    """The champion at a time, now by default, or why there is none."""
    log, now = _read_decision_log()
    decision, time = log.decision_at(at or now), f"{at or now:%Y-%m-%d %H:%M:%S} UTC"
    if decision is None:
        return f"no champion at {time}: there is no model version yet"
    if decision.champion is None:
        return f"no champion at {time}: every recommendation is HOLD\n{_decision_in_force(decision)}"
    return f"{decision.champion.version} is champion at {time}\n{_decision_in_force(decision)}"


def champion_as_json(at: dt.datetime | None = None) -> str:
    """The champion as a JSON object: at, version (null: none) and the decision in force (null: none yet)."""
    log, now = _read_decision_log()
    decision = log.decision_at(at or now)
    champion = decision.champion if decision else None
    fields = {
        "at": (at or now).isoformat(),
        "version": champion.version if champion else None,
        "decision": _decision_as_dict(decision) if decision else None,
    }
    return json.dumps(fields, indent=2)


def reliability_lines(curve: list[list[float]]) -> list[str]:
    """A reliability curve as lines: mean confidence, share of correct labels, rows, and the share as a bar.

    Args:
        curve: Mean confidence, share of correct labels and number of rows, of each bin.
    """
    bins = [
        f"  {confidence:>10.3f}  {right:>6.3f}  {n:>9,}  {'#' * round(right * BAR_WIDTH)}"
        for confidence, right, n in curve
    ]
    return [f"  {'confidence':>10}  {'right':>6}  {'rows':>9}", *bins]


def search_as_text(found: SearchResult, present: Parameters) -> str:
    """The trials of a search, the present and the best parameters, and what to write into the code for these."""
    old, new = searched_values(present), searched_values(found.parameters)
    lines = [f"    {name}: {type(new[name]).__name__} = {new[name]}" for name in new if new[name] != old[name]]
    hint = (
        "to use the parameters that were found, write into boursomatic_assets/learning/parameters.py:"
        if lines
        else "no trial was better than the present parameters"
    )
    rounded = cs.starts_with("rank_ic").round(4) + 0.0
    tables = [as_text_table(frame.with_columns(rounded)) for frame in (found.trials, found.comparison)]
    return "\n".join([*tables, hint, *lines])


def _evidence(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """How many to one speak for a version, by horizon; None where nothing is known."""
    found = metrics.get("evidence") or {}
    return {name: found.get(str(h), {}).get("value") for name, h in zip(EVIDENCE, HORIZONS, strict=True)}


def _ratio(value: float | None) -> str:
    return "-" if value is None else ENGLISH.ratio(value)


def _read_decision_log() -> tuple[DecisionLog, dt.datetime]:
    """Read all versions and decisions, and the time of the database."""
    with database.engine().connect() as connection:
        return decisions.read_log(connection), database_time(connection)


def _decision_in_force(decision: Decision) -> str:
    """The decision that holds at the time that is asked for, in two lines."""
    start = f"{decision.effective_at:%Y-%m-%d %H:%M:%S} UTC"
    subject = f"about {decision.version.version} by {decision.decided_by}, from {start}"
    return f"  {decision.kind}: decision {subject}\n  {decision.reason}"


def _decision_as_dict(decision: Decision) -> dict[str, Any]:
    return {
        "version": decision.version.version,
        "kind": decision.kind,
        "speaker": decision.champion.version if decision.champion else None,
        "effective_at": decision.effective_at.isoformat(),
        "reason": decision.reason,
        "numbers": decision.numbers,
        "decided_by": decision.decided_by,
        "decided_at": decision.decided_at.isoformat(),
    }


def _figure_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Figures, one on each line; a group of figures is on the line of its name."""
    return [f"  {name + ':':<22}{_figure_as_text(value)}" for name, value in metrics.items() if value is not None]


def _figure_as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name} ({_figure_as_text(inner)})"
            if isinstance(inner, Mapping)
            else f"{name} {_figure_as_text(inner)}"
            for name, inner in value.items()
            if inner is not None
        )
    if isinstance(value, list):
        return ", ".join(map(_figure_as_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
