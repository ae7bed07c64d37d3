"""Baseline and Baseline++: a head tuned on the support (Chen et al. 2019, "A Closer Look at Few-shot Classification").

learn    a linear head, or a cosine head with a learned norm a class, tuned on the features of the supports by stochastic gradient descent as published
predict  the head's scores, softmax

On a frozen backbone (see `frame`) or with a checkpoint's encoder. First weights and orders are drawn by a seed of their own.

Limits: learning takes hundreds of steps, four times over for the left-out predictions; examples that are added are learned with all others anew.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from likewise.errors import UsageError
from likewise.methods.classifiers.baseline_model import (
    NORM_FLOOR,
    Parameters,
    Scores,
    Tuning,
    cosine_factor,
    cosine_scores,
    drawn_orders,
    first_cosine,
    first_linear,
    linear_scores,
    merged_cosine,
    tuned,
)
from likewise.methods.classifiers.frame import ClassifierSettings, PictureClassifier


@dataclass(frozen=True, kw_only=True)
class BaselineSettings(ClassifierSettings):
    """epochs, rate: of the tuning, see `baseline_model.Tuning`; seed: of first weights and orders."""

    epochs: int = Tuning.epochs
    rate: float = Tuning.rate
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs < 1 or not self.rate > 0:
            raise UsageError(
                f"{self.epochs} epochs at the rate {self.rate} do not tune", where=type(self).__qualname__, remedy="Give one epoch at least, and a rate above 0"
            )


class TunedHead(PictureClassifier):
    """What both heads share."""

    Settings = BaselineSettings
    settings: BaselineSettings
    folds: ClassVar[int] = 3

    @abstractmethod
    def first(self, n_way: int, width: int, generator: Generator) -> dict[str, Tensor]:
        """The first parameters of a head."""

    @abstractmethod
    def tuned_scores(self, n_way: int) -> Scores:
        """What gives scores from parameters and features."""

    def fit(self, features: Tensor, labels: Tensor, n_way: int, network: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tuned parameters of the head."""
        own = self.settings
        with torch.inference_mode(False), torch.enable_grad():
            rows, classes = features.flatten(1).clone(), labels.clone()
            start = self.first(n_way, rows.shape[1], Generator().manual_seed(own.seed))
            orders = drawn_orders(len(rows), own.epochs, np.random.RandomState(own.seed))
            return tuned(self.tuned_scores(n_way), start, rows, classes, orders, Tuning(epochs=own.epochs, rate=own.rate))


class Baseline(TunedHead):
    """See the top of the file."""

    name = "baseline"
    usual_temperature = 0.1

    def first(self, n_way: int, width: int, generator: Generator) -> dict[str, Tensor]:
        """A linear head."""
        return first_linear(n_way, width, generator)

    def tuned_scores(self, n_way: int) -> Scores:
        """Linear scores."""
        return linear_scores

    def scores(self, features: Tensor, kept: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Tensor:
        """Linear scores."""
        return linear_scores(kept, features.flatten(1))


class BaselinePlus(TunedHead):
    """See the top of the file."""

    name = "baseline++"
    usual_temperature = 0.35

    def first(self, n_way: int, width: int, generator: Generator) -> dict[str, Tensor]:
        """A cosine head."""
        return first_cosine(n_way, width, generator)

    def tuned_scores(self, n_way: int) -> Scores:
        """Scaled cosines."""
        factor = cosine_factor(n_way)

        def scores(parameters: Parameters, features: Tensor) -> Tensor:
            return cosine_scores(parameters, features, factor)

        return scores

    def fit(self, features: Tensor, labels: Tensor, n_way: int, network: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One matrix (n, D) of the tuned head."""
        return {"weight": merged_cosine(super().fit(features, labels, n_way, network), cosine_factor(n_way))}

    def scores(self, features: Tensor, kept: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Tensor:
        """Scaled cosines."""
        rows = features.flatten(1)
        return rows / (rows.norm(dim=1, keepdim=True) + NORM_FLOOR) @ kept["weight"].T

    def distances(self, features: Tensor, logits: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """One less the cosine with the nearest class's direction: learned norms tell classes from each other, not from all else."""
        del logits
        rows = torch.nn.functional.normalize(features.flatten(1), dim=1)
        return 1 - (rows @ torch.nn.functional.normalize(kept["weight"], dim=1).T).amax(dim=1)
