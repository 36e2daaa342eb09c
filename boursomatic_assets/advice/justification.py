"""Justification: why an advice is what it is, in one or two plain sentences with the numbers.

What belongs here: which features a sentence names (those that add most to the model's score, and those that take
most from it), and how they are put together with the reason of a HOLD.
Kept elsewhere: the sentences (`sentences.py`), what features are called (`words.py`), what is decided
(`signals.py`).

A score says how an instrument will do beside its market: what adds to it speaks for a rise, what takes from it
for a fall.
"""

import datetime as dt
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from boursomatic_assets.advice.profiles import Profile, probability
from boursomatic_assets.arrays import Floats, Positions
from boursomatic_assets.language.sentences import Sentences
from boursomatic_assets.language.words import ITS_MARKET, OF_ITS_MARKET, RANK, number, share, told
from boursomatic_assets.learning.labels import CLASSES

PLACES = {"up": (-1, 1), "up_next": (-2, 1), "down": (0, -1), "down_next": (1, -1)}
"""What a sentence may name: where it is among the features, from the one that takes most from a score to the one
that adds most to it, and the sign that it must have there."""


def explain_abstention(
    kind: str, date: dt.date, reason: str, numbers: Mapping[str, Any], language: Sentences
) -> str:
    """Return the justification where no model may speak: HOLD, and what the gate decided about which version.

    Args:
        kind: What was decided: refused or withdrawn.
        date: When that was.
        reason: Why, as it is on record, in English.
        numbers: What it was decided by: the names of both sides, and the flaw that was found.
        language: What the sentence is taken from.
    """
    flaw, names = numbers.get("flaw"), numbers["versions"]
    return language.silenced[kind].format(
        said=language.labels["HOLD"],
        version=names["challenger"],
        former=names["champion"],
        date=date,
        why=language.flaw(flaw) if flaw else language.unspecified.format(reason=reason.rstrip(".")),
    )


def reasons(rows: pl.DataFrame, language: Sentences) -> pl.DataFrame:
    """Return what speaks for and against a BUY, a SELL and a HOLD of each row: columns named after the labels.

    Args:
        rows: contributions (struct: what each feature of the model adds to the score), those features, and what
            they rank.
        language: What the sentences are taken from.

    Raises:
        ValueError: A feature has no words yet.
    """
    pro, contra, rise, fall = language.sides

    def both(one: pl.Expr, other: pl.Expr) -> pl.Expr:
        return pl.format(language.both, one, other)

    said = _named(rows, language.code).select(
        BUY=both(_speak(language, pro, "up", "up_next"), _speak(language, contra, "down")),
        SELL=both(_speak(language, pro, "down", "down_next"), _speak(language, contra, "up")),
        HOLD=both(_speak(language, rise, "up"), _speak(language, fall, "down")),
    )
    capital = pl.col("HOLD").str.head(1).str.to_uppercase() + pl.col("HOLD").str.slice(1)
    once = pl.all().str.replace(OF_ITS_MARKET, ITS_MARKET[language.code], literal=True)
    return said.with_columns(HOLD=capital).select(once.str.replace_all(OF_ITS_MARKET, "", literal=True))


def justify(profile: Profile, bolder: Profile | None, rows: pl.DataFrame, language: Sentences) -> pl.Series:
    """Return the justification of each row: what is advised or why not, then what speaks for and against it.

    Args:
        profile: The profile that decided.
        bolder: The next bolder one, if there is one.
        rows: What `profiles.decided` was asked and what it returned, beside what `reasons` returned.
        language: What the sentences are taken from.
    """
    openings = ((None, language.advised), *language.refused.items())
    opening = pl.coalesce(
        pl.when(pl.col("refusal").eq_missing(pl.lit(refusal))).then(pl.format(text)) for refusal, text in openings
    )
    reason = pl.coalesce(pl.when(pl.col("label") == label).then(pl.col(label)) for label in CLASSES)
    return rows.with_columns(**_places(profile, bolder, language)).select(opening + reason).to_series()


def _places(profile: Profile, bolder: Profile | None, language: Sentences) -> dict[str, pl.Expr]:
    """Return what is put into the named places of the openings."""
    rise, fall = probability("BUY", profile), probability("SELL", profile)

    def percent(values: pl.Expr) -> pl.Expr:
        return number(values * 100, 1, language.code)

    return {
        "said": pl.col("label").replace_strict(language.labels),
        "ahead": pl.col("ahead").replace_strict(language.outcomes, default=None),
        "behind": pl.col("behind").replace_strict(language.outcomes, default=None),
        "chance": percent(pl.max_horizontal(rise, fall)),
        "other": percent(pl.min_horizontal(rise, fall)),
        "volatility": percent(pl.col("volatility")),
        "profile": pl.lit(language.profiles[profile.name]),
        "bolder": pl.lit(language.profiles[bolder.name] if bolder else None, pl.String),
        "minimum": pl.lit(share(profile.minimum_confidence, language.code)),
        "limit": pl.lit(share(profile.volatility_limit or 0, language.code)),
        "positions": pl.lit(profile.positions),
    }


def _speak(language: Sentences, side: str, *names: str) -> pl.Expr:
    """Say that the named features, as far as they are there, speak for a side."""
    nothing, one, two = language.speaks
    said = [pl.format(one, pl.col(names[0]), pl.lit(side)), pl.lit(nothing.format(side))]
    if len(names) > 1:
        said.insert(0, pl.format(two, *map(pl.col, names), pl.lit(side)))
    return pl.coalesce(said)


def _named(rows: pl.DataFrame, language: str) -> pl.DataFrame:
    """Return the features of PLACES in words, a column each; null where none has the sign of its place."""
    features = rows["contributions"].struct.fields
    chosen = _chosen(rows["contributions"].struct.unnest().to_numpy()).ravel(order="F")
    numbers = rows.select({name for feature in features for name in (feature, feature.removesuffix(RANK))})
    # Feature by feature: only what is told is put into words.
    by_feature = chosen.argsort(kind="stable")
    ends = np.searchsorted(chosen[by_feature], range(len(features) + 1))
    texts = [pl.Series(values=[None] * ends[0], dtype=pl.String)]
    for feature, (start, end) in zip(features, pairwise(ends), strict=True):
        if end > start:
            texts.append(told(feature, numbers[by_feature[start:end] % rows.height], language))
    said = pl.concat([text.alias("said") for text in texts]).gather(by_feature.argsort())
    return pl.DataFrame({name: said.slice(i * rows.height, rows.height) for i, name in enumerate(PLACES)})


def _chosen(shares: Floats) -> Positions:
    """Return which feature is in which of PLACES, rows x places; -1 where none is."""
    order, rows = shares.argsort(axis=1, kind="stable"), np.arange(len(shares))
    chosen = np.full((len(shares), len(PLACES)), -1)
    for column, (place, sign) in enumerate(PLACES.values()):
        if -shares.shape[1] <= place < shares.shape[1]:
            feature = order[:, place]
            chosen[:, column] = np.where(shares[rows, feature] * sign > 0, feature, -1)
    return chosen
