"""Prototypical networks under training (Snell et al. 2017; in the frame of Chen et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from likewise.errors import UsageError
from likewise.functional.prototypes import distance_scores
from likewise.methods.classifiers.episode_training import FEATURE, EmbeddingTraining, EncoderTrainingSettings, ImageEpisode, encoder_for, prefixed
from likewise.methods.classifiers.frame import ClassifierSettings
from likewise.methods.classifiers.prototypical import Prototypical


@dataclass(frozen=True, kw_only=True)
class PrototypicalTrainingSettings(EncoderTrainingSettings):
    """How the encoder is trained. temperature: divides the distances in the loss, published 1.

    Of 1,600 numbers a picture the first losses are in the hundreds, and a short training does nothing but shrink them.
    """

    temperature: float = 1.0

    def check(self) -> None:
        """UsageError for names that are none, and for a temperature that does not divide."""
        super().check()
        if not self.temperature > 0:
            raise UsageError(f"the temperature is {self.temperature}", where="method.temperature", remedy="Give a number above 0")


class PrototypicalTraining(EmbeddingTraining):
    """The encoder under training, by the cross entropy of negative squared distances. See `ClassTrainable`."""

    def __init__(self, network: nn.Module, settings: PrototypicalTrainingSettings) -> None:
        super().__init__(network, settings)
        self.temperature = settings.temperature

    def checkpoint(self) -> dict[str, Tensor]:
        """The encoder's tensors."""
        return prefixed(FEATURE, self.network)

    def method(self) -> Prototypical:
        """The method with copies of the tensors as they are now."""
        return Prototypical(ClassifierSettings(**self.told()), self.copies())

    def episode_loss(self, episode: ImageEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of the queries. There is no chance in it."""
        del generator
        return {"loss": cross_entropy(self.scores(episode) / self.temperature, episode.labels)}

    def embedded(self, numbers: Tensor) -> Tensor:
        """Features (B, D)."""
        found: Tensor = self.network(numbers)
        return found

    def compared(self, supports: Tensor, queries: Tensor) -> Tensor:
        """Negative squared distances (M, N)."""
        return distance_scores(queries, supports.mean(dim=1))


def trainable(values: Mapping[str, Any], n_classes: int, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> PrototypicalTraining:
    """The network, new by a seed or from the tensors of a checkpoint. UsageError for unknown settings."""
    del n_classes
    settings = PrototypicalTrainingSettings().changed(**values)
    return PrototypicalTraining(encoder_for(settings, seed, start), settings)
