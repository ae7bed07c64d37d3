"""Siamese networks under training, on pairs of drawings (Koch et al. 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from likewise.methods.classifiers.episode_training import Drawn, ImageEpisode, ImagePairs, NetworkTraining, PictureTrainingSettings, seeded
from likewise.methods.classifiers.siamese_model import KERNELS, SIDE, WIDTHS, SiameseNetwork, siamese_of


@dataclass(frozen=True, kw_only=True)
class SiameseTrainingSettings(PictureTrainingSettings):
    """How Siamese networks are trained; sizes of the paper. The paper's rates of each layer are not known: the recipe's rate is of all."""

    side: int = SIDE
    pixels: Any = "ink"
    widths: tuple[int, ...] = WIDTHS
    kernels: tuple[int, ...] = KERNELS
    width: int = 4096


class SiameseTraining(NetworkTraining):
    """The network under training. See `ClassTrainable`."""

    drawn: ClassVar[Drawn] = "pairs"

    def __init__(self, network: SiameseNetwork, settings: SiameseTrainingSettings) -> None:
        super().__init__(network, settings)
        self.siamese = network

    def episode_loss(self, episode: ImagePairs, generator: torch.Generator) -> dict[str, Tensor]:
        """The binary cross entropy of pairs. There is no chance in it."""
        del generator
        first, second = (self.grey(part) for part in (episode.first, episode.second))
        return {"loss": binary_cross_entropy_with_logits(self.siamese(first, second)[:, 0], episode.same)}

    def scores(self, episode: ImageEpisode) -> Tensor:
        """The mean logit (N Q, N) of each class's pairs."""
        supports, queries = (self.siamese.embed(self.grey(part)) for part in (episode.support, episode.query))
        return self.siamese.scores(queries, supports, episode.support_labels, len(episode.support))

    def grey(self, images: Tensor) -> Tensor:
        """Pictures (..., 3, side, side) as drawings (B, 1, side, side)."""
        return self.numbers(images).flatten(0, -4)[:, :1]


def trainable(values: Mapping[str, Any], n_classes: int, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> SiameseTraining:
    """The network, new by a seed or from the tensors of a checkpoint. UsageError for unknown settings."""
    del n_classes
    settings = SiameseTrainingSettings().changed(**values)
    settings.check()

    def made() -> SiameseNetwork:
        return SiameseNetwork(widths=settings.widths, kernels=settings.kernels, width=settings.width, side=settings.side)

    return SiameseTraining(seeded(made, seed) if start is None else siamese_of(start, side=settings.side), settings)
