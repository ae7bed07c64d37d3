"""Proposals matched without learning: the means of masks compared, in place of pixels (few-to-few; after Jiao et al. 2022, MM-Former).

learn    the mean token of each class, and of the background several, as it looks several ways
predict  class-agnostic masks of the picture (`likewise.proposals`); the mean token of each is compared with those of the classes; a pixel takes
         the mean of what the masks that cover it say, each the more the surer it is

The masks come from merging regions of the picture by likeness of their features, or from a trained segmenter. What no mask covers, or only masks that
hold something else too, is not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.matching import class_means, cosine, spread_out
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.patches import answer, rows_of
from likewise.proposals.merging import Merging
from likewise.proposals.source import Proposals, Source, covered_mean, token_means

_ROUNDS = 10  # of k-means; more moved no mean


@dataclass(frozen=True, kw_only=True)
class ProposalsSettings(MethodSettings):
    """The settings.

    masks: "regions", or the path of a checkpoint of `mm-former`, whose segmenter makes the masks; count: masks at most; superpixels: from which regions
    begin; side: the working size; grounds: means of the background; temperature: the factor on cosines; sure: by how much more a
    mask counts that is surer.
    """

    masks: str = "regions"
    count: int = 100
    superpixels: int = 400
    side: int = 448
    grounds: int = 8
    temperature: float = 20.0
    sure: float = 1.0


class ProposalMatching(Method):
    """See the top of the file."""

    name = "proposals"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    Settings = ProposalsSettings
    settings: ProposalsSettings

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """What the source of the masks needs, and the last layer."""
        return (self._spec,) if self._source.wants() == self._spec else (self._spec, self._source.wants())

    def learn(self, support: Support, features: Features) -> Memory:
        """A mean of each class (N, D), and of the background (G, D)."""
        rows = rows_of(support, features[self._spec])
        weighted = rows.shares * rows.weight[:, None]
        means = class_means(rows.tokens, weighted)
        return Memory({"classes": means[1:], "grounds": grounds(rows.tokens, weighted[:, 0], self.settings.grounds)})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits of every query on the grid of the masks."""
        sources = features[self._source.wants()]
        return [self._answer(item, self._source.propose(other), memory) for item, other in zip(features[self._spec], sources, strict=True)]

    def _answer(self, item: ImageFeatures, proposals: Proposals, memory: Memory) -> RawPrediction:
        logits = mask_logits(token_means(item, proposals), memory.tensors, self.settings.temperature)
        sure = self.settings.sure * (logits.topk(2, dim=1).values @ torch.tensor([1.0, -1.0]))
        probabilities = covered_mean(proposals, logits.softmax(dim=1), sure.exp())
        return answer(probabilities.clamp_min(1e-7).log().flatten(1).T, (probabilities.shape[1], probabilities.shape[2]))

    @cached_property
    def _spec(self) -> FeatureSpec:
        return self._source.wants() if self.settings.masks == "regions" else FeatureSpec(side=self.settings.side)

    @cached_property
    def _source(self) -> Source:
        if self.settings.masks == "regions":
            return Merging(count=self.settings.count, superpixels=self.settings.superpixels, side=self.settings.side)
        from likewise.proposals.trained import Trained

        return Trained.opened(Path(self.settings.masks))


def mask_logits(means: Tensor, kept: Mapping[str, Tensor], temperature: float) -> Tensor:
    """Logits (M, N+1) of masks with mean tokens (M, D): the scaled cosine to the most alike mean of the background, and to each class."""
    classes = torch.where(kept["classes"].abs().sum(dim=1) > 0, temperature * cosine(means, kept["classes"]), -torch.inf)
    ground = cosine(means, kept["grounds"]).amax(dim=1, keepdim=True) if len(kept["grounds"]) else torch.zeros(len(means), 1)
    return torch.cat([temperature * ground, classes], dim=1)


def grounds(tokens: Tensor, weight: Tensor, count: int) -> Tensor:
    """Means (G, D) of the ways in which the background looks, at most so many: k-means of its tokens (R, D) of length 1, begun far apart."""
    own = tokens[weight > 0.5]
    own = own[spread_out(len(own), 4096)]
    if len(own) <= count:
        return own
    chosen = [int((own @ normalize(own.mean(dim=0), dim=0)).argmax())]
    for _ in range(count - 1):
        chosen.append(int((own @ own[chosen].T).amax(dim=1).argmin()))
    means = own[chosen]
    for _ in range(_ROUNDS):
        member = torch.nn.functional.one_hot((own @ means.T).argmax(dim=1), count).to(own)
        means = class_means(own, member)
    return means[means.abs().sum(dim=1) > 0]
