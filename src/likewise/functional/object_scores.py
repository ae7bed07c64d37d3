"""How well objects that were found agree with true ones: matched at an overlap of a half, counted so that images add up.

An object that was found is right if it overlaps a true one that no surer one has taken by an intersection over union of 0.5 and more. Average
precision is that of COCO at this overlap; panoptic quality is that of Kirillov et al. 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVELS = 1000  # of scores 0..1 that are told apart, so that counts of any number of objects take little room
OVERLAP = 0.5
_RECALLS = np.linspace(0, 1, 101)


def matched(overlap: NDArray[np.floating], scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """The true object that each found one takes, (K,), -1 for none; the surest choose first, each the one that it overlaps most.

    overlap: intersection over union (K, M) of K found and M true objects; scores (K,). Raises ValueError for shapes that do not agree.
    """
    if overlap.ndim != 2 or scores.shape != overlap.shape[:1]:
        raise ValueError(f"overlap {overlap.shape} and scores {scores.shape} do not agree")
    taken, free = np.full(len(scores), -1, np.int64), overlap.copy()
    if not overlap.shape[1]:
        return taken
    for place in np.argsort(-scores, kind="stable"):
        best = int(free[place].argmax())
        if free[place, best] >= OVERLAP:
            taken[place] = best
            free[:, best] = -1
    return taken


def panoptic_quality(overlap: NDArray[np.floating]) -> float:
    """The mean overlap of matched objects times their harmonic mean of precision and recall, from overlaps (K, M); NaN where there are none at all.

    >>> panoptic_quality(np.array([[0.8, 0.0], [0.1, 0.4]]))
    0.4
    """
    found, true = overlap.shape
    taken = matched(overlap, overlap.max(axis=1, initial=0))
    right = taken >= 0
    return 2 * float(overlap[right, taken[right]].sum()) / (found + true) if found + true else math.nan


def level(score: float) -> int:
    """The level that a score 0..1 counts at."""
    return min(LEVELS, max(0, round(score * LEVELS)))


def average_precision(right: Sequence[int] | NDArray[np.int64], wrong: Sequence[int] | NDArray[np.int64], true: int) -> float:
    """Average precision from how many found objects at each level of score are right and wrong (LEVELS + 1,), and how many true ones there are.

    The mean over 101 recalls of the best precision at this or a higher recall; NaN without a true object.
    """
    if not true:
        return math.nan
    hits, misses = (np.cumsum(np.asarray(counts, np.int64)[::-1]) for counts in (right, wrong))
    precision = hits / np.maximum(hits + misses, 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / true, _RECALLS, side="left")
    return float(np.where(places < len(envelope), envelope[np.minimum(places, len(envelope) - 1)], 0.0).mean())
