"""How well directions, counts and points agree with the truth: numbers of one image that add up, and scores of their sums."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

BIN: Final = 0.75  # degrees of a bin of the histogram that medians and shares are read from; divides all of WITHIN
WITHIN: Final = (11.25, 22.5, 30.0)  # degrees, the thresholds of the literature on surface normals
SHARES: Final = (0.05, 0.1, 0.2)  # of the size of what the points are on, within which a point is right


def degrees_between(predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> NDArray[np.float64]:
    """The angle (...) in degrees between vectors (..., C) of any length; NaN where one of them has none or is not known.

    Raises ValueError for different shapes.

    >>> degrees_between(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 2.0], [3.0, 3.0]])).round(3).tolist()
    [90.0, 0.0]
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted vectors {predicted.shape} and truth {truth.shape} differ in shape")
    one, two = (_unit(each) for each in (predicted, truth))
    # from both chords: the arc cosine of a product loses half its digits near 0 degrees
    return np.asarray(np.degrees(2 * np.arctan2(np.linalg.norm(one - two, axis=-1), np.linalg.norm(one + two, axis=-1))))


def degrees_apart(predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far angles in degrees are apart by the shorter way round, 0 to 180.

    >>> degrees_apart(np.array([359.0, 10.0]), np.array([1.0, 200.0])).tolist()
    [2.0, 170.0]
    """
    return np.abs((np.asarray(predicted, np.float64) - truth + 180) % 360 - 180)


def direction_sums(degrees: NDArray[np.floating]) -> NDArray[np.float64]:
    """The sum of known errors, then their counts in bins of `BIN` degrees from 0 to 180: (1 + 240,), which add up over images."""
    known = np.asarray(degrees[np.isfinite(degrees)], np.float64)
    bins = np.minimum(np.floor(known / BIN + 1e-9).astype(np.int64), round(180 / BIN) - 1)
    return np.concatenate([[known.sum()], np.bincount(bins, minlength=round(180 / BIN))])


def direction_scores(sums: NDArray[np.floating]) -> dict[str, float]:
    """Mean and median error in degrees and the shares under each of `WITHIN`; the median to about half a bin. NaN without values.

    >>> scores = direction_scores(direction_sums(np.array([3.0, 12.0, 60.0])))
    >>> scores["mean"], round(scores["within_11.25"], 3), round(scores["within_22.5"], 3)
    (25.0, 0.333, 0.667)
    """
    counts, total = sums[1:], float(sums[1:].sum())
    if not total:
        return dict.fromkeys(("mean", "median", *(f"within_{limit:g}" for limit in WITHIN)), math.nan)
    before = np.cumsum(counts)
    place = int(np.searchsorted(before, total / 2))
    inside = (total / 2 - (before[place] - counts[place])) / counts[place]
    shares = {f"within_{limit:g}": float(counts[: round(limit / BIN)].sum() / total) for limit in WITHIN}
    return {"mean": float(sums[0] / total), "median": BIN * (place + float(inside)), **shares}


def count_scores(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The mean error of counts of images (predicted, true), and all errors over all that were to be counted (NaN for none).

    >>> count_scores([(9.0, 10.0), (33.0, 30.0)])
    {'count_error': 2.0, 'count_relative': 0.1}
    """
    errors, true = sum(abs(one - two) for one, two in pairs), sum(two for _, two in pairs)
    return {"count_error": errors / len(pairs) if pairs else math.nan, "count_relative": errors / true if true else math.nan}


def extent(points: Mapping[str, tuple[float, float] | None], size: tuple[int, int], names: int) -> float:
    """The size that errors of an image's points are measured against: the diagonal of the box around its visible ones.

    Where the truth has one name only, the longer side of the image of `size` (H, W). NaN where fewer than two are visible
    or all lie in one place: such an image has no say in the shares.

    >>> extent({"a": (1.0, 1.0), "b": (4.0, 5.0), "c": None}, (9, 9), 3)
    5.0
    """
    if names == 1:
        return float(max(size))
    seen = np.array([point for point in points.values() if point is not None]).reshape(-1, 2)
    return float(np.hypot(*np.ptp(seen, axis=0))) or math.nan if len(seen) > 1 else math.nan


def point_scores(distances: Sequence[float], relative: Sequence[float], visible: Sequence[bool]) -> dict[str, float]:
    """The mean and median distance in pixels, the share of points within each of `SHARES` of the size (PCK), and how often "visible" is right.

    distances: of points that are visible in truth, whatever was said of them; relative: those over the size, NaN where
    it is not known; visible: whether the answer was right, for each point of which the truth says so. NaN without any.

    >>> point_scores([3.0, 9.0], [0.03, 0.15], [True, True, False])["pck_0.1"]
    0.5
    """
    known = np.array([each for each in relative if not math.isnan(each)])
    pck = {f"pck_{share:g}": float((known <= share).mean()) if len(known) else math.nan for share in SHARES}
    middle = {"error": float(np.mean(distances)), "median": float(np.median(distances))} if len(distances) else {"error": math.nan, "median": math.nan}
    return {**middle, **pck, "visible_right": float(np.mean(visible)) if len(visible) else math.nan}


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    length = np.linalg.norm(np.asarray(vectors, np.float64), axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.full(vectors.shape, np.nan), where=length > 0)
