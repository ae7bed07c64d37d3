"""Siamese networks under training, on pairs of drawings (Koch et al. 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from likewise.backbones.features import FeatureSpec
from likewise.methods.classifiers.episode_training import Drawn, EmbeddingTraining, ImagePairs, PictureTrainingSettings, seeded, support_labels
from likewise.methods.classifiers.reading import Pixels, square_wish
from likewise.methods.classifiers.siamese import Siamese, SiameseSettings
from likewise.methods.classifiers.siamese_model import KERNELS, SIDE, WIDTHS, SiameseNetwork, siamese_of


@dataclass(frozen=True, kw_only=True)
class SiameseTrainingSettings(PictureTrainingSettings):
    """How Siamese networks are trained; sizes of the paper. The paper's rates of each layer are not known: the recipe's rate is of all."""

    side: int = SIDE
    pixels: Pixels = "ink"
    widths: tuple[int, ...] = WIDTHS
    kernels: tuple[int, ...] = KERNELS
    width: int = 4096


class SiameseTraining(EmbeddingTraining):
    """The network under training. See `ClassTrainable`."""

    drawn: ClassVar[Drawn] = "pairs"

    def __init__(self, network: SiameseNetwork, settings: SiameseTrainingSettings) -> None:
        super().__init__(network, settings)
        self.siamese = network

    def wish(self) -> FeatureSpec:
        """The whole drawing."""
        return square_wish(self.side)

    def method(self) -> Siamese:
        """The method with copies of the tensors as they are now."""
        return Siamese(SiameseSettings(side=self.side, pixels=self.settings.pixels), self.copies())

    def episode_loss(self, episode: ImagePairs, generator: torch.Generator) -> dict[str, Tensor]:
        """The binary cross entropy of pairs. There is no chance in it."""
        del generator
        first, second = (self.numbers(part)[:, :1] for part in (episode.first, episode.second))
        return {"loss": binary_cross_entropy_with_logits(self.siamese(first, second)[:, 0], episode.same)}

    def embedded(self, numbers: Tensor) -> Tensor:
        """Embeddings (B, D)."""
        return self.siamese.embed(numbers[:, :1])

    def compared(self, supports: Tensor, queries: Tensor) -> Tensor:
        """The mean logit (M, N) of each class's pairs."""
        return self.siamese.scores(queries, supports.flatten(0, 1), support_labels(supports), len(supports))


def trainable(values: Mapping[str, Any], n_classes: int, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> SiameseTraining:
    """The network, new by a seed or from the tensors of a checkpoint. UsageError for unknown settings."""
    del n_classes
    settings = SiameseTrainingSettings().changed(**values)
    settings.check()

    def made() -> SiameseNetwork:
        return SiameseNetwork(widths=settings.widths, kernels=settings.kernels, width=settings.width, side=settings.side)

    return SiameseTraining(seeded(made, seed) if start is None else siamese_of(start, side=settings.side), settings)
