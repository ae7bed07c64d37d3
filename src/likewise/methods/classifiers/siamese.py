"""Siamese network: which examples a drawing is the same as, number by number (Koch et al. 2015, "Siamese Neural Networks for One-shot Image Recognition").

learn    an embedding an example
predict  a weighted absolute difference of the drawing's embedding from each, the mean over a class, softmax

It needs a checkpoint; pictures are grey squares of 105 pixels.

Limits: trained on pairs of drawings, one example a class; the mean over several is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec
from likewise.methods.classifiers.frame import ClassifierSettings, PictureClassifier
from likewise.methods.classifiers.reading import square_wish
from likewise.methods.classifiers.siamese_model import SIDE, SiameseNetwork, siamese_of

UNTRAINED_WIDTH = 32  # of "random": an embedding of 4,096 numbers would have 38 M weights


@dataclass(frozen=True, kw_only=True)
class SiameseSettings(ClassifierSettings):
    """pixels: "grey", or "ink" for weights that were trained on light drawings on dark ground; side: 0 for 105."""

    pixels: str = "grey"


class Siamese(PictureClassifier):
    """See the top of the file."""

    name = "siamese"
    trained = True
    Settings = SiameseSettings
    settings: SiameseSettings

    @property
    def side(self) -> int:
        """The side in pixels of the drawings."""
        return self.settings.side or SIDE

    @property
    def _spec(self) -> FeatureSpec:
        return square_wish(self.side)

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """The tensors of a published checkpoint as they are; WeightsError for those of another network."""
        del config
        found = {name.removeprefix("module."): tensor for name, tensor in official.items()}
        siamese_of(found)
        return found

    @classmethod
    def published(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """Nothing: checkpoints do not say what their pixels were."""
        del official, config
        return {}, ""

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint."""
        return self._with(checkpoint)

    def untrained(self) -> dict[str, Tensor]:
        """A small network that is always the same."""
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            return dict(SiameseNetwork(width=UNTRAINED_WIDTH, side=self.side).state_dict())

    def check(self, network: Mapping[str, Tensor]) -> None:
        """WeightsError for tensors of another network."""
        siamese_of(network, side=self.side)

    def encoded(self, shown: Tensor, network: Mapping[str, Tensor]) -> Tensor:
        """Embeddings (B, D)."""
        return self._network(network).embed(shown[:, :1])

    def fit(self, features: Tensor, labels: Tensor, n_way: int, network: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Embeddings (S, D) and classes (S,)."""
        return {"supports": features, "labels": labels, "ways": torch.tensor(n_way)}

    def scores(self, features: Tensor, kept: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Tensor:
        """Mean logits of being the same."""
        return self._network(network).scores(features, kept["supports"], kept["labels"], int(kept["ways"]))

    def _network(self, network: Mapping[str, Tensor]) -> SiameseNetwork:
        return siamese_of(network, side=self.side).eval().requires_grad_(False)
