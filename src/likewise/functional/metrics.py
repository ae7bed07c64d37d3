"""How well labels agree with the truth: pooled counts for masks and presence, pooled sums for dense values.

Every function gives counts or sums of one image, which are added up over images and turned into a score once, at the
end; a mean of per-image scores would weigh a class by the number of images that it happens to touch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

_CLOSE = 1.25  # the factor of Eigen et al. 2014, "delta < 1.25"


@dataclass(frozen=True)
class DenseSums:
    """Sums over the known values of a dense map; `relative_values` counts those whose truth is not 0, `positive` those above it,
    `close` the ones of these that are answered within a factor of 1.25.
    """

    values: int = 0
    squared: float = 0.0
    relative_values: int = 0
    relative: float = 0.0
    absolute: float = 0.0
    positive: int = 0
    close: int = 0

    def __add__(self, other: DenseSums) -> DenseSums:
        return DenseSums(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))


def overlap_counts(predicted: NDArray[np.integer], truth: NDArray[np.integer], numbers: Sequence[int], ignore: int = 255) -> NDArray[np.int64]:
    """Intersection and union in pixels of every class: (N, 2) int64, in the order of `numbers`.

    predicted, truth: label maps (H, W). Pixels whose truth is `ignore` or negative count nowhere; a number that is
    not in `numbers` is treated as background. Raises ValueError for maps of different shapes.

    >>> overlap_counts(np.array([[1, 1, 0]]), np.array([[1, 0, 255]]), [1]).tolist()
    [[1, 2]]
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted labels {predicted.shape} and truth {truth.shape} differ in shape")
    count = len(numbers) + 1
    valid = (truth != ignore) & (truth >= 0)
    pairs = _rank(truth[valid], numbers) * count + _rank(predicted[valid], numbers)
    confusion = np.bincount(pairs, minlength=count * count).reshape(count, count).astype(np.int64)
    both = np.diagonal(confusion)
    either = confusion.sum(0) + confusion.sum(1) - both
    return np.stack([both, either], axis=1)[1:]


def intersection_over_union(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """IoU of every class from pooled counts (N, 2) -> (N,); NaN for a class that is in neither truth nor answer.

    >>> intersection_over_union(np.array([[1, 2], [0, 0]])).tolist()
    [0.5, nan]
    """
    both, either = counts[:, 0].astype(np.float64), counts[:, 1].astype(np.float64)
    scores: NDArray[np.float64] = np.divide(both, either, out=np.full(len(counts), np.nan), where=either > 0)
    return scores


def mean_iou(counts: NDArray[np.int64]) -> float:
    """Mean IoU over the classes that occur in the truth or in the answer, from pooled counts (N, 2); NaN if none does."""
    scores = intersection_over_union(counts)
    return float(scores[~np.isnan(scores)].mean()) if not np.isnan(scores).all() else math.nan


def presence_counts(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How often the answer "it is in the image" is right, of how many: (N, 2) int64 of one image.

    All three are (N,); classes of which the truth does not say whether they are there (`known` False) count 0 of 0.
    Raises ValueError for different shapes.
    """
    if not predicted.shape == truth.shape == known.shape:
        raise ValueError(f"presence {predicted.shape}, its truth {truth.shape} and what is known {known.shape} differ in shape")
    return np.stack([(predicted == truth) & known, known], axis=1).astype(np.int64)


def accuracy(counts: NDArray[np.int64]) -> float:
    """The share of right answers, from counts (N, 2) of right and asked; NaN if nothing was asked."""
    right, asked = counts.sum(0)
    return float(right / asked) if asked else math.nan


def dense_sums(predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> DenseSums:
    """Sums of squared, relative and absolute errors where both maps, of the same shape, are finite.

    Raises ValueError for maps of different shapes.

    >>> dense_sums(np.array([1.0, 3.0, 5.0]), np.array([2.0, 3.0, np.nan]))
    DenseSums(values=2, squared=1.0, relative_values=2, relative=0.5, absolute=1.0, positive=2, close=1)
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted values {predicted.shape} and truth {truth.shape} differ in shape")
    known = np.isfinite(truth) & np.isfinite(predicted)
    expected = truth[known].astype(np.float64)
    error = np.abs(predicted[known].astype(np.float64) - expected)
    nonzero = expected != 0
    relative = float((error[nonzero] / np.abs(expected[nonzero])).sum())
    positive, answer = expected > 0, predicted[known].astype(np.float64)
    close = positive & (answer < _CLOSE * expected) & (expected < _CLOSE * answer)
    counts = int(known.sum()), int(nonzero.sum()), int(positive.sum()), int(close.sum())
    return DenseSums(counts[0], float((error**2).sum()), counts[1], relative, float(error.sum()), *counts[2:])


def root_mean_square_error(sums: DenseSums) -> float:
    """The RMSE over all values, in the target's unit; NaN without values."""
    return math.sqrt(sums.squared / sums.values) if sums.values else math.nan


def mean_absolute_error(sums: DenseSums) -> float:
    """The mean of |answer - truth|, in the target's unit; NaN without values."""
    return sums.absolute / sums.values if sums.values else math.nan


def share_close(sums: DenseSums) -> float:
    """The share of positive values that are answered within a factor of 1.25; NaN without any."""
    return sums.close / sums.positive if sums.positive else math.nan


def absolute_relative_error(sums: DenseSums) -> float:
    """The mean of |answer - truth| / |truth| over all values whose truth is not 0; NaN without any."""
    return sums.relative / sums.relative_values if sums.relative_values else math.nan


def _rank(labels: NDArray[np.integer], numbers: Sequence[int]) -> NDArray[np.int64]:
    """Label values as places in `numbers`, counted from 1; 0 for everything else."""
    table = np.zeros(max((*numbers, 255)) + 2, np.int64)
    table[list(numbers)] = np.arange(1, len(numbers) + 1)
    values = labels.astype(np.int64)
    return table[np.where((values >= 0) & (values < len(table)), values, 0)]
