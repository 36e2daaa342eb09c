"""Story: why one recommendation is what it is, from the bar to its outcome.

What belongs here: everything that is known of it, step by step.
Kept elsewhere: which one is meant (`finding.py`), its bar and its outcome (`provenance.py`), what decided
(`thresholds.py`), whether it comes out again (`replay.py`), how the story is shown (`cli/views/why/story.py`).
"""

import datetime as dt

import polars as pl

from boursomatic_assets.advice.signals import DECISION_COLUMNS, FEATURE_COLUMNS, FeaturesSnapshot, parse_snapshot
from boursomatic_assets.audit import inputs, provenance
from boursomatic_assets.audit.evidence import Company
from boursomatic_assets.audit.finding import find_recommendation
from boursomatic_assets.audit.provenance import Facts
from boursomatic_assets.audit.replay import Replayer, company_of
from boursomatic_assets.audit.session_model import SessionModel
from boursomatic_assets.audit.stored import PublishedSession, read_rows
from boursomatic_assets.audit.thresholds import describe_thresholds
from boursomatic_assets.language.units import RANK_SUFFIX
from boursomatic_assets.registry.decisions import Decision, DecisionLog


def tell(symbol: str, profile: str, date: dt.date | None = None) -> Facts:
    """The story of an instrument's recommendation, the newest or that of a session.

    Args:
        symbol: A symbol, a symbol and an exchange as SYMBOL@EXCHANGE, or the id of a recommendation.
        profile: One of the risk profiles.
        date: A session; its current recommendation is told.

    Returns:
        recommendation, replay, bar, features, score, model, evidence, thresholds, expiry, versions and outcome.
        What rests on the model is None where the recommendation cannot be replayed; `replay` says why. `evidence`
        is None too where none was asked for.

    Raises:
        ValueError: There is no such instrument, or it has no such recommendation; the message says why.
    """
    session, identifier = find_recommendation(symbol, profile, date)
    replayer = Replayer()
    rows = read_rows(session)
    group = rows.filter(pl.col("id") == identifier)
    row = replayer.replay(session, lambda _: group).row(0, named=True)
    made_by = replayer.models.model_of(session, group)
    prediction = None if isinstance(made_by, str) else _predict(made_by, rows, group, row)
    known = None if isinstance(made_by, str) else made_by.known
    return {
        "recommendation": _describe(row, session),
        "replay": {name: row[name] for name in ("status", "altered", "obstacle")},
        "bar": provenance.describe_bar(session, row),
        "features": _features(row, session, prediction),
        "score": prediction and prediction["score"],
        "model": {"version": row["version"], **(_decisions(known, session) if known else {})},
        "evidence": prediction and prediction["evidence"],
        "thresholds": prediction and prediction["thresholds"],
        "expiry": provenance.describe_expiry(row),
        "versions": provenance.describe_versions(session, row),
        "outcome": provenance.describe_outcome(session, row),
    }


def _describe(row: Facts, session: PublishedSession) -> Facts:
    later = provenance.sessions_since(session) if row["is_active"] else []
    names = ("id", "symbol", "exchange", "profile", *DECISION_COLUMNS, "justification", "as_of", "generated_at",
             "superseded_at", "is_active")  # fmt: skip
    facts = {name: row[name] for name in names}
    return facts | {"market": session.market.name, "sessions_without_newer": len(later)}


def _predict(made_by: SessionModel, rows: pl.DataFrame, group: pl.DataFrame, row: Facts) -> Facts | None:
    """The score, its rank, contributions and thresholds of a row that can be replayed; None of another."""
    company = Company.read(company_of(rows, group), made_by.recipe)
    if row["obstacle"] or company.strangers:
        return None
    snapshot, recipe = company.snapshot(row["features_snapshot"]), made_by.recipe
    snapshots, is_own = company.snapshots(), pl.col("instrument_id") == row["instrument_id"]
    snapshots[row["instrument_id"]] = snapshot
    predicted = made_by.predict(snapshots)
    own = predicted.row(by_predicate=is_own, named=True)
    decided = made_by.decide(snapshots, snapshot.asked).filter(is_own)
    failed = decided.row(by_predicate=pl.col("profile") == row["profile"], named=True)["failed_condition"]
    return {
        "score": {
            "value": own["score"],
            "rank": own["score_rank"],
            "place": int((predicted["score"] > own["score"]).sum()) + 1,
            "of": predicted.height,
            "probabilities": {label: own[f"p_{label}_{row['horizon_days']}"] for label in ("sell", "hold", "buy")},
            "meaning": recipe.meaning,
            "by_chance": recipe.chance,
        },
        "contributions": own["contributions"],
        "evidence": recipe.evidence(snapshot.asked),
        "thresholds": describe_thresholds(
            recipe.conditions(row["profile"], decided, snapshot.asked),
            failed,
            made_by.known.decision_at(made_by.session.as_of),
        ),
    }


def _features(row: Facts, session: PublishedSession, prediction: Facts | None) -> list[Facts]:
    """Each feature with its value, its rank and its contribution; the largest contribution first."""
    try:
        snapshot: FeaturesSnapshot = parse_snapshot(row["features_snapshot"])
    except ValueError:  # `replay` says so
        return []
    contributions = prediction["contributions"] if prediction else {}
    stored = inputs.stored_values(session, row["generated_at"]).get((row["symbol"], row["exchange"]), {})
    ranked = {name.removesuffix(RANK_SUFFIX) for name in snapshot.features if name.endswith(RANK_SUFFIX)}
    plain = {name for name in snapshot.features if not name.endswith(RANK_SUFFIX)}
    described = [
        {
            "name": name,
            "value": snapshot.features.get(name, stored.get(name)),
            "rank": snapshot.features.get(f"{name}{RANK_SUFFIX}"),
            "contribution": contributions.get(f"{name}{RANK_SUFFIX}", contributions.get(name)),
        }
        for name in sorted(ranked | plain | {*FEATURE_COLUMNS})
    ]
    return sorted(described, key=lambda one: -abs(one["contribution"] or 0))


def _decisions(known: DecisionLog, session: PublishedSession) -> Facts:
    """The decision in force at a session's close, and the one that made its champion champion."""
    until = known.decisions_until(session.as_of)
    in_force = until[-1] if until else None
    made = in_force
    for decision in reversed(until):
        if in_force is None or decision.champion != in_force.champion:
            break
        made = decision
    return {"in_force": _decision(in_force), "since": _decision(made)}


def _decision(decision: Decision | None) -> Facts | None:
    if decision is None:
        return None
    return {
        "kind": decision.kind,
        "about": decision.version.version,
        "champion": decision.champion and decision.champion.version,
        "effective_at": decision.effective_at,
        "decided_by": decision.decided_by,
        "decided_at": decision.decided_at,
        "reason": decision.reason,
    }
