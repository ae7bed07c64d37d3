"""Clusters of feature vectors: how well classes are apart, and k-means as the analogies of features need it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def class_means(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of every class, and whose class each row is: (C, D) and (P,), classes in the order of their labels.

    features (P, D), labels (P,) whole numbers. Raises ValueError for shapes that do not agree or without a row.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1] or not labels.numel():
        raise ValueError(f"features {tuple(features.shape)} and labels {tuple(labels.shape)} are not (P, D) and (P,) with P >= 1")
    classes, own = torch.unique(labels, return_inverse=True)
    counts = torch.bincount(own, minlength=classes.numel()).to(features.dtype)
    sums = features.new_zeros(classes.numel(), features.shape[1]).index_add(0, own, features)
    return sums / counts[:, None], own


def class_spreads(features: Tensor, labels: Tensor) -> Tensor:
    """The root of the mean squared distance of a class's rows to its mean: (C,), classes in the order of their labels.

    features (P, D), labels (P,) whole numbers.
    """
    means, own = class_means(features, labels)
    squares = (features - means[own]).square().sum(dim=1)
    total = squares.new_zeros(means.shape[0]).index_add(0, own, squares)
    return (total / torch.bincount(own, minlength=means.shape[0])).sqrt()


def davies_bouldin(features: Tensor, labels: Tensor) -> Tensor:
    """How much classes run into each other, a number >= 0, low where they are apart.

    features (P, D), labels (P,) whole numbers. The mean over classes of the worst (s_c + s_c') / |m_c - m_c'|, with the
    spreads s of `class_spreads` (Davies and Bouldin 1979 with q = 2; scikit-learn's index has the mean distance for s).
    Raises ValueError for fewer than two classes.
    """
    means, _ = class_means(features, labels)
    if means.shape[0] < 2:
        raise ValueError(f"{means.shape[0]} class: an index of how classes are apart needs two")
    spreads = class_spreads(features, labels)
    apart = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist")
    alike = (spreads[:, None] + spreads[None]) / apart
    itself = torch.eye(means.shape[0], dtype=torch.bool, device=alike.device)
    return alike.masked_fill(itself, 0).amax(dim=1).mean()


def k_means(points: NDArray[np.float64], clusters: int, generator: np.random.RandomState, *, iterations: int = 20) -> NDArray[np.float64]:
    """The centres (K, D) of clusters of points (P, D) after so many rounds of k-means.

    Starts at random unit vectors. A cluster without points keeps its centre; one that never had any jumps to a random
    point at the end of a round. Hariharan and Girshick 2017, whose code draws from NumPy's legacy generator.
    """
    centres = generator.randn(clusters, points.shape[1])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    used = np.zeros(clusters, dtype=bool)
    for _ in range(iterations):
        nearest = np.argmax(points @ centres.T - 0.5 * np.square(centres).sum(axis=1), axis=1)
        counts = np.bincount(nearest, minlength=clusters)
        filled = counts > 0
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        centres[filled] = sums[filled] / counts[filled, None]
        used |= filled
        for cluster in np.flatnonzero(~used):
            centres[cluster] = points[generator.choice(len(points))]
    return centres
