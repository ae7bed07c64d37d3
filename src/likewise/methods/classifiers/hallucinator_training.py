"""A hallucinator under training in front of a learner, on the features of a frozen encoder (Wang et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from likewise.errors import UsageError, close_match
from likewise.methods.classifiers.episode_training import FEATURE, EncoderTrainingSettings, ImageEpisode, NetworkTraining, encoder_for, feature_shape, prefixed
from likewise.methods.classifiers.hallucinator import LEARNERS, episode_loss
from likewise.methods.classifiers.hallucinator_model import Hallucinator, drawn_seeds, enlarged_support

HALLUCINATOR = "hallucinator."


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


class HallucinatorTraining(NetworkTraining):
    """The hallucinator under training; the encoder stays as it began. See `ClassTrainable`."""

    def __init__(self, encoder: nn.Module, hallucinator: Hallucinator, settings: HallucinatorTrainingSettings) -> None:
        super().__init__(nn.ModuleList([encoder.requires_grad_(False), hallucinator]), settings)
        self.encoder, self.hallucinator = encoder, hallucinator
        self.learner, self.generated = LEARNERS[settings.learner], settings.generated

    def checkpoint(self) -> dict[str, Tensor]:
        """The tensors of both."""
        return prefixed(FEATURE, self.encoder) | prefixed(HALLUCINATOR, self.hallucinator)

    def episode_loss(self, episode: ImageEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of the queries with hallucinated examples, whose seeds and noise come from the generator."""
        features = torch.cat(self._features(episode), dim=1)
        return {"loss": episode_loss(self.hallucinator, features, episode.support.shape[1], self.generated, self.learner, generator)}

    def scores(self, episode: ImageEpisode) -> Tensor:
        """Scores (N Q, N) with hallucinated examples, always by the same noise."""
        support, queries = self._features(episode)
        if self.generated:
            support = enlarged_support(self.hallucinator, support, *drawn_seeds(support, self.generated, torch.Generator().manual_seed(0)))
        return self.learner(support, queries.flatten(0, 1))

    def _features(self, episode: ImageEpisode) -> tuple[Tensor, Tensor]:
        """Features (N, K, D) and (N, Q, D) of the frozen encoder."""
        self.encoder.eval()
        with torch.no_grad():
            supports, queries = self.both(self.encoder, episode)
        return supports.reshape(*episode.support.shape[:2], -1), queries.reshape(*episode.query.shape[:2], -1)


def trainable(values: Mapping[str, Any], n_classes: int, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> HallucinatorTraining:
    """A new hallucinator, which copies its seeds, behind the encoder of a checkpoint. UsageError for unknown settings and without an encoder."""
    del n_classes
    settings = HallucinatorTrainingSettings().changed(**values)
    if start is None:
        raise UsageError("the features must be of a trained encoder", where="method.start", remedy="Name a checkpoint of prototypical or baseline")
    encoder = encoder_for(settings, seed, start)
    (width,) = feature_shape(encoder, settings.side)
    return HallucinatorTraining(encoder, Hallucinator(width, settings.inner), settings)
