"""Scores of N-way segmentation from one table of counts over all episodes: mIoU, mIoU with the background, FB-IoU.

Source: De Marinis et al. 2024 (Label Anything), its code, and what it evidently means. Published numbers for 2 to 15 ways are the
official form, in which classes of an episode may be merged when their labels are renamed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.int64]  # (classes, classes): truth by prediction, the background first


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


def class_iou(counts: Confusion) -> NDArray[np.float64]:
    """The IoU (classes,) of each class, NaN for one that is neither there nor predicted."""
    both = np.diag(counts).astype(np.float64)
    whole = counts.sum(0) + counts.sum(1) - both
    return np.divide(both, whole, out=np.full(len(both), np.nan), where=whole > 0)


def foreground_iou(counts: Confusion) -> float:
    """The IoU of everything but the background, classes not told apart."""
    return float(counts[1:, 1:].sum() / max(counts.sum() - counts[0, 0], 1))


def nway_scores(counts: Confusion) -> dict[str, float]:
    """{"miou" over the classes that occur, "bmiou" with the background, "foreground", "fb_iou", the mean of foreground and background}."""
    by_class = class_iou(counts)
    foreground = foreground_iou(counts)
    background = float(np.nan_to_num(by_class[0]))
    return {"miou": _mean(by_class[1:]), "bmiou": _mean(by_class), "foreground": foreground, "fb_iou": (foreground + background) / 2}


def official_scores(counts: Confusion) -> dict[str, float]:
    """{"miou", "bmiou", "fb_iou"} as the code has them: the first is wrong where classes do not occur, the last is the foreground's IoU."""
    by_class = class_iou(counts)
    mean, classes = _mean(by_class), len(by_class)
    return {"miou": (mean * classes - float(np.nan_to_num(by_class[0]))) / (classes - 1), "bmiou": mean, "fb_iou": foreground_iou(counts)}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
