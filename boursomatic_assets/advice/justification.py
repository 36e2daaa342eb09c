"""Justification: why a recommendation is what it is, in one or two plain sentences with the numbers.

What belongs here: which features a sentence names (those with the largest contributions to the model's score, of
either sign), and how they are put together with the reason of a HOLD.
Kept elsewhere: the texts (`language/`), which label a profile decides on (`profiles.py`), what is published
(`signals.py`).

A score ranks an instrument within its market: a positive contribution supports a better place, a negative one a
worse one.
"""

import datetime as dt
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from boursomatic_assets.advice.profiles import RiskProfile, label_probability
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.arrays import Floats, Positions
from boursomatic_assets.language import Wording
from boursomatic_assets.language.units import RANK_SUFFIX
from boursomatic_assets.language.wording import OF_ITS_MARKET
from boursomatic_assets.learning.labels import CLASSES

EVIDENCE_SLOTS = {"up": (-1, 1), "up_next": (-2, 1), "down": (0, -1), "down_next": (1, -1)}
"""The features that a sentence may name: index among the features of a row, sorted by contribution, and the sign
that the contribution must have there."""


def explain_abstention(kind: str, date: dt.date, reason: str, numbers: Mapping[str, Any], wording: Wording) -> str:
    """Return the justification of every HOLD without a champion: which version the gate refused, and why.

    Args:
        kind: The kind of the gate's decision: refused or withdrawn.
        date: The date from which it is effective.
        reason: Its stored reason, in English.
        numbers: Its stored numbers: the names of both versions, and the flaw.
        wording: The language to write in.
    """
    flaw, versions = numbers.get("flaw"), numbers["versions"]
    return wording.abstentions[kind].format(
        label=wording.labels["HOLD"],
        challenger=versions["challenger"],
        champion=versions["champion"],
        date=date,
        flaw=wording.flaw(flaw) if flaw else wording.unspecified_flaw.format(reason=reason.rstrip(".")),
    )


def describe_evidence(rows: pl.DataFrame, wording: Wording) -> pl.DataFrame:
    """Return which features support or oppose a BUY, a SELL and a HOLD of each row: a column for each label.

    Args:
        rows: contributions (struct: the contribution of each feature of the model to the score), those features,
            and the features that they rank.
        wording: The language to write in.

    Raises:
        ValueError: A feature has no wording yet.
    """
    pro, contra, rise, fall = wording.sides

    def sentence(clause: pl.Expr, opposing_clause: pl.Expr) -> pl.Expr:
        return pl.format(wording.two_sides, clause, opposing_clause)

    sentences = _name_features(rows, wording).select(
        BUY=sentence(_support(wording, pro, "up", "up_next"), _support(wording, contra, "down")),
        SELL=sentence(_support(wording, pro, "down", "down_next"), _support(wording, contra, "up")),
        HOLD=sentence(_support(wording, rise, "up"), _support(wording, fall, "down")),
    )
    capitalised = pl.all().str.head(1).str.to_uppercase() + pl.all().str.slice(1)
    market_once = pl.all().str.replace(OF_ITS_MARKET, wording.of_its_market, literal=True)
    return sentences.with_columns(capitalised).select(market_once.str.replace_all(OF_ITS_MARKET, "", literal=True))


def write_justifications(
    profile: RiskProfile,
    bolder: RiskProfile | None,
    rows: pl.DataFrame,
    version: str,
    standing: Standing,
    wording: Wording,
) -> pl.Series:
    """Return the justification of each row: its label and reason, the features for and against it, the evidence.

    Args:
        profile: The profile that decided.
        bolder: The next bolder profile, if there is one.
        rows: The arguments and the result of `profiles.decide_labels`, and the result of `describe_evidence`.
        version: The name of the version that made the rows.
        standing: What is known of it.
        wording: The language to write in.
    """
    openings = ((None, wording.opening), *wording.hold_reasons.items())
    opening = pl.coalesce(
        pl.when(pl.col("failed_condition").eq_missing(pl.lit(condition))).then(pl.format(text))
        for condition, text in openings
    )
    features = pl.coalesce(pl.when(pl.col("label") == label).then(pl.col(label)) for label in CLASSES)
    values = _template_values(profile, bolder, wording)
    evidence = {
        "version": pl.lit(version),
        "evidence": pl.lit(wording.ratio(standing.evidence(profile.horizon))),
    }
    rows = rows.with_columns(**values, **evidence)
    return rows.select(opening + features + pl.format(wording.evidence)).to_series()


def _template_values(profile: RiskProfile, bolder: RiskProfile | None, wording: Wording) -> dict[str, pl.Expr]:
    """Return the values of the named places in the openings."""
    by_label = [pl.when(pl.col("label") == label).then(label_probability(label, profile)) for label in CLASSES]

    def percent(values: pl.Expr) -> pl.Expr:
        return wording.number(values * 100, 1)

    return {
        "label_text": pl.col("label").replace_strict(wording.labels),
        "third": pl.col("label").replace_strict(wording.thirds),
        "direction_label": pl.col("direction").replace_strict(wording.labels, default=None),
        "probability": percent(pl.coalesce(by_label)),
        "direction_probability": percent(pl.col("direction_probability")),
        "best_probability": percent(pl.col("best_probability")),
        "opposite_probability": percent(pl.col("opposite_probability")),
        "volatility_percent": percent(pl.col("volatility")),
        "horizon": pl.lit(profile.horizon),
        "asked": pl.lit(wording.ratio(profile.evidence)),
        "profile_name": pl.lit(wording.profiles[profile.name]),
        "bolder_name": pl.lit(wording.profiles[bolder.name] if bolder else None, pl.String),
        "minimum": pl.lit(wording.share(round(profile.minimum_confidence, 4))),
        "limit": pl.lit(wording.share(profile.volatility_limit or 0)),
        "most_positions": pl.lit(profile.positions),
    }


def _support(wording: Wording, side: str, *slots: str) -> pl.Expr:
    """Return the clause that the features of these slots, as far as there are any, support a side."""
    nothing, one_feature, two_features = wording.support
    clauses = [pl.format(one_feature, pl.col(slots[0]), pl.lit(side)), pl.lit(nothing.format(side))]
    if len(slots) > 1:
        clauses.insert(0, pl.format(two_features, *map(pl.col, slots), pl.lit(side)))
    return pl.coalesce(clauses)


def _name_features(rows: pl.DataFrame, wording: Wording) -> pl.DataFrame:
    """Return the features of EVIDENCE_SLOTS as text, a column each; null where a slot has none."""
    features = rows["contributions"].struct.fields
    indices = _slot_features(rows["contributions"].struct.unnest().to_numpy()).ravel(order="F")
    values = rows.select({name for feature in features for name in (feature, feature.removesuffix(RANK_SUFFIX))})
    # Feature by feature: only values that a sentence names are formatted.
    by_feature = indices.argsort(kind="stable")
    ends = np.searchsorted(indices[by_feature], range(len(features) + 1))
    texts = [pl.Series("text", [None] * ends[0], pl.String)]
    for feature, (start, end) in zip(features, pairwise(ends), strict=True):
        if end > start:
            texts.append(wording.feature(feature, values[by_feature[start:end] % rows.height]).alias("text"))
    text = pl.concat(texts).gather(by_feature.argsort())
    return pl.DataFrame({slot: text.slice(i * rows.height, rows.height) for i, slot in enumerate(EVIDENCE_SLOTS)})


def _slot_features(contributions: Floats) -> Positions:
    """Return the index of the feature in each of EVIDENCE_SLOTS, rows x slots; -1 where there is none."""
    order, rows = contributions.argsort(axis=1, kind="stable"), np.arange(len(contributions))
    indices = np.full((len(contributions), len(EVIDENCE_SLOTS)), -1)
    for slot, (place, sign) in enumerate(EVIDENCE_SLOTS.values()):
        if -contributions.shape[1] <= place < contributions.shape[1]:
            feature = order[:, place]
            indices[:, slot] = np.where(contributions[rows, feature] * sign > 0, feature, -1)
    return indices
