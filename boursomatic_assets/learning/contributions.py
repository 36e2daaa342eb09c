"""Contributions: what each feature adds to a model's raw scores, row by row (SHAP values).

What belongs here: the numbers of LightGBM's own `pred_contrib`, ten to thirty times as fast on many rows.
Kept elsewhere: which of them a reader is told (`signals`).

All that a tree sees of a row is on which side of a few thresholds its features are. So each tree is worked
out once for every combination of sides, its cells, and each row only looks up its cell. The seven thresholds of
8 leaves make 2,187 cells at most: three sides for each, one of them for what is missing. In a cell a leaf is a
game of the features on its path: one that is in the game lets the row pass or stops it, one that is not lets the
share of the training rows pass that passed there. A contribution is the Shapley value of that game (Lundberg,
Erion and Lee 2018, "Consistent individualized feature attribution for tree ensembles").
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import lightgbm as lgb
import numpy as np

from boursomatic_assets.arrays import Floats, Positions

Node = dict[str, Any]
"""A node as `lightgbm.Booster.dump_model` describes it."""

BLOCK = 8192
"""Rows looked up at a time: what is worked on stays in the processor's cache."""


def contributions(booster: lgb.Booster, values: Floats) -> Floats:
    """Return what each feature adds to each raw score of a row: rows x classes x features.

    With one bias per class, which is left out, they sum to the raw scores. A row's numbers depend on that
    row and the model alone, to the last bit.

    Args:
        booster: A trained model of numerical features.
        values: Rows x features: finite numbers, or NaN for a missing one.
    """
    model = booster.dump_model()
    classes, width = model["num_tree_per_iteration"], values.shape[1]
    trees = [_Tree.grown(tree["tree_structure"]) for tree in model["tree_info"]]
    tables = _tables(trees, width)
    points = [_points(trees, f) for f in range(width)]
    places = [tree.places(points) for tree in trees]
    added = np.zeros((len(values), classes, width))
    for start in range(0, len(values), BLOCK):
        rows = slice(start, start + BLOCK)
        codes = [np.searchsorted(points[f][:-1], values[rows, f]) for f in range(width)]
        for n, (table, place) in enumerate(zip(tables, places, strict=True)):
            cell = sum((steps[codes[f]] for f, steps in place.items()), start=np.zeros(len(codes[0]), np.intp))
            added[rows, n % classes] += table[cell]
    return added


@dataclass(frozen=True)
class _Axis:
    """The sides of a feature that a tree tells apart: one more than thresholds, and one for what is missing.

    A feature that was never missing in training has no such side: a missing value then counts as 0.
    """

    thresholds: list[float]
    missing: bool

    @property
    def size(self) -> int:
        return len(self.thresholds) + 1 + self.missing

    def left(self, node: Node) -> int:
        """The sides that a node sends to the left, as bits."""
        below = (2 << self.thresholds.index(node["threshold"])) - 1
        return below | (node["default_left"] and self.missing) << (self.size - 1)

    def sides(self, points: Floats) -> Positions:
        """The side of each value."""
        if self.missing:
            return np.where(np.isnan(points), self.size - 1, np.searchsorted(self.thresholds, points))
        return np.searchsorted(self.thresholds, np.where(np.isnan(points), 0.0, points))


@dataclass(frozen=True)
class _Leaf:
    """A leaf's value, the sides that lead to it (as bits), and the share of training rows that took them.

    Both are kept by feature.
    """

    value: float
    sides: dict[int, int]
    share: dict[int, float]


@dataclass(frozen=True)
class _Tree:
    """The axes of a tree, by feature, and its leaves."""

    axes: dict[int, _Axis]
    leaves: list[_Leaf]

    @classmethod
    def grown(cls, root: Node) -> "_Tree":
        found: dict[int, dict[float, bool]] = {}
        for node in _splits(root):
            found.setdefault(node["split_feature"], {})[node["threshold"]] = node["missing_type"] == "NaN"
        axes = {f: _Axis(sorted(nodes), any(nodes.values())) for f, nodes in found.items()}
        return cls(axes, list(_leaves(root, axes, {}, {})))

    def places(self, points: list[Floats]) -> dict[int, Positions]:
        """By feature, what each of its points adds to the number of a cell."""
        step, places = 1, {}
        for f, axis in self.axes.items():
            places[f] = axis.sides(points[f]) * step
            step *= axis.size
        return places

    def states(self, depth: int) -> Positions:
        """Which features of each leaf's path let a cell's rows pass, as bits: leaves x cells."""
        states = np.array([[(1 << depth) - (1 << len(leaf.sides))] for leaf in self.leaves])
        for f, axis in self.axes.items():
            bit = [1 << list(leaf.sides).index(f) if f in leaf.sides else 0 for leaf in self.leaves]
            passing = np.array([leaf.sides.get(f, 0) for leaf in self.leaves])[:, None] >> np.arange(axis.size) & 1
            states = (states[:, None, :] + (passing * np.array(bit)[:, None])[:, :, None]).reshape(len(bit), -1)
        return states


def _points(trees: list[_Tree], feature: int) -> Floats:
    """A value for every side of a feature that any tree tells apart: the thresholds, infinity and NaN."""
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
    f, total = node["split_feature"], _rows(node)
    left = axes[f].left(node)
    for child, passing in ((node["left_child"], left), (node["right_child"], ~left)):
        taken = {f: sides.get(f, -1) & passing}
        yield from _leaves(child, axes, sides | taken, share | {f: share.get(f, 1.0) * _rows(child) / total})


def _rows(node: Node) -> int:
    return cast(int, node["internal_count"] if "split_feature" in node else node["leaf_count"])


def _tables(trees: list[_Tree], width: int) -> list[Floats]:
    """Each tree's contributions: cells x features."""
    depth = max((len(leaf.sides) for tree in trees for leaf in tree.leaves), default=0)
    games = iter(_games([leaf for tree in trees for leaf in tree.leaves], depth, width))
    tables = []
    for tree in trees:
        states = tree.states(depth)
        table = np.zeros((states.shape[1], width))
        # Leaf by leaf: numpy's own sums choose their order by memory layout.
        for state in states:
            table += next(games)[state]
        tables.append(table)
    return tables


def _games(leaves: list[_Leaf], depth: int, width: int) -> Floats:
    """The contributions of each leaf in every state of its path: leaves x states x features.

    Paths are filled up to `depth` with players that never change anything.
    """
    share = np.array([[*leaf.share.values(), *[1.0] * (depth - len(leaf.share))] for leaf in leaves])
    features = np.array([[*leaf.share, *[0] * (depth - len(leaf.share))] for leaf in leaves])
    value = np.array([[leaf.value] for leaf in leaves])
    states = np.arange(1 << depth)
    passes = [states >> place & 1 for place in range(depth)]
    games = np.zeros((len(leaves), len(states), width))
    for i in range(depth):
        # chance[k]: that the row passes all others, summed over the coalitions of k of them.
        chance: list[Any] = [1.0] + [0.0] * (depth - 1)
        for j in range(depth):
            if j != i:
                out, joined = share[:, j, None], passes[j]
                chance = [chance[k] * out + (chance[k - 1] * joined if k else 0.0) for k in range(depth)]
        worth = sum(chance[k] / (depth * math.comb(depth - 1, k)) for k in range(depth))
        games[np.arange(len(leaves)), :, features[:, i]] += value * (passes[i] - share[:, i, None]) * worth
    return games
