"""A forest of decision trees (Breiman 2001) as tensors: grown by scikit-learn, kept and asked without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import MissingExtraError


def grown(rows: Tensor, places: Tensor, weight: Tensor, count: int, *, trees: int = 100, seed: int = 0) -> dict[str, Tensor]:
    """The nodes of all trees, one after the other, with scikit-learn's own settings for a random forest.

    rows (R, F), places (R,) in 0..count-1, weight (R,) -> "features" (M,), "thresholds" (M,): at most that goes "left" (M,), else "right" (M,), a leaf leads to
    itself; "values" (M, count) shares of the classes; "roots" (T,). Rows are sorted by their bytes first, so that a seed means the same whatever their
    order; of equal rows the heavier comes first. Raises MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as error:
        raise MissingExtraError("growing a forest needs scikit-learn", where="convpaint", remedy="Type `pip install 'likewise[forest]'`") from error
    table = np.ascontiguousarray(rows.float().numpy())
    order = sorted(range(len(table)), key=lambda row: (table[row].tobytes(), -float(weight[row])))
    forest = RandomForestClassifier(n_estimators=trees, random_state=seed)
    forest.fit(table[order], places.numpy()[order], sample_weight=weight.numpy()[order].astype(np.float64))
    parts: dict[str, list[Tensor]] = {name: [] for name in ("features", "thresholds", "left", "right", "values", "roots")}
    start = 0
    for tree in (each.tree_ for each in forest.estimators_):
        for name, part in _nodes(tree, forest.classes_, count, start).items():
            parts[name].append(part)
        start += tree.node_count
    return {name: torch.cat(listed) for name, listed in parts.items()}


def answers(rows: Tensor, forest: Mapping[str, Tensor]) -> Tensor:
    """Probabilities (R, count): the mean over trees of the shares in the leaf where a row (R, F) ends."""
    found = rows.new_zeros(len(rows), forest["values"].shape[1])
    for root in forest["roots"].tolist():
        found += forest["values"][_leaves(rows, forest, root)]
    return found / len(forest["roots"])


def _leaves(rows: Tensor, forest: Mapping[str, Tensor], root: int) -> Tensor:
    """The node (R,) in which each row ends; rows that have arrived are not asked again."""
    ends = torch.full((len(rows),), root, dtype=torch.long)
    under_way = torch.arange(len(rows))
    while len(under_way):
        node = ends[under_way]
        goes_left = rows[under_way, forest["features"][node].long()] <= forest["thresholds"][node]
        after = torch.where(goes_left, forest["left"][node], forest["right"][node]).long()
        ends[under_way] = after
        under_way = under_way[after != node]
    return ends


def _nodes(tree: Any, places: NDArray[np.int64], count: int, start: int) -> dict[str, Tensor]:
    """One tree of scikit-learn, its nodes counted from `start`; places: which each column of its values stands for."""
    own = np.arange(tree.node_count)
    is_leaf = tree.children_left < 0
    values = np.zeros((tree.node_count, count), np.float32)
    values[:, places] = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
    found = {
        "features": np.where(is_leaf, 0, tree.feature).astype(np.int32),
        "thresholds": _rounded_down(tree.threshold),
        "left": (np.where(is_leaf, own, tree.children_left) + start).astype(np.int32),
        "right": (np.where(is_leaf, own, tree.children_right) + start).astype(np.int32),
        "values": values,
        "roots": np.array([start], np.int32),
    }
    return {name: torch.from_numpy(part) for name, part in found.items()}


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest numbers of single precision that are at most these: what is at most the one is at most the other."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
