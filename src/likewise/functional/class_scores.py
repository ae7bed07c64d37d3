"""Scores of classifiers in episodes and without any example. Letters: Q queries, N classes."""

from __future__ import annotations

import torch
from torch import Tensor


def accuracy(scores: Tensor, labels: Tensor) -> float:
    """The share of queries whose class (Q,) has the highest score (Q, N); of equal scores the first counts.

    >>> accuracy(torch.tensor([[1.0, 2.0], [3.0, 3.0], [0.0, 1.0]]), torch.tensor([1, 0, 0]))
    0.6666666865348816
    """
    return float((scores.argmax(dim=1) == labels).float().mean())


def mean_class_accuracy(scores: Tensor, labels: Tensor) -> float:
    """The mean over the classes that occur of the share of their queries that are right, so that each class counts alike.

    scores (Q, N), labels (Q,). The score of zero-shot classification (Sung et al. 2018).
    """
    right = (scores.argmax(dim=1) == labels).double()
    return float(torch.stack([right[labels == way].mean() for way in present_classes(labels)[0]]).mean())


def harmonic_mean(seen: float, unseen: float) -> float:
    """The harmonic mean of the accuracies on seen and on unseen classes, 0 where one of them is: the score of generalised zero-shot classification."""
    return 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0


def present_classes(labels: Tensor) -> tuple[Tensor, Tensor]:
    """The classes that a batch shows in the order of their first appearance, and each label's place (B,) among them.

    >>> classes, places = present_classes(torch.tensor([7, 2, 7, 5]))
    >>> classes.tolist(), places.tolist()
    ([7, 2, 5], [0, 1, 0, 2])
    """
    order = list(dict.fromkeys(labels.tolist()))
    place = {label: index for index, label in enumerate(order)}
    return labels.new_tensor(order), labels.new_tensor([place[label] for label in labels.tolist()])
