"""Matching networks under training, with full context embeddings or plain (Vinyals et al. 2016, as Chen et al. 2019 train them)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from likewise.functional.support_attention import attention, class_probabilities, log_probabilities
from likewise.methods.classifiers.episode_training import (
    FEATURE,
    EmbeddingTraining,
    EncoderTrainingSettings,
    ImageEpisode,
    encoder_for,
    prefixed,
    seeded,
    support_labels,
)
from likewise.methods.classifiers.matching import Matching, MatchingSettings
from likewise.methods.classifiers.matching_model import FullContext, full_context_of
from likewise.methods.classifiers.reading import feature_shape


@dataclass(frozen=True, kw_only=True)
class MatchingTrainingSettings(EncoderTrainingSettings):
    """How matching networks are trained. full_context: with the LSTMs (published) or plain."""

    full_context: bool = True


class MatchingTraining(EmbeddingTraining):
    """Encoder and, with full context, both LSTMs under training. See `ClassTrainable`."""

    def __init__(self, encoder: nn.Module, context: FullContext | None, settings: MatchingTrainingSettings) -> None:
        super().__init__(nn.ModuleList([encoder] if context is None else [encoder, context]), settings)
        self.encoder, self.context = encoder, context

    def checkpoint(self) -> dict[str, Tensor]:
        """The encoder's tensors and those of the LSTMs."""
        return prefixed(FEATURE, self.encoder) | ({} if self.context is None else prefixed("", self.context))

    def method(self) -> Matching:
        """The method with copies of the tensors as they are now."""
        return Matching(MatchingSettings(**self.told()), self.copies())

    def episode_loss(self, episode: ImageEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The negative log-probability of the queries' classes. There is no chance in it."""
        del generator
        return {"loss": nll_loss(self.scores(episode), episode.labels)}

    def embedded(self, numbers: Tensor) -> Tensor:
        """Features (B, D) without context."""
        found: Tensor = self.encoder(numbers)
        return found

    def compared(self, supports: Tensor, queries: Tensor) -> Tensor:
        """Log-probabilities (M, N)."""
        labels, known = support_labels(supports), supports.flatten(0, 1)
        if self.context is not None:
            known, queries = self.context(known, queries)
        return log_probabilities(class_probabilities(attention(queries, known), labels, len(supports)))


def trainable(values: Mapping[str, Any], n_classes: int, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> MatchingTraining:
    """The network, new by a seed or from the tensors of a checkpoint. UsageError for unknown settings."""
    del n_classes
    settings = MatchingTrainingSettings().changed(**values)
    encoder = encoder_for(settings, seed, start)
    context = None
    if settings.full_context:
        (width,) = feature_shape(encoder, settings.side)
        context = full_context_of(start) if start and "FCE.lstmcell.weight_hh" in start else seeded(lambda: FullContext(width), seed)
    return MatchingTraining(encoder, context, settings)
