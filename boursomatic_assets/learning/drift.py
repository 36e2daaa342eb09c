"""Drift: how far the features of a session are from those that a model learned from.

What belongs here: the deciles that are kept with a version, and the population stability index (PSI) against them.
Kept elsewhere: which version a session is held against, and when that is worth a warning (`checks_of_drift.py`).

Watched are the raw numbers behind a model's ranks, since ranks are spread evenly by construction. The market's
context has one number a session, which has no distribution: it is only placed among its deciles.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import cast

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Floats, Ints, Masks
from boursomatic_assets.features.additional_features import DIGITS, RANKED
from boursomatic_assets.features.market_context import CONTEXT
from boursomatic_assets.learning.prediction import matrix

Deciles = Mapping[str, Sequence[float]]
"""By feature, the nine numbers that cut what a model learned from into tenths."""

WATCHED = (*RANKED, *(name for name in CONTEXT if name != "session_of_month"))
"""What deciles are kept of; a calendar does not drift."""

BINS = 10
SMOOTHING = 0.1
"""What each bin counts more than it holds, since the logarithm of nothing is infinite. With less, a
market of 10 or 20 instruments scatters more; with more, it hardly ever shows a drift."""


def deciles(values: Floats) -> list[float]:
    """Return the nine edges of ten bins: at k tenths, the smallest value that so many are not above.

    Args:
        values: In any order; NaN counts for nothing.

    Returns:
        Nine rising numbers to six significant digits; none if two of them are the same, as among fewer than ten
        values or many equal ones: then the bins do not hold a tenth each.
    """
    return _edges(np.sort(values[~np.isnan(values)]))


@dataclass(frozen=True)
class Sorted:
    """The numbers of each feature in order, and the row that each came from: sorted once for all due dates."""

    values: dict[str, Floats]
    rows: dict[str, Ints]

    @classmethod
    def of(cls, rows: pl.DataFrame) -> "Sorted":
        """Sort the features of WATCHED, null ones left out."""
        values, places = {}, {}
        for name, column in zip(WATCHED, matrix(rows, WATCHED).T, strict=True):
            place = np.argsort(column, kind="stable")[: np.count_nonzero(~np.isnan(column))]
            values[name], places[name] = column[place], place
        return cls(values, places)

    def deciles(self, among: Masks) -> dict[str, list[float]]:
        """Return the `deciles` of each feature among some rows; a feature that has none is left out."""
        found = {name: _edges(values[among[self.rows[name]]]) for name, values in self.values.items()}
        return {name: edges for name, edges in found.items() if edges}


def psi(edges: Sequence[float], values: Floats) -> float:
    """Return the PSI of some values beyond what chance alone gives: 0 on average if nothing has drifted.

    It is the sum over ten bins of (share - 0.1) x ln(share / 0.1), with shares of (count + 0.1) / (n + 1), less
    its own mean under no drift, which for large n is 9 / n (Yurdakul 2018, Statistical properties of the
    population stability index). NaN without values.

    Args:
        edges: As `deciles` gives them; a value on an edge counts above it.
        values: NaN counts for nothing.
    """
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(np.array(edges), known, side="right"), minlength=BINS)
    return float(_terms(counts, len(known)).sum()) - by_chance(len(known)) if len(known) else math.nan


@cache
def by_chance(n: int) -> float:
    """Return the mean PSI of n values under no drift, from the binomial distribution of each bin's count."""
    count = np.arange(n + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log_ways = log_factorial[n] - log_factorial - log_factorial[::-1]
    chance = np.exp(log_ways + count * math.log(1 / BINS) + (n - count) * math.log(1 - 1 / BINS))
    return BINS * float((chance * _terms(count, n)).sum())


def of_session(known: Deciles, rows: pl.DataFrame) -> dict[str, float]:
    """Return the `psi` of each of RANKED that has deciles, and a number in some row.

    Args:
        known: What was learned from.
        rows: The features of a market's session.
    """
    names = [name for name in RANKED if name in known]
    found = {name: psi(known[name], values) for name, values in zip(names, matrix(rows, names).T, strict=True)}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def extremes(known: Deciles, context: Mapping[str, float | None]) -> list[str]:
    """Return, in words, which numbers of a session's context lie below or above nine tenths of those learned."""
    said = []
    for name in CONTEXT:
        value, edges = context.get(name), known.get(name)
        if value is not None and edges and not edges[0] <= value <= edges[-1]:
            said.append(f"{name} {value:.3g} {'below' if value < edges[0] else 'above'} nine tenths")
    return said


def _edges(ordered: Floats) -> list[float]:
    if len(ordered) < BINS:
        return []
    places = [math.ceil(len(ordered) * k / BINS) - 1 for k in range(1, BINS)]
    edges = [float(f"{value:.{DIGITS}g}") for value in ordered[places].tolist()]
    return edges if all(low < high for low, high in pairwise(edges)) else []


def _terms(count: Ints, n: int) -> Floats:
    """What each bin adds to the PSI of n values."""
    share = (count + SMOOTHING) / (n + SMOOTHING * BINS)
    return cast(Floats, (share - 1 / BINS) * np.log(share * BINS))
