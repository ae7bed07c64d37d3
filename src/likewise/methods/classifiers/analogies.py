"""Hallucination by analogy: how the regressor is trained on the clusters of base classes (Hariharan and Girshick 2017).

learned_analogies is the whole of it, from features of base classes by any frozen encoder:

    analogies = learned_analogies([features_of(pictures) for pictures in base_classes], clusters=10, training=RegressorTraining(steps=2000))
    features, labels = analogies.enlarged(features, labels, per_class=5)         # of new classes, for any learner
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR

from likewise.functional.clusters import k_means
from likewise.methods.classifiers.analogies_model import AnalogyLoss, AnalogyRegressor, analogy_loss, generated_examples, mined_analogies


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


@dataclass(frozen=True)
class LearnedAnalogies:
    """A trained regressor, and the centres (C, K, D) of the base classes that it carries examples along."""

    regressor: AnalogyRegressor
    centres: Tensor

    def enlarged(self, features: Tensor, labels: Tensor, *, per_class: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Features (P + G, D) of new classes and their labels (P + G,): those given, behind them made-up ones until a class has `per_class`."""
        return generated_examples(self.regressor, features, labels, self.centres, np.random.RandomState(seed), per_class=per_class)


def learned_analogies(
    classes: Sequence[Tensor],
    *,
    classifier: Tensor | None = None,
    clusters: int = 100,
    inner: int = 512,
    training: RegressorTraining | None = None,
    seed: int = 0,
) -> LearnedAnalogies:
    """Analogies among base classes, mined and learned from their features (M, D), not negative, each of some frozen encoder.

    classifier: (C, D) without bias, of the base classes, as it was trained with the encoder; None for one that is fitted here. clusters, inner and
    the training are published for 389 classes of a thousand pictures. Raises ValueError where a class has fewer features than clusters,
    or there are no analogies. The global random state is left as it was.
    """
    generator = np.random.RandomState(seed)
    if min(len(own) for own in classes) < clusters:
        raise ValueError(f"{clusters} clusters of a class with {min(len(own) for own in classes)} features")
    centres = clusters_of_classes([own.double().numpy() for own in classes], clusters, generator)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        regressor = AnalogyRegressor(centres.shape[2], inner)
    fixed = base_classifier(classes) if classifier is None else classifier
    for _ in regressor_steps(regressor, fixed, centres, mined_analogies(centres).rows, training or RegressorTraining(), generator):
        pass
    return LearnedAnalogies(regressor.eval().requires_grad_(False), centres)


def base_classifier(classes: Sequence[Tensor], *, decay: float = 1e-4) -> Tensor:
    """A linear classifier (C, D) without bias of the features (M, D) of classes: the least mean cross entropy plus decay / 2 of its squares."""
    features, labels = torch.cat(list(classes)).double(), class_of(classes)
    shape = (len(classes), features.shape[1])

    def slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight = torch.from_numpy(flat).reshape(shape)
        scores = features @ weight.T
        error = (scores.softmax(dim=1) - one_hot(labels, len(classes))) / len(labels)
        loss = cross_entropy(scores, labels) + decay / 2 * weight.square().sum()
        return float(loss), (error.T @ features + decay * weight).flatten().numpy()

    found = minimize(slope, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B")
    return torch.from_numpy(found.x).reshape(shape).float()


def class_of(classes: Sequence[Tensor]) -> Tensor:
    """The places (M,) of classes, each as often as it has features."""
    return torch.arange(len(classes)).repeat_interleave(torch.tensor([len(own) for own in classes]))


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
