"""Drift: how far the features of a session are from the training set of a model.

What belongs here: the deciles that are stored with a version, and the population stability index (PSI) against
them.
Kept elsewhere: which version a session is compared with, and when to warn (`checks/drift.py`).

The raw values behind a model's ranks are compared, since ranks are uniform by construction. Market context is one
number a session and has no distribution: it is only compared with its first and last decile.
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
from boursomatic_assets.features.additional_features import RANKED_FEATURES, SIGNIFICANT_DIGITS
from boursomatic_assets.features.market_context import CONTEXT
from boursomatic_assets.learning.prediction import feature_matrix

Deciles = Mapping[str, Sequence[float]]
"""By feature, the nine deciles of the training set."""

WATCHED = (*RANKED_FEATURES, *(name for name in CONTEXT if name != "session_of_month"))
"""The features whose deciles are stored; a calendar does not drift."""

BINS = 10
SMOOTHING = 0.1
"""Added to the count of each bin, since the logarithm of zero is infinite. With less, a market of 10 or 20
instruments scatters more; with more, it hardly ever shows a drift."""


def deciles(values: Floats) -> list[float]:
    """Return the nine edges of ten bins: at k tenths, the smallest value that so many are not above.

    Args:
        values: In any order; NaN is left out.

    Returns:
        Nine rising numbers to six significant digits; an empty list if two of them are equal, as among fewer than
        ten values or many equal ones: then the bins do not hold a tenth each.
    """
    return _decile_edges(np.sort(values[~np.isnan(values)]))


@dataclass(frozen=True)
class SortedFeatures:
    """The values of each feature in order, and the row of each: sorted once for all due dates."""

    values: dict[str, Floats]
    rows: dict[str, Ints]

    @classmethod
    def from_rows(cls, rows: pl.DataFrame) -> "SortedFeatures":
        """Sort the features of WATCHED, null ones left out."""
        values, row_indices = {}, {}
        for name, column in zip(WATCHED, feature_matrix(rows, WATCHED).T, strict=True):
            order = np.argsort(column, kind="stable")[: np.count_nonzero(~np.isnan(column))]
            values[name], row_indices[name] = column[order], order
        return cls(values, row_indices)

    def deciles(self, mask: Masks) -> dict[str, list[float]]:
        """Return the `deciles` of each feature among the rows of a mask; a feature without any is left out."""
        by_feature = {name: _decile_edges(values[mask[self.rows[name]]]) for name, values in self.values.items()}
        return {name: edges for name, edges in by_feature.items() if edges}


def psi(edges: Sequence[float], values: Floats) -> float:
    """Return the PSI of some values in excess of its mean by chance: 0 on average without drift.

    It is the sum over ten bins of (share - 0.1) x ln(share / 0.1), with shares of (count + 0.1) / (n + 1), less
    its own mean under no drift, which for large n is 9 / n (Yurdakul 2018, Statistical properties of the
    population stability index). NaN without values.

    Args:
        edges: As `deciles` returns them; a value on an edge counts above it.
        values: NaN is left out.
    """
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(np.array(edges), known, side="right"), minlength=BINS)
    return float(_psi_terms(counts, len(known)).sum()) - expected_psi(len(known)) if len(known) else math.nan


@cache
def expected_psi(n: int) -> float:
    """Return the mean PSI of n values under no drift, from the binomial distribution of each bin's count."""
    count = np.arange(n + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log_ways = log_factorial[n] - log_factorial - log_factorial[::-1]
    chance = np.exp(log_ways + count * math.log(1 / BINS) + (n - count) * math.log(1 - 1 / BINS))
    return BINS * float((chance * _psi_terms(count, n)).sum())


def session_psi(training_deciles: Deciles, rows: pl.DataFrame) -> dict[str, float]:
    """Return the `psi` of each of RANKED_FEATURES that has deciles, and a value in some row.

    Args:
        training_deciles: Those of the training set.
        rows: The features of a market's session.
    """
    names = [name for name in RANKED_FEATURES if name in training_deciles]
    columns = zip(names, feature_matrix(rows, names).T, strict=True)
    by_feature = {name: psi(training_deciles[name], values) for name, values in columns}
    return {name: value for name, value in by_feature.items() if not math.isnan(value)}


def describe_extremes(training_deciles: Deciles, context: Mapping[str, float | None]) -> list[str]:
    """Return, as text, which values of a session's context lie below or above nine tenths of the training set."""
    texts = []
    for name in CONTEXT:
        value, edges = context.get(name), training_deciles.get(name)
        if value is not None and edges and not edges[0] <= value <= edges[-1]:
            texts.append(f"{name} {value:.3g} {'below' if value < edges[0] else 'above'} nine tenths")
    return texts


def _decile_edges(ordered: Floats) -> list[float]:
    if len(ordered) < BINS:
        return []
    indices = [math.ceil(len(ordered) * k / BINS) - 1 for k in range(1, BINS)]
    edges = [float(f"{value:.{SIGNIFICANT_DIGITS}g}") for value in ordered[indices].tolist()]
    return edges if all(low < high for low, high in pairwise(edges)) else []


def _psi_terms(count: Ints, n: int) -> Floats:
    """Return the term of each bin in the PSI of n values."""
    share = (count + SMOOTHING) / (n + SMOOTHING * BINS)
    return cast(Floats, (share - 1 / BINS) * np.log(share * BINS))
