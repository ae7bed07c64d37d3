"""Baseline and Baseline++: a new head on frozen features, tuned on the support (Chen et al. 2019).

A head is linear (`Linear`) or cosine with a learned norm a class (`CosineHead`). `tuning_steps` tunes either one, for one
episode or for many side by side: parameters and features may have leading dimensions, one entry an episode.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

Parameters = Mapping[str, Tensor]
Scores = Callable[[Parameters, Tensor], Tensor]

NORM_FLOOR = 1e-5  # added to the length of a feature; a feature of zeros has scores of zero
FEW_CLASSES = 200  # up to so many outputs the scores are doubled, beyond them times ten


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How a head is tuned on a support (Chen et al. 2019, their code): stochastic gradient descent."""

    epochs: int = 100
    batch: int = 4
    rate: float = 0.01
    momentum: float = 0.9
    dampening: float = 0.9  # without it steps are ten times as long
    weight_decay: float = 1e-3  # of all parameters, biases and norms included


def cosine_factor(n_classes: int) -> float:
    """What cosines are multiplied with by default: 2 for up to 200 outputs, else 10 (the paper's ResNet-10 on CUB needs 4)."""
    return 2.0 if n_classes <= FEW_CLASSES else 10.0


def linear_scores(parameters: Parameters, features: Tensor) -> Tensor:
    """Scores (..., P, N) of features (..., P, D) under `weight` (..., N, D) and `bias` (..., N)."""
    return features @ parameters["weight"].mT + parameters["bias"][..., None, :]


def cosine_scores(parameters: Parameters, features: Tensor, factor: float) -> Tensor:
    """Scores (..., P, N) of features (..., P, D): factor * g * cosine with each class's direction.

    `weight_v` (..., N, D), whose length does not matter but may not be zero, and `weight_g` (..., N, 1).
    """
    direction = parameters["weight_v"] / parameters["weight_v"].norm(dim=-1, keepdim=True)
    unit = features / (features.norm(dim=-1, keepdim=True) + NORM_FLOOR)
    return factor * (unit @ (parameters["weight_g"] * direction).mT)


def first_linear(n_classes: int, width: int, generator: Generator | None = None) -> dict[str, Tensor]:
    """An untrained linear head by torch's default: `weight` (N, D) and `bias` (N,), uniform within 1 / sqrt(D)."""
    bound = 1 / math.sqrt(width)
    weight = torch.empty(n_classes, width).uniform_(-bound, bound, generator=generator)
    return {"weight": weight, "bias": torch.empty(n_classes).uniform_(-bound, bound, generator=generator)}


def first_cosine(n_classes: int, width: int, generator: Generator | None = None) -> dict[str, Tensor]:
    """An untrained cosine head: `weight_v` (N, D) by torch's default and `weight_g` (N, 1), its lengths."""
    weight = first_linear(n_classes, width, generator)["weight"]
    return {"weight_v": weight, "weight_g": weight.norm(dim=1, keepdim=True)}


class CosineHead(nn.Module):
    """The head of Baseline++: features (P, D) -> scores (P, N). Checkpoints name its tensors `classifier.L.weight_g` and `.weight_v`."""

    def __init__(self, n_classes: int, width: int, *, factor: float | None = None) -> None:
        super().__init__()
        self.factor = cosine_factor(n_classes) if factor is None else factor
        for name, start in first_cosine(n_classes, width).items():
            self.register_parameter(name, nn.Parameter(start))

    def forward(self, features: Tensor) -> Tensor:
        """Scores (..., P, N) of features (..., P, D)."""
        return cosine_scores(dict(self.named_parameters()), features, self.factor)


def merged_cosine(parameters: Parameters, factor: float) -> Tensor:
    """One matrix (..., N, D) that gives a cosine head's scores of features divided by their length + 1e-5."""
    weight = parameters["weight_v"]
    return factor * parameters["weight_g"] * weight / weight.norm(dim=-1, keepdim=True)


def drawn_orders(count: int, epochs: int, generator: np.random.RandomState) -> Tensor:
    """The order (epochs, S) of a support of `count` examples in each epoch, drawn as the published code draws it."""
    return torch.from_numpy(np.stack([generator.permutation(count) for _ in range(epochs)])).long()


def tuning_steps(scores: Scores, start: Parameters, features: Tensor, labels: Tensor, orders: Tensor, tuning: Tuning) -> Iterator[dict[str, Tensor]]:
    """A head's parameters after each step of tuning on the support.

    scores: what gives scores (..., P, N) from parameters and features; start: the first parameters, left as they are;
    features (..., S, D), labels (..., S) in 0..N-1, orders (..., epochs, S): the order of the support in each epoch,
    cut into batches of which the last may be shorter. Leading dimensions are episodes that do not touch each other.
    What is yielded is the running state: copy what is to be kept.
    """
    head = {name: value.detach().clone().requires_grad_() for name, value in start.items()}
    optimiser = torch.optim.SGD(  # its dampening leaves the first step alone, as the published one did
        list(head.values()), lr=tuning.rate, momentum=tuning.momentum, dampening=tuning.dampening, weight_decay=tuning.weight_decay
    )
    for order in orders[..., : tuning.epochs, :].unbind(dim=-2):
        for chosen in torch.split(order, tuning.batch, dim=-1):
            with torch.enable_grad():
                given = scores(head, features.detach().take_along_dim(chosen[..., None], dim=-2))
                loss = cross_entropy(given.flatten(0, -2), labels.take_along_dim(chosen, dim=-1).flatten(), reduction="sum") / chosen.shape[-1]
                gradients = torch.autograd.grad(loss, list(head.values()))
            for value, gradient in zip(head.values(), gradients, strict=True):
                value.grad = gradient
            optimiser.step()
            yield {name: value.detach() for name, value in head.items()}


def tuned(scores: Scores, start: Parameters, features: Tensor, labels: Tensor, orders: Tensor, tuning: Tuning) -> dict[str, Tensor]:
    """A head's parameters after all steps of `tuning_steps`; those at the start where there are none."""
    found = {name: value.detach().clone() for name, value in start.items()}
    for state in tuning_steps(scores, start, features, labels, orders, tuning):
        found = state
    return found
