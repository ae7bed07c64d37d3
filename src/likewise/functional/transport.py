"""The earth mover's distance: what it costs at least to carry one heap of mass to another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import csr_array


def earth_mover(cost: NDArray[np.floating], parts: int = 0) -> float:
    """The least mean cost at which mass 1, the same in every row, comes to the columns, the same in each.

    cost (R, C), R and C at least 1. Exact: an assignment where the least common multiple of R and C is small, else a linear programme, which for
    hundreds of rows takes seconds. parts: instead the mass in at most so many equal parts, each of one row and one column, which an assignment
    solves in milliseconds; exact where R and C divide it. Raises ValueError for a cost without rows or columns.
    """
    rows, columns = cost.shape
    if not cost.size:
        raise ValueError(f"a cost of shape {cost.shape} has nothing to carry")
    multiple = math.lcm(rows, columns)
    count = multiple if multiple <= max(parts, 2 * max(rows, columns)) else parts
    if not count:
        return _programme(np.asarray(cost, np.float64))
    steps = np.arange(count)
    wide = cost[np.ix_(steps * rows // count, steps * columns // count)]
    return float(wide[linear_sum_assignment(wide)].mean())


def _programme(cost: NDArray[np.float64]) -> float:
    rows, columns = cost.shape
    edges = np.arange(rows * columns)
    places = np.concatenate([edges // columns, rows + edges % columns])
    sums = csr_array((np.ones(2 * len(edges)), (places, np.tile(edges, 2))), shape=(rows + columns, len(edges)))
    mass = np.concatenate([np.full(rows, 1 / rows), np.full(columns, 1 / columns)])
    return float(linprog(cost.ravel(), A_eq=sums, b_eq=mass, method="highs").fun)
