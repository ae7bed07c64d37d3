"""The modified Hausdorff distance of drawings, the baseline of one-shot classification of characters (Lake et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def ink_points(ink: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The places (P, 2) of the ink of a drawing (H, W), around their mean. ValueError for an empty drawing."""
    points = np.argwhere(ink).astype(np.float64)
    if not len(points):
        raise ValueError("a drawing without ink has no distance to another")
    centred: NDArray[np.float64] = points - points.mean(axis=0)
    return centred


def modified_hausdorff(firsts: Sequence[NDArray[np.float64]], seconds: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Distances (Q, N) of Q drawings from N, each by its points (P, 2): the larger of the two mean distances to the nearest point of the other.

    >>> modified_hausdorff([np.array([[0.0, 0.0]])], [np.array([[0.0, 0.0], [3.0, 4.0]])]).tolist()
    [[2.5]]
    """
    trees = [(points, cKDTree(points)) for points in seconds]
    return np.array([[_distance(first, tree, second, known) for second, known in trees] for first, tree in ((first, cKDTree(first)) for first in firsts)])


def _distance(first: NDArray[np.float64], tree: cKDTree, second: NDArray[np.float64], known: cKDTree) -> float:
    return float(max(known.query(first)[0].mean(), tree.query(second)[0].mean()))
