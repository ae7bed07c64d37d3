"""Hallucination by analogy: how the regressor is trained on the clusters of base classes (Hariharan and Girshick 2017)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR

from likewise.functional.clusters import k_means
from likewise.methods.classifiers.analogies_model import AnalogyLoss, AnalogyRegressor, analogy_loss


@dataclass(frozen=True, kw_only=True)
class RegressorTraining:
    """How the regressor is trained (Hariharan and Girshick 2017, their code; its rate is 1 for a ResNet-10 with their penalty)."""

    batch: int = 128
    steps: int = 120_000
    rate: float = 0.1
    drop_every: int = 40_000  # steps, after each of which the rate is a tenth
    momentum: float = 0.9
    dampening: float = 0.9
    weight_decay: float = 1e-4
    squares: float = 10.0  # weight of the squared error


def clusters_of_classes(classes: Sequence[NDArray[np.float64]], clusters: int, generator: np.random.RandomState, *, iterations: int = 20) -> Tensor:
    """The centres (C, K, D) float32 of K clusters of each base class, from its features (M, D); the published code has K = 100."""
    found = [k_means(features, clusters, generator, iterations=iterations) for features in classes]
    return torch.from_numpy(np.stack(found)).float()


def cycled_batches(count: int, batch: int, generator: np.random.RandomState) -> Iterator[Tensor]:
    """Batches of 0..count-1 in one order that is drawn once and repeated; the last batch of each cycle may be shorter."""
    order = torch.from_numpy(generator.permutation(count)).long()
    while True:
        yield from torch.split(order, batch)


def regressor_steps(
    regressor: AnalogyRegressor, classifier: Tensor, centres: Tensor, rows: Tensor, training: RegressorTraining, generator: np.random.RandomState
) -> Iterator[AnalogyLoss]:
    """The loss of one training step after another, detached; the regressor is trained in place.

    classifier (C, D) of the base classes, fixed; centres (C, K, D), rows (M, 4) of `mined_analogies`.
    Raises ValueError where there are none.
    """
    if not len(rows):
        raise ValueError("there are no analogies among the clusters: a regressor has nothing to learn from")
    optimiser = SGD(regressor.parameters(), training.rate, momentum=training.momentum, dampening=training.dampening, weight_decay=training.weight_decay)
    schedule = StepLR(optimiser, training.drop_every, gamma=0.1)
    for _, chosen in zip(range(training.steps), cycled_batches(len(rows), training.batch, generator), strict=False):
        loss = analogy_loss(regressor, classifier, centres, rows[chosen], weight=training.squares)
        optimiser.zero_grad()
        torch.autograd.backward(loss.total)
        optimiser.step()
        schedule.step()
        yield AnalogyLoss(loss.total.detach(), loss.classes.detach(), loss.squares.detach())
