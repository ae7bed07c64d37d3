"""A forest of decision trees (Breiman 2001) as tensors: grown by scikit-learn, kept and asked without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import MissingExtraError

_AT_ONCE = 1024  # rows that go down all trees together: their features stay near the processor


def grown(rows: Tensor, places: Tensor, weight: Tensor, count: int, *, trees: int = 100, seed: int = 0) -> dict[str, Tensor]:
    """The nodes of all trees, one after the other, with scikit-learn's own settings for a random forest.

    rows (R, F), places (R,) in 0..count-1, weight (R,) -> "features" (M,), "thresholds" (M,), "children" (2M,): of each node the one
    above its threshold and the one up to it, a leaf leads to itself; "values" (M, count) shares of the classes; "roots" (T,).
    Rows are sorted by their bytes first, so that a seed means the same whatever their order; of equal rows the heavier comes first.
    Raises MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as error:
        raise MissingExtraError("growing a forest needs scikit-learn", where="convpaint", remedy="Type `pip install 'likewise[forest]'`") from error
    table = np.ascontiguousarray(rows.float().numpy())
    order = sorted(range(len(table)), key=lambda row: (table[row].tobytes(), -float(weight[row])))
    forest = RandomForestClassifier(n_estimators=trees, random_state=seed, n_jobs=torch.get_num_threads())
    forest.fit(table[order], places.numpy()[order], sample_weight=weight.numpy()[order].astype(np.float64))
    parts: dict[str, list[Tensor]] = {name: [] for name in ("features", "thresholds", "children", "values", "roots")}
    start = 0
    for tree in (each.tree_ for each in forest.estimators_):
        for name, part in _nodes(tree, forest.classes_, count, start).items():
            parts[name].append(part)
        start += tree.node_count
    return {name: torch.cat(listed) for name, listed in parts.items()}


def answers(rows: Tensor, forest: Mapping[str, Tensor]) -> Tensor:
    """Probabilities (R, count): the mean over trees of the shares in the leaf where a row (R, F) ends."""
    found = [
        forest["values"].index_select(0, _leaves(part, forest)).reshape(len(part), len(forest["roots"]), -1).mean(dim=1) for part in torch.split(rows, _AT_ONCE)
    ]
    return torch.cat(found)


def _leaves(rows: Tensor, forest: Mapping[str, Tensor]) -> Tensor:
    """The nodes (R*T,) in which rows end, tree by tree; all go down a level at a time, and stay where they have arrived."""
    numbers = rows.reshape(-1)
    starts = (torch.arange(len(rows), dtype=torch.int32) * rows.shape[1]).repeat_interleave(len(forest["roots"]))
    node = forest["roots"].repeat(len(rows))
    while True:
        asked = numbers.index_select(0, forest["features"].index_select(0, node) + starts)
        goes_left = asked <= forest["thresholds"].index_select(0, node)
        after = forest["children"].index_select(0, 2 * node + goes_left.int())
        if torch.equal(after, node):
            return node
        node = after


def _nodes(tree: Any, places: NDArray[np.int64], count: int, start: int) -> dict[str, Tensor]:
    """One tree of scikit-learn, its nodes counted from `start`; places: which each column of its values stands for."""
    own = np.arange(tree.node_count)
    is_leaf = tree.children_left < 0
    values = np.zeros((tree.node_count, count), np.float32)
    values[:, places] = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
    found = {
        "features": np.where(is_leaf, 0, tree.feature).astype(np.int32),
        "thresholds": _rounded_down(tree.threshold),
        "children": (np.where(is_leaf, own, (tree.children_right, tree.children_left)).T.ravel() + start).astype(np.int32),
        "values": values,
        "roots": np.array([start], np.int32),
    }
    return {name: torch.from_numpy(part) for name, part in found.items()}


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest numbers of single precision that are at most these: what is at most the one is at most the other."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
