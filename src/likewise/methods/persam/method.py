"""PerSAM's prior: where a picture is like the mean token of a class, above a threshold (Zhang et al. 2023).

learn    an embedding a class: the mean of the tokens under its mask, in each example, then over the examples that show it
predict  cosine of each token with each embedding against one threshold; the largest is the class

Published with Segment Anything's own features, on which the prior gives that network two points, a bias of its attention and an embedding to add; these
stand in `prior.py`. Here the prior is the answer. Ours: means over shots, several classes, the threshold, and that a class whose largest cosine is below
it is absent.

Limits: one mean a class and no background, so that one threshold must do for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.patches import answer
from likewise.methods.persam.prior import embedding, prior
from likewise.methods.prompts import PatchLabels, patch_labels, require_some


@dataclass(frozen=True, kw_only=True)
class PerSamSettings(MethodSettings):
    """The settings.

    threshold: cosine above which a token is of a class; temperature: by which the distance from it is sharpened, 20 as in PANet; with_largest: the mean
    of each channel's mean and largest value as embedding, as PerSAM-F has it; side: the working size. docs/methods/peers_matching.md says who chose.
    """

    threshold: float = 0.65
    temperature: float = 20.0
    with_largest: bool = False
    side: int = 448


class PerSam(Method):
    """See the top of the file."""

    name = "persam"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    Settings = PerSamSettings
    settings: PerSamSettings

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer."""
        return (self._spec,)

    def learn(self, support: Support, features: Features) -> Memory:
        """Embeddings (N, D); zeros for a class without an example."""
        own = features[self._spec]
        labels = patch_labels(support, own)
        require_some(labels)
        means = [self._mean(place, own, labels) for place in range(len(support.classes))]
        return Memory({"embeddings": torch.stack(means)})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """The priors of every query, the threshold as background."""
        return [self._answer(item, memory.tensors["embeddings"]) for item in features[self._spec]]

    def _mean(self, place: int, features: Sequence[ImageFeatures], labels: Sequence[PatchLabels]) -> Tensor:
        shown = [(item, label) for item, label in zip(features, labels, strict=True) if bool((label.shares[:, place + 1] * label.weight).any())]
        found = [embedding(item.tokens[-1].float(), _own(label, place), with_largest=self.settings.with_largest) for item, label in shown]
        return torch.stack(found).mean(dim=0) if found else torch.zeros(features[0].tokens.shape[-1])

    def _answer(self, item: ImageFeatures, means: Tensor) -> RawPrediction:
        tokens, seen = item.tokens[-1].float(), means.abs().sum(dim=1) > 0
        similar = torch.stack([prior(tokens, mean) for mean in means], dim=1)
        logits = self.settings.temperature * torch.where(seen, similar, -torch.inf)
        background = torch.full((len(tokens), 1), self.settings.temperature * self.settings.threshold)
        return answer(torch.cat([background, logits], dim=1), item.grid)

    @property
    def _spec(self) -> FeatureSpec:
        return FeatureSpec(layers=(-1,), side=self.settings.side)


def _own(label: PatchLabels, place: int) -> Tensor:
    """The patches (P,) bool that are mostly of the class in a place, or the likeliest where none is."""
    share = label.shares[:, place + 1] * (label.weight > 0)
    return share >= share.max().clamp_max(0.5)
