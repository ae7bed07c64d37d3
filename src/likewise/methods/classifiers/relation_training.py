"""Relation networks under training (Sung et al. 2018; in the frame of Chen et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from likewise.backbones.conv_encoders import initialise
from likewise.errors import UsageError, close_match
from likewise.methods.classifiers.episode_training import (
    FEATURE,
    EmbeddingTraining,
    EncoderTrainingSettings,
    ImageEpisode,
    encoder_for,
    prefixed,
    seeded,
)
from likewise.methods.classifiers.reading import feature_shape
from likewise.methods.classifiers.relation import Relation, RelationSettings
from likewise.methods.classifiers.relation_model import RelationModule, RelationNetwork, relation_of, softmax_loss, squared_loss

Loss = Literal["softmax", "squared"]
MODULE = "relation_module."


@dataclass(frozen=True, kw_only=True)
class RelationTrainingSettings(EncoderTrainingSettings):
    """How relation networks are trained; defaults of Chen et al. 2019.

    summed, apart: see `RelationNetwork`, both true in the original; loss: "softmax", or "squared" as in the original; momentum: of running
    statistics, published with 1 in the relation module, which keeps those of the last episode alone.
    """

    encoder: str = "conv4np"
    summed: bool = False
    apart: bool = False
    loss: Loss = "softmax"
    momentum: float = 0.1

    def check(self) -> None:
        """UsageError for names that are none."""
        super().check()
        if self.loss not in get_args(Loss):
            raise UsageError(f"there is no loss {self.loss!r}", where="method.loss", remedy=close_match(self.loss, get_args(Loss)))


class RelationTraining(EmbeddingTraining):
    """Encoder and relation module under training. See `ClassTrainable`."""

    def __init__(self, network: RelationNetwork, settings: RelationTrainingSettings) -> None:
        super().__init__(network, settings)
        self.summed = settings.summed
        self.relating, self.loss = network, softmax_loss if settings.loss == "softmax" else squared_loss

    def checkpoint(self) -> dict[str, Tensor]:
        """The tensors of both."""
        return prefixed(FEATURE, self.relating.encoder) | prefixed(MODULE, self.relating.relation)

    def method(self) -> Relation:
        """The method with copies of the tensors as they are now."""
        return Relation(RelationSettings(**self.told(), summed=self.summed), self.copies())

    def episode_loss(self, episode: ImageEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of all pairs. There is no chance in it."""
        del generator
        return {"loss": self.loss(self.scores(episode), episode.labels)}

    def scores(self, episode: ImageEpisode) -> Tensor:
        """Logits (N Q, N); supports and queries are one batch of the encoder or two, as the settings say."""
        found: Tensor = self.relating(self.whole(episode), episode.support.shape[1])
        return found

    def embedded(self, numbers: Tensor) -> Tensor:
        """Maps (B, C, h, w)."""
        found: Tensor = self.relating.encoder(numbers)
        return found

    def compared(self, supports: Tensor, queries: Tensor) -> Tensor:
        """Logits (M, N)."""
        found: Tensor = self.relating.relation(self.relating.class_maps(supports), queries)
        return found


def trainable(values: Mapping[str, Any], n_classes: int, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> RelationTraining:
    """The network, new by a seed or from the tensors of a checkpoint. UsageError for unknown settings."""
    del n_classes
    settings = RelationTrainingSettings().changed(**values)
    encoder = encoder_for(settings, seed, start, maps=True)
    channels, rows, columns = feature_shape(encoder, settings.side)

    def module() -> nn.Module:
        found = RelationModule(channels, (rows, columns), momentum=settings.momentum)
        initialise(found, settings.first)
        return found

    relation = seeded(module, seed) if start is None else relation_of(start, (rows, columns), momentum=settings.momentum)
    assert isinstance(relation, RelationModule)
    return RelationTraining(RelationNetwork(encoder, relation, summed=settings.summed, apart=settings.apart), settings)
