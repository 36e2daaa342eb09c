"""Contributions: the contribution of each feature to a model's raw scores, row by row (SHAP values).

What belongs here: the values of LightGBM's own `pred_contrib`, ten to thirty times as fast on many rows.
Kept elsewhere: which of them a justification names (`advice/justification.py`).

A tree depends on a row only by the side of a few thresholds that each feature is on. So each tree is evaluated
once for every combination of sides, its cells, and a row only looks up its cell. The seven thresholds of 8 leaves
make 2,187 cells at most: three sides for each, one of them for missing values. In a cell a leaf is a cooperative
game of the features on its path: a feature in the coalition lets the row pass or stops it, a feature outside of it
lets the share of the training rows pass that passed there. A contribution is the Shapley value of that game
(Lundberg, Erion and Lee 2018, "Consistent individualized feature attribution for tree ensembles").
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import lightgbm as lgb
import numpy as np

from boursomatic_assets.arrays import Floats, Positions

Node = dict[str, Any]
"""A node as `lightgbm.Booster.dump_model` describes it."""

BLOCK_ROWS = 8192
"""Rows looked up at a time, so that they fit in the processor's cache."""


def contributions(booster: lgb.Booster, values: Floats) -> Floats:
    """Return the contribution of each feature to each raw score of a row: rows x classes x features.

    With one bias per class, which is left out, they sum to the raw scores. The values of a row depend on that
    row and the model alone, to the last bit.

    Args:
        booster: A trained model of numerical features.
        values: Rows x features: finite numbers, or NaN for a missing one.
    """
    width = values.shape[1]
    lookup = _lookup(booster, width)
    result = np.zeros((len(values), lookup.classes, width))
    for start in range(0, len(values), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        codes = [np.searchsorted(lookup.representatives[f][:-1], values[rows, f]) for f in range(width)]
        for n, (table, by_feature) in enumerate(zip(lookup.tables, lookup.offsets, strict=True)):
            parts = (offset[codes[f]] for f, offset in by_feature.items())
            cell = sum(parts, start=np.zeros(len(codes[0]), np.intp))
            result[rows, n % lookup.classes] += table[cell]
    return result


@dataclass(frozen=True)
class _Lookup:
    """The tables of a booster's trees, and how a row finds its cell in each of them."""

    classes: int
    tables: list[Floats]
    representatives: list[Floats]
    offsets: list[dict[int, Positions]]


@lru_cache(maxsize=12)
def _lookup(booster: lgb.Booster, width: int) -> _Lookup:
    """Return the tables of a booster; they take longer to make than a month of rows to look up."""
    model = booster.dump_model()
    trees = [_Tree.from_node(tree["tree_structure"]) for tree in model["tree_info"]]
    representatives = [_representative_values(trees, f) for f in range(width)]
    offsets = [tree.cell_offsets(representatives) for tree in trees]
    return _Lookup(model["num_tree_per_iteration"], _contribution_tables(trees, width), representatives, offsets)


@dataclass(frozen=True)
class _Axis:
    """The sides of a feature that a tree distinguishes: one more than thresholds, and one for missing values.

    A feature that was never missing in training has no side for it: a missing value then counts as 0.
    """

    thresholds: list[float]
    missing: bool

    @property
    def size(self) -> int:
        return len(self.thresholds) + 1 + self.missing

    def left_sides(self, node: Node) -> int:
        """Return the sides that a node sends to the left, as bits."""
        below = (2 << self.thresholds.index(node["threshold"])) - 1
        return below | (node["default_left"] and self.missing) << (self.size - 1)

    def sides(self, values: Floats) -> Positions:
        """Return the side of each value."""
        if self.missing:
            return np.where(np.isnan(values), self.size - 1, np.searchsorted(self.thresholds, values))
        return np.searchsorted(self.thresholds, np.where(np.isnan(values), 0.0, values))


@dataclass(frozen=True)
class _Leaf:
    """A leaf's value, and by feature the sides that lead to it (as bits) and their share of training rows."""

    value: float
    sides: dict[int, int]
    share: dict[int, float]


@dataclass(frozen=True)
class _Tree:
    """The axes of a tree, by feature, and its leaves."""

    axes: dict[int, _Axis]
    leaves: list[_Leaf]

    @classmethod
    def from_node(cls, root: Node) -> "_Tree":
        thresholds: dict[int, dict[float, bool]] = {}
        for node in _splits(root):
            thresholds.setdefault(node["split_feature"], {})[node["threshold"]] = node["missing_type"] == "NaN"
        axes = {f: _Axis(sorted(missing), any(missing.values())) for f, missing in thresholds.items()}
        return cls(axes, list(_leaves(root, axes, {}, {})))

    def cell_offsets(self, representatives: list[Floats]) -> dict[int, Positions]:
        """Return by feature the part of a cell's index that each of its representative values makes."""
        stride, offsets = 1, {}
        for f, axis in self.axes.items():
            offsets[f] = axis.sides(representatives[f]) * stride
            stride *= axis.size
        return offsets

    def path_states(self, depth: int) -> Positions:
        """Return which features of each leaf's path let the rows of a cell pass, as bits: leaves x cells."""
        states = np.array([[(1 << depth) - (1 << len(leaf.sides))] for leaf in self.leaves])
        for f, axis in self.axes.items():
            bit = [1 << list(leaf.sides).index(f) if f in leaf.sides else 0 for leaf in self.leaves]
            passing = np.array([leaf.sides.get(f, 0) for leaf in self.leaves])[:, None] >> np.arange(axis.size) & 1
            states = (states[:, None, :] + (passing * np.array(bit)[:, None])[:, :, None]).reshape(len(bit), -1)
        return states


def _representative_values(trees: list[_Tree], feature: int) -> Floats:
    """Return a value on every side of a feature that any tree distinguishes: the thresholds, infinity and NaN."""
    thresholds = {t for tree in trees if feature in tree.axes for t in tree.axes[feature].thresholds}
    return np.array([*sorted(thresholds), np.inf, np.nan])


def _splits(node: Node) -> Iterator[Node]:
    if "split_feature" in node:
        yield node
        yield from _splits(node["left_child"])
        yield from _splits(node["right_child"])


def _leaves(node: Node, axes: dict[int, _Axis], sides: dict[int, int], share: dict[int, float]) -> Iterator[_Leaf]:
    if "split_feature" not in node:
        yield _Leaf(node["leaf_value"], sides, share)
        return
    f, total = node["split_feature"], _training_rows(node)
    left = axes[f].left_sides(node)
    for child, passing in ((node["left_child"], left), (node["right_child"], ~left)):
        child_sides = sides | {f: sides.get(f, -1) & passing}
        child_share = share | {f: share.get(f, 1.0) * _training_rows(child) / total}
        yield from _leaves(child, axes, child_sides, child_share)


def _training_rows(node: Node) -> int:
    return cast(int, node["internal_count"] if "split_feature" in node else node["leaf_count"])


def _contribution_tables(trees: list[_Tree], width: int) -> list[Floats]:
    """Return the contributions of each tree: cells x features."""
    depth = max((len(leaf.sides) for tree in trees for leaf in tree.leaves), default=0)
    by_leaf = iter(_leaf_contributions([leaf for tree in trees for leaf in tree.leaves], depth, width))
    tables = []
    for tree in trees:
        states = tree.path_states(depth)
        table = np.zeros((states.shape[1], width))
        # Leaf by leaf: numpy's own sums choose their order by memory layout.
        for state in states:
            table += next(by_leaf)[state]
        tables.append(table)
    return tables


def _leaf_contributions(leaves: list[_Leaf], depth: int, width: int) -> Floats:
    """Return the contributions of each leaf in every state of its path: leaves x states x features.

    Paths are filled up to `depth` with players that change nothing.
    """
    share = np.array([[*leaf.share.values(), *[1.0] * (depth - len(leaf.share))] for leaf in leaves])
    features = np.array([[*leaf.share, *[0] * (depth - len(leaf.share))] for leaf in leaves])
    value = np.array([[leaf.value] for leaf in leaves])
    states = np.arange(1 << depth)
    passes = [states >> player & 1 for player in range(depth)]
    result = np.zeros((len(leaves), len(states), width))
    for i in range(depth):
        # passing[k]: the share that passes all others, summed over the coalitions of k of them.
        passing: list[Any] = [1.0] + [0.0] * (depth - 1)
        for j in range(depth):
            if j != i:
                out, joined = share[:, j, None], passes[j]
                passing = [passing[k] * out + (passing[k - 1] * joined if k else 0.0) for k in range(depth)]
        weight = sum(passing[k] / (depth * math.comb(depth - 1, k)) for k in range(depth))
        result[np.arange(len(leaves)), :, features[:, i]] += value * (passes[i] - share[:, i, None]) * weight
    return result
