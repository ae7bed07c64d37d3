"""A hallucinator under training in front of a learner, on the features of a frozen encoder (Wang et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from likewise.backbones.checkpoint import check_layout
from likewise.errors import UsageError, close_match
from likewise.methods.classifiers.common import under
from likewise.methods.classifiers.episode_training import (
    FEATURE,
    EmbeddingTraining,
    EncoderTrainingSettings,
    ImageEpisode,
    encoder_for,
    prefixed,
)
from likewise.methods.classifiers.hallucinating import Hallucinating, HallucinatorSettings
from likewise.methods.classifiers.hallucinator import LEARNERS, asked, episode_loss
from likewise.methods.classifiers.hallucinator_model import HALLUCINATOR, Hallucinator, drawn_seeds, enlarged_support
from likewise.methods.classifiers.reading import feature_shape


@dataclass(frozen=True, kw_only=True)
class HallucinatorTrainingSettings(EncoderTrainingSettings):
    """How the hallucinator is trained. learner: see `hallucinator.LEARNERS`; inner: hidden numbers; generated: examples a class, 0 for none."""

    learner: str = "prototypical"
    inner: int = 512
    generated: int = 5

    def check(self) -> None:
        """UsageError for names that are none."""
        super().check()
        if self.learner not in LEARNERS:
            raise UsageError(f"there is no learner {self.learner!r}", where="method.learner", remedy=close_match(self.learner, LEARNERS))


class HallucinatorTraining(EmbeddingTraining):
    """The hallucinator under training; the encoder stays as it began. See `ClassTrainable`."""

    def __init__(self, encoder: nn.Module, hallucinator: Hallucinator, settings: HallucinatorTrainingSettings) -> None:
        super().__init__(nn.ModuleList([encoder.requires_grad_(False), hallucinator]), settings)
        self.encoder, self.hallucinator = encoder, hallucinator
        self.learner, self.generated, self.hallucinator_settings = LEARNERS[settings.learner], settings.generated, settings

    def checkpoint(self) -> dict[str, Tensor]:
        """The tensors of both."""
        return prefixed(FEATURE, self.encoder) | prefixed(HALLUCINATOR, self.hallucinator)

    def method(self) -> Hallucinating:
        """The method with copies of the tensors as they are now."""
        own = self.hallucinator_settings
        return Hallucinating(HallucinatorSettings(**self.told(), learner=own.learner, generated=own.generated), self.copies())

    def episode_loss(self, episode: ImageEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of the queries with hallucinated examples, whose seeds and noise come from the generator."""
        features = torch.cat([self.grouped(self.features(part.flatten(0, 1)), part) for part in (episode.support, episode.query)], dim=1)
        return {"loss": episode_loss(self.hallucinator, features, episode.support.shape[1], self.generated, self.learner, generator)}

    def embedded(self, numbers: Tensor) -> Tensor:
        """Features (B, D) of the frozen encoder."""
        found: Tensor = self.encoder(numbers)
        return found

    def compared(self, supports: Tensor, queries: Tensor) -> Tensor:
        """Scores (M, N) with hallucinated examples, always by the same noise."""
        if self.generated:
            supports = enlarged_support(self.hallucinator, supports, *drawn_seeds(supports, self.generated, torch.Generator().manual_seed(0)))
        return asked(self.learner, supports, queries)


def trainable(values: Mapping[str, Any], n_classes: int, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> HallucinatorTraining:
    """A hallucinator, new or of its own checkpoint, behind the encoder of a checkpoint. UsageError for unknown settings and without an encoder."""
    del n_classes
    settings = HallucinatorTrainingSettings().changed(**values)
    if start is None:
        raise UsageError("the features must be of a trained encoder", where="method.start", remedy="Name a checkpoint of prototypical or baseline")
    encoder = encoder_for(settings, seed, start)
    (width,) = feature_shape(encoder, settings.side)
    hallucinator = Hallucinator(width, settings.inner)
    if own := under(start, HALLUCINATOR):
        check_layout(own, hallucinator.state_dict(), "hallucinator")
        hallucinator.load_state_dict(own)
    return HallucinatorTraining(encoder, hallucinator, settings)
