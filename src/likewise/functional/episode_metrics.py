"""Scores of few-shot benchmarks from counts that add up: exact ratio, mIoU of FS-CS, mIoU and FB-IoU of FS-S, and those of PANet and PFENet.

Every score is a function of whole numbers that were added over all episodes of a benchmark; means over episodes are
other numbers. Sources: Kang and Cho 2022 (FS-CS), Min et al. 2021 (FS-S), Wang et al. 2019 (PANet), Tian et al. 2020 (PFENet),
and their code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def label_overlap(predicted: NDArray[np.integer], truth: NDArray[np.integer], count: int, ignored: NDArray[np.bool_] | None = None) -> Counts:
    """Intersection and union in pixels of the labels 0..count-1: maps (H, W) -> (2, count).

    ignored: pixels (H, W) that count nowhere. Raises ValueError for maps of different shapes or labels beyond the count.

    >>> label_overlap(np.array([[0, 1, 1]]), np.array([[0, 1, 2]]), 3).tolist()
    [[1, 1, 0], [1, 2, 1]]
    """
    if predicted.shape != truth.shape or (ignored is not None and ignored.shape != truth.shape):
        raise ValueError(f"predicted labels {predicted.shape} and truth {truth.shape} (or what is ignored) differ in shape")
    one, two = predicted.ravel().astype(np.int64), truth.ravel().astype(np.int64)
    if ignored is not None:
        one, two = one[~ignored.ravel()], two[~ignored.ravel()]
    if one.size and max(one.max(), two.max()) >= count:
        raise ValueError(f"a label is {max(one.max(), two.max())}, only 0 to {count - 1} are counted")
    both = np.bincount(one[one == two], minlength=count)
    return np.stack([both, np.bincount(one, minlength=count) + np.bincount(two, minlength=count) - both])


def fscs_counts(overlap: Counts, classes: NDArray[np.integer], slots: int) -> Counts:
    """Counts of an episode's labels put into slots of a benchmark: (2, 1+N), class numbers (N,) -> (2, slots), slot 0 the background."""
    total = np.zeros((2, slots), np.int64)
    total[:, 0] = overlap[:, 0]
    for place, slot in enumerate(classes, start=1):
        total[:, slot] += overlap[:, place]
    return total


def fss_counts(predicted: NDArray[np.integer], truth: NDArray[np.integer], ignored: NDArray[np.bool_] | None = None) -> Counts:
    """Intersection and union of background and foreground in an episode of one class: binary maps (H, W) -> (2, 2)."""
    return label_overlap(predicted, truth, 2, ignored)


def mean_class_iou(counts: Counts, classes: NDArray[np.integer] | list[int]) -> float:
    """The mIoU in percent over chosen slots of counts (2, slots); a class that was never seen nor predicted counts 0, as in the published code."""
    inter, union = counts[0, classes].astype(np.float64), counts[1, classes].astype(np.float64)
    return float((inter / np.maximum(union, 1)).mean() * 100)


def fscs_fb_iou(counts: Counts, classes: NDArray[np.integer] | list[int]) -> float:
    """FB-IoU in percent of FS-CS counts (2, slots): the mean of the background slot's IoU and that of all chosen classes together."""
    both = np.stack([counts[:, 0], counts[:, classes].sum(axis=1)], axis=1).astype(np.float64)
    return float((both[0] / np.maximum(both[1], 1)).mean() * 100)


def fss_scores(counts: Counts, classes: NDArray[np.integer] | list[int]) -> tuple[float, float]:
    """The mIoU and FB-IoU in percent of FS-S counts (2, 2, slots): intersection and union, of background and foreground, by class."""
    chosen = counts[:, :, classes].astype(np.float64)
    by_class = chosen[0] / np.maximum(chosen[1], 1)
    pooled = chosen[0].sum(axis=1) / np.maximum(chosen[1].sum(axis=1), 1)
    return float(by_class[1].mean() * 100), float(pooled.mean() * 100)


def exact_ratio(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """The share in percent of episodes whose classes are all judged rightly: (episodes, N) each.

    >>> exact_ratio(np.array([[True, False], [True, True]]), np.array([[True, False], [True, False]]))
    50.0
    """
    return float((predicted == truth).all(axis=1).mean() * 100)


def panet_counts(predicted: NDArray[np.integer], truth: NDArray[np.integer], labels: NDArray[np.integer], slots: int, *, official: bool = False) -> Counts:
    """True positives, false positives and false negatives of background and the episode's classes: -> (3, slots).

    predicted, truth (H, W) hold 0 and 1..N, truth also 255, which counts nowhere; labels (N,): the slots of the classes.
    official: what is predicted of a class that is not in the truth costs nothing, as in the code of PANet.
    """
    total, known = np.zeros((3, slots), np.int64), truth != 255
    for place, slot in enumerate([0, *labels]):
        claimed, right = (predicted == place) & known, truth == place
        if official and not right.any():
            continue
        total[:, slot] += [int((claimed & right).sum()), int((claimed & ~right).sum()), int((right & ~claimed).sum())]
    return total


def panet_iou(counts: Counts) -> NDArray[np.float64]:
    """IoU of (..., 3, slots) true positives, false positives and false negatives -> (..., slots); NaN for what never occurred."""
    whole = counts.sum(axis=-2).astype(np.float64)
    return np.divide(counts[..., 0, :].astype(np.float64), whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def pfenet_scores(counts: Counts) -> tuple[float, float]:
    """Class mIoU and FB-IoU as fractions, of PFENet: counts (2, 2, classes) of intersection and union, of background and foreground."""
    wide = counts.astype(np.float64)
    pooled = wide.sum(axis=2)
    return float((wide[0, 1] / (wide[1, 1] + 1e-10)).mean()), float((pooled[0] / (pooled[1] + 1e-10)).mean())
