"""Paired bootstrap over queries: how sure is a difference of two mIoU, given their counts on the same images.

Counts are those of score.py: for each draw {query: {class: [intersection, union]}}. What is resampled are the images by
name: an image that is drawn twice counts twice in every draw of the support in which it is a query, for both methods, so
that neither the images that all find hard nor an image's return in other draws is taken for evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = Mapping[str, Mapping[str, Sequence[int]]]  # of one draw
Array = NDArray[np.float64]
RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """A value and the 95 % interval of its resamples."""

    value: float
    low: float
    high: float

    @property
    def above(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    @property
    def below(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high < 0


def interval(values: Array) -> Interval:
    """The interval of a statistic (1 + R,): as observed, then of R resamples; resamples without a value (NaN) are left out."""
    known = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return Interval(float(values[0]), float(low), float(high))


def weights(count: int, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """How often each of `count` images is drawn: (1 + R, count), the first row all ones, the others sums of `count`."""
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.concatenate([np.ones((1, count)), drawn])


def mean_iou(draws: Sequence[Counts], names: Sequence[str], weight: Array) -> Array:
    """Mean over the draws of the mIoU in percent (R,), with images weighted by rows of `weight` (R, len(names)).

    As in score.py: counts are pooled over the queries of a draw, and the mean is over the classes whose union is not 0.
    """
    return np.asarray(np.mean([_one(draw, names, weight) for draw in draws], axis=0))


def differences(ours: Sequence[Counts], theirs: Sequence[Counts], resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """Difference of mIoU (1 + R,), ours less theirs, observed first. ValueError unless both have the same draws of the same queries."""
    if [sorted(draw) for draw in ours] != [sorted(draw) for draw in theirs]:
        raise ValueError(f"{len(ours)} and {len(theirs)} draws do not hold the same queries, so nothing can be paired")
    names = sorted({name for draw in ours for name in draw})
    weight = weights(len(names), resamples, seed)
    return mean_iou(ours, names, weight) - mean_iou(theirs, names, weight)


def resampled(statistic: Callable[[Array], float], groups: NDArray[np.int64], resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The interval of a statistic of weights (n,), where the n observations of one group (an image, say) are drawn together."""
    drawn = weights(int(groups.max()) + 1, resamples, seed)
    return interval(np.array([statistic(row[groups]) for row in drawn]))


def _one(draw: Counts, names: Sequence[str], weight: Array) -> Array:
    numbers = sorted({number for found in draw.values() for number in found})
    table = np.zeros((2, len(names), len(numbers)))
    for row, name in enumerate(names):
        for number, pair in draw.get(name, {}).items():
            table[:, row, numbers.index(number)] = pair
    both, either = weight @ table[0], weight @ table[1]
    iou = np.divide(both, either, out=np.full_like(both, np.nan), where=either > 0)
    known = ~np.isnan(iou)
    total = np.where(known, iou, 0).sum(1)
    return np.asarray(100 * np.divide(total, known.sum(1), out=np.full(len(weight), np.nan), where=known.any(1)))
