"""Baseline and Baseline++ under training: an encoder and a head over all classes that train (Chen et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from likewise.methods.classifiers.baseline import Baseline, BaselinePlus, BaselineSettings
from likewise.methods.classifiers.baseline_model import (
    CosineHead,
    Tuning,
    cosine_factor,
    cosine_scores,
    drawn_orders,
    first_cosine,
    first_linear,
    linear_scores,
    tuned,
)
from likewise.methods.classifiers.episode_training import (
    FEATURE,
    Drawn,
    EmbeddingTraining,
    EncoderTrainingSettings,
    ImageBatch,
    encoder_for,
    prefixed,
    seeded,
    support_labels,
)
from likewise.methods.classifiers.reading import feature_shape

LINEAR, COSINE = "classifier.", "classifier.L."


@dataclass(frozen=True, kw_only=True)
class BaselineTrainingSettings(EncoderTrainingSettings):
    """How the encoder is trained. outputs: of the head, 0 for as many as classes train (published: 200, also for fewer classes)."""

    outputs: int = 0


class BaselineTraining(EmbeddingTraining):
    """Encoder and head under training; both are tuned on a support when they are asked, the encoder frozen. See `ClassTrainable`."""

    drawn: ClassVar[Drawn] = "batches"

    def __init__(self, encoder: nn.Module, head: nn.Module, settings: BaselineTrainingSettings) -> None:
        super().__init__(nn.ModuleList([encoder, head]), settings)
        self.encoder, self.head, self.cosine = encoder, head, isinstance(head, CosineHead)

    def checkpoint(self) -> dict[str, Tensor]:
        """The tensors of both."""
        return prefixed(FEATURE, self.encoder) | prefixed(COSINE if self.cosine else LINEAR, self.head)

    def method(self) -> Baseline | BaselinePlus:
        """The method with copies of the tensors as they are now."""
        kind = BaselinePlus if self.cosine else Baseline
        return kind(BaselineSettings(**self.told()), self.copies())

    def episode_loss(self, episode: ImageBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """The cross entropy of a batch. There is no chance in it."""
        del generator
        return {"loss": cross_entropy(self.head(self.encoder(self.numbers(episode.images))), episode.labels)}

    def embedded(self, numbers: Tensor) -> Tensor:
        """Features (B, D)."""
        found: Tensor = self.encoder(numbers)
        return found

    def compared(self, supports: Tensor, queries: Tensor) -> Tensor:
        """Scores (M, N) of a new head, tuned on the support as published, by a seed that is always the same."""
        n_way, generator, tuning = len(supports), torch.Generator().manual_seed(0), Tuning()
        labels, known = support_labels(supports), supports.flatten(0, 1)
        of_head = partial(cosine_scores, factor=cosine_factor(n_way)) if self.cosine else linear_scores
        first = (first_cosine if self.cosine else first_linear)(n_way, known.shape[1], generator)
        orders = drawn_orders(len(known), tuning.epochs, np.random.RandomState(0))
        return of_head(tuned(of_head, first, known, labels, orders, tuning), queries)


def trainable(values: Mapping[str, Any], n_classes: int, seed: int = 0, start: Mapping[str, Tensor] | None = None, *, cosine: bool = False) -> BaselineTraining:
    """The network, new by a seed or with the encoder of a checkpoint; a head is always new. UsageError for unknown settings."""
    settings = BaselineTrainingSettings().changed(**values)
    encoder = encoder_for(settings, seed, start)
    (width,) = feature_shape(encoder, settings.side)
    outputs = settings.outputs or n_classes

    def head() -> nn.Module:
        if cosine:
            return CosineHead(outputs, width)
        linear = nn.Linear(width, outputs)
        nn.init.zeros_(linear.bias)
        return linear

    return BaselineTraining(encoder, seeded(head, seed), settings)


trainable_plus = partial(trainable, cosine=True)
