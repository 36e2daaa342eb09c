"""What the command line shows of model versions and of the decisions about them.

What belongs here: the book of decisions and a version's metrics as text and JSON, and a search as text.
Kept elsewhere: options and exit codes (`cli_models.py`), tables as text (`views.py`), who speaks (`decisions.py`).
"""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import polars as pl
import polars.selectors as cs

from boursomatic_assets import database
from boursomatic_assets.cli.views.text import as_text_table
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.search import SearchResult, searched_values
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import Decision, DecisionLog
from boursomatic_assets.database.server_time import database_time

BAR = 40
"""Characters of a share of 1 in a reliability curve."""

LONG = ("reliability", "by_month", "deciles")
"""Metrics that are no line: a curve of its own, and what fills pages."""


def versions() -> pl.DataFrame:
    """Every version, in order of its due date: its last decision, its skill, and who speaks now and is active.

    Raises:
        ValueError: there is none.
    """
    book, now = _book()
    if not book.versions:
        raise ValueError("there is no model version yet: `boursomatic backfill` trains those that are due")
    speaker = book.champion_at(now)
    rows = [
        {
            "version": version.version,
            "as_of": version.as_of,
            "decision": decided[-1].kind if (decided := book.decisions_about(version)) else None,
            "decided_by": decided[-1].decided_by if decided else None,
            "rank_ic": version.metrics.get("rank_ic"),
            "rank_ic_t": version.metrics.get("rank_ic_t"),
            "log_loss": version.metrics.get("log_loss"),
            "log_loss_no_skill": version.metrics.get("log_loss_no_skill"),
            "speaks": version == speaker,
            "active": version == book.active_version,
            "params_hash": version.params_hash,
        }
        for version in book.versions
    ]
    numbers = dict.fromkeys(("rank_ic", "rank_ic_t", "log_loss", "log_loss_no_skill"), pl.Float64)
    return pl.DataFrame(rows, schema_overrides=numbers, infer_schema_length=None)


def versions_as_table(found: pl.DataFrame) -> str:
    """Versions as a table; of the hash of the parameters its beginning, which tells recipes apart."""
    digits = {"rank_ic": 4, "rank_ic_t": 2, "log_loss": 5, "log_loss_no_skill": 5}
    return as_text_table(
        found.with_columns(
            pl.col("as_of").dt.strftime("%Y-%m-%d"),
            *(pl.col(name).round(places).cast(pl.String).fill_null("") for name, places in digits.items()),
            pl.col("speaks", "active").replace_strict({True: "yes", False: ""}, return_dtype=pl.String),
            pl.col("params_hash").str.head(8),
        ).rename({"params_hash": "recipe"})
    )


def one(name: str) -> str:
    """A version: its decisions, its metrics, and how often it was right when it was how sure.

    Raises:
        ValueError: there is no such version.
    """
    book, _ = _book()
    version = book.find_version(name)
    lines = [f"{version.version}, due {version.as_of:%Y-%m-%d %H:%M} UTC, parameters {version.params_hash}"]
    lines += [f"\n{decision(decided)}" for decided in book.decisions_about(version)]
    curve = version.metrics.get("reliability")
    lines += [
        "\nmetrics",
        *_lines({k: v for k, v in version.metrics.items() if k not in LONG}),
    ]
    return "\n".join([*lines, *(["\nreliability", *reliability(curve)] if curve else [])])


def one_as_json(name: str) -> str:
    """A version and its decisions as a JSON object.

    Raises:
        ValueError: there is no such version.
    """
    book, _ = _book()
    version = book.find_version(name)
    told = {
        "version": version.version,
        "as_of": version.as_of.isoformat(),
        "params_hash": version.params_hash,
        "metrics": version.metrics,
        "decisions": [_as_dict(decided) for decided in book.decisions_about(version)],
    }
    return json.dumps(told, indent=2)


def decision(decided: Decision) -> str:
    """A decision in words, with the numbers that were compared."""
    speaks = f"{decided.champion.version} speaks" if decided.champion else "no version speaks"
    lines = [
        f"{decided.kind} by {decided.decided_by}: from {decided.effective_at:%Y-%m-%d %H:%M:%S} UTC on {speaks}",
        f"  {decided.reason}",
    ]
    return "\n".join([*lines, *_lines(decided.numbers)])


def live(at: dt.datetime | None = None) -> str:
    """Which version speaks at a moment, now by default, or why none does."""
    book, now = _book()
    decided, moment = book.decision_at(at or now), f"{at or now:%Y-%m-%d %H:%M:%S} UTC"
    if decided is None:
        return f"no version spoke at {moment}: there was none yet"
    if decided.champion is None:
        return f"no version spoke at {moment}, and HOLD was published\n{_word(decided)}"
    return f"{decided.champion.version} spoke at {moment}\n{_word(decided)}"


def live_as_json(at: dt.datetime | None = None) -> str:
    """The same as a JSON object: at, version (null: none) and the decision in force (null: none yet)."""
    book, now = _book()
    decided = book.decision_at(at or now)
    speaker = decided.champion if decided else None
    told = {
        "at": (at or now).isoformat(),
        "version": speaker.version if speaker else None,
        "decision": _as_dict(decided) if decided else None,
    }
    return json.dumps(told, indent=2)


def reliability(curve: list[list[float]]) -> list[str]:
    """A reliability curve as lines: mean confidence, share that was right, rows, and the share as a bar.

    Args:
        curve: mean confidence, share right and number of rows, of each bin.
    """
    bins = [f"  {sure:>10.3f}  {right:>6.3f}  {n:>9,}  {'#' * round(right * BAR)}" for sure, right, n in curve]
    return [f"  {'confidence':>10}  {'right':>6}  {'rows':>9}", *bins]


def search(found: SearchResult, present: Parameters) -> str:
    """The trials of a search, the present and the found parameters, and what to write into the code for these."""
    old, new = searched_values(present), searched_values(found.parameters)
    lines = [f"    {name}: {type(new[name]).__name__} = {new[name]}" for name in new if new[name] != old[name]]
    told = (
        "to use what was found, write into boursomatic_assets/learning/parameters.py:"
        if lines
        else "no trial was better than the present parameters"
    )
    rounded = cs.starts_with("rank_ic").round(4)
    tables = [as_text_table(frame.with_columns(rounded)) for frame in (found.trials, found.comparison)]
    return "\n".join([*tables, told, *lines])


def _book() -> tuple[DecisionLog, dt.datetime]:
    """All versions and decisions, and what time it is for the database."""
    with database.engine().connect() as connection:
        return decisions.read_log(connection), database_time(connection)


def _word(decided: Decision) -> str:
    """What the decision in force was, in a line or two."""
    of = f"about {decided.version.version} by {decided.decided_by}, from {decided.effective_at:%Y-%m-%d %H:%M:%S}"
    return f"  {decided.kind}: decision {of} UTC on\n  {decided.reason}"


def _as_dict(decided: Decision) -> dict[str, Any]:
    return {
        "version": decided.version.version,
        "kind": decided.kind,
        "speaker": decided.champion.version if decided.champion else None,
        "effective_at": decided.effective_at.isoformat(),
        "reason": decided.reason,
        "numbers": decided.numbers,
        "decided_by": decided.decided_by,
        "decided_at": decided.decided_at.isoformat(),
    }


def _lines(metrics: Mapping[str, Any]) -> list[str]:
    """Figures, one on a line; those of a group on the line of its name."""
    return [f"  {name + ':':<22}{_figure(value)}" for name, value in metrics.items() if value is not None]


def _figure(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name} ({_figure(inner)})" if isinstance(inner, Mapping) else f"{name} {_figure(inner)}"
            for name, inner in value.items()
            if inner is not None
        )
    if isinstance(value, list):
        return ", ".join(map(_figure, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
