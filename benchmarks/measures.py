"""Figures of merit over answers: AUROC, calibration error, risk at a coverage. Pure functions on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BINS = 15


def auroc(scores: Array, truth: NDArray[np.bool_], weight: Array | None = None) -> float:
    """The chance that a positive scores above a negative, ties counting half; NaN without one of both.

    scores (n,), truth (n,) bool, weight (n,) of observations.
    """
    weight = np.ones(len(scores)) if weight is None else weight
    _, rank = np.unique(scores, return_inverse=True)
    positive, negative = np.bincount(rank, weight * truth), np.bincount(rank, weight * ~truth)
    if not positive.sum() or not negative.sum():
        return float("nan")
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / (positive.sum() * negative.sum()))


def calibration_error(probabilities: Array, truth: NDArray[np.bool_], weight: Array | None = None, bins: int = BINS) -> float:
    """The expected calibration error: how far frequency and mean probability of each bin lie apart, by the weight of the bin.

    probabilities (n,) in 0..1, truth (n,) bool, weight (n,); bins of equal width.
    """
    weight = np.ones(len(probabilities)) if weight is None else weight
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    said, seen = np.bincount(place, weight * probabilities, bins), np.bincount(place, weight * truth, bins)
    return float(np.abs(said - seen).sum() / weight.sum())


def calibration_bins(said: Array, measured: Array, bins: int) -> list[dict[str, float]]:
    """Mean of what was said and of what was measured, (n,) in 0..1 each, and the count, of each bin of equal width that holds any."""
    place = np.minimum((said * bins).astype(np.int64), bins - 1)
    return [
        {"from": part / bins, "count": int(own.sum()), "said": float(said[own].mean()), "measured": float(measured[own].mean())}
        for part in range(bins)
        if (own := place == part).any()
    ]


def risks(confidence: Array, errors: Array) -> Array:
    """The mean error of the k surest images, for k = 1 .. n: (n,), (n,) -> (n,).

    Images of the same confidence come in no order: each counts with the mean error of its ties.
    """
    _, tie = np.unique(confidence, return_inverse=True)
    fair = (np.bincount(tie, errors) / np.bincount(tie))[tie]
    order = np.argsort(-confidence, kind="stable")
    return np.asarray(np.cumsum(fair[order]) / np.arange(1, len(errors) + 1))


def at_coverage(curve: Array, coverage: float) -> float:
    """The risk (n,) when the given share of the images is labelled, at least one."""
    return float(curve[max(1, int(np.ceil(coverage * len(curve)))) - 1])
