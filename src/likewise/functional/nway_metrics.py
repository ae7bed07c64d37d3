"""Scores of N-way segmentation from one table of counts over all episodes: mIoU, mIoU with the background, FB-IoU.

Source: De Marinis et al. 2024 (Label Anything), its code, and what it evidently means. Published numbers for 2 to 15 ways are the
official form, in which classes of an episode may be merged when their labels are renamed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.int64]  # (classes, classes): truth by prediction, the background first
Overlaps = NDArray[np.int64]  # (..., 2, classes + 1): intersection and union of each class, and of the foreground


def benchmark_labels(labels: NDArray[np.integer], numbers: Sequence[int], *, official: bool = False) -> NDArray[np.integer]:
    """Labels of an episode (0 the background, j its j-th class) as those of the benchmark: j becomes `numbers[j - 1]`.

    official: one class after the other in place, so that a pixel may be renamed again and classes merge.

    >>> benchmark_labels(np.array([0, 1, 2, -100]), [2, 5]).tolist(), benchmark_labels(np.array([1, 2]), [2, 5], official=True).tolist()
    ([0, 2, 5, -100], [5, 5])
    """
    found = labels.copy()
    for place, number in enumerate(numbers, start=1):
        found[(found if official else labels) == place] = number
    return found


def confusion(predicted: NDArray[np.integer], truth: NDArray[np.integer], count: int, *, ignored: int = -100) -> Confusion:
    """Counts (count, count) of pixels by truth and prediction; those whose truth is `ignored` do not count."""
    known = truth != ignored
    flat = truth[known].astype(np.int64) * count + predicted[known]
    return np.bincount(flat, minlength=count * count).reshape(count, count)


def overlaps(counts: Confusion) -> Overlaps:
    """Intersection and union in pixels (2, classes + 1): of each class, and last of all but the background, classes not told apart."""
    both, whole = np.diag(counts), counts.sum(0) + counts.sum(1)
    outside = counts.sum() - counts[0, 0]
    return np.stack([np.append(both, counts[1:, 1:].sum()), np.append(whole - both, outside)]).astype(np.int64)


def scores_of(found: Overlaps, *, official: bool = False) -> dict[str, NDArray[np.float64]]:
    """Scores (...) of overlaps (..., 2, classes + 1) that were added over episodes.

    {"miou" over the classes that occur, "bmiou" with the background, "foreground", "fb_iou", the mean of foreground and background}.
    official: as the code has them; the mIoU is wrong where classes do not occur, and FB-IoU is the foreground's IoU.
    """
    iou = _iou(found)
    by_class, background, foreground = iou[..., :-1], np.nan_to_num(iou[..., 0]), np.nan_to_num(iou[..., -1])
    every, classes = _mean(by_class), by_class.shape[-1]
    if official:
        return {"miou": (every * classes - background) / (classes - 1), "bmiou": every, "fb_iou": foreground}
    return {"miou": _mean(by_class[..., 1:]), "bmiou": every, "foreground": foreground, "fb_iou": (foreground + background) / 2}


def class_iou(counts: Confusion) -> NDArray[np.float64]:
    """The IoU (classes,) of each class, NaN for one that is neither there nor predicted."""
    return _iou(overlaps(counts)[:, :-1])


def foreground_iou(counts: Confusion) -> float:
    """The IoU of everything but the background, classes not told apart."""
    return nway_scores(counts)["foreground"]


def nway_scores(counts: Confusion) -> dict[str, float]:
    """The scores of one table of counts; see `scores_of`."""
    return {name: float(value) for name, value in scores_of(overlaps(counts)).items()}


def official_scores(counts: Confusion) -> dict[str, float]:
    """{"miou", "bmiou", "fb_iou"} of one table of counts as the code has them; see `scores_of`."""
    return {name: float(value) for name, value in scores_of(overlaps(counts), official=True).items()}


def _iou(found: Overlaps) -> NDArray[np.float64]:
    """IoU (..., n) of overlaps (..., 2, n); NaN where the union is empty."""
    both, whole = found[..., 0, :].astype(np.float64), found[..., 1, :]
    return np.divide(both, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean (...) of what is known of values (..., n); 0 where nothing is."""
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0).sum(-1) / np.maximum(known.sum(-1), 1))
