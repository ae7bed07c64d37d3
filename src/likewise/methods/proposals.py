"""Proposals matched without learning: the means of masks compared, in place of pixels (few-to-few; after Jiao et al. 2022, MM-Former).

learn    keys: the mean token of each class, of the background several, and of every mask of the examples that holds one class alone
predict  class-agnostic masks of the picture (`likewise.proposals`); a mask takes the class of the key most like its mean token; a pixel takes the mean
         of what the masks that cover it say, the smaller the more

The masks come from merging regions of the picture by likeness of their features, from a trained segmenter, or from SAM asked about a grid of points.
What no mask covers is background; what only masks cover that hold something else too is not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.matching import class_means, cosine, spread_out
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.patches import answer, rows_of
from likewise.methods.prompts import PatchLabels, patch_labels
from likewise.proposals.opening import REGIONS, open_source, restored_source
from likewise.proposals.source import Proposals, Source, covered_mean, patch_shares, token_means

if TYPE_CHECKING:
    from likewise.backbones.registry import Backbone

PREFIX = "segmenter."  # of the tensors of a trained segmenter in a memory
_ROUNDS = 10  # of k-means; more moved no mean


@dataclass(frozen=True, kw_only=True)
class ProposalsSettings(MethodSettings):
    """The settings.

    masks: "regions", the path of a checkpoint of `mm-former` that was trained here, whose segmenter makes the masks, or a folder of SAM or SAM 2;
    count: masks at most, 100 as in MM-Former; side: the working size, at which patches are 14 of 448 pixels; grounds: means of the background, fewer
    blur it; pure: the share of one class from which a mask of an example is a key, above 1 for none; keys: masks of examples that are kept at most,
    evenly thinned above; temperature: the factor on cosines, 20 as in PANet; small: the power of a mask's area by which the smaller of several counts
    more. docs/methods/proposals.md says what was tried and which sets chose.
    """

    masks: str = REGIONS
    count: int = 100
    side: int = 448
    grounds: int = 8
    pure: float = 0.9
    keys: int = 4096
    temperature: float = 20.0
    small: float = 0.5


class ProposalMatching(Method):
    """See the top of the file."""

    name = "proposals"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    Settings = ProposalsSettings
    settings: ProposalsSettings

    def __init__(self, settings: MethodSettings | None = None, mounted_on: Backbone | None = None) -> None:
        super().__init__(settings)
        self._backbone = mounted_on
        self._restored: tuple[Memory, Source] | None = None

    def mounted(self, backbone: Backbone) -> Self:
        """This method, which knows the backbone that a trained segmenter must have been trained on."""
        return type(self)(self.settings, backbone)

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """What the source of the masks needs, and the last layer. Raises WeightsError and InputError for a segmenter that is not there or does not fit."""
        source = self._source_of(memory)
        return (self._spec,) if source.wants() == self._spec else (self._spec, source.wants())

    def learn(self, support: Support, features: Features) -> Memory:
        """Keys (K, D) of length 1 and the places (K,) of their classes, the background 0; a trained segmenter beside them, so that the task is whole."""
        rows = rows_of(support, [self._last(item) for item in features[self._spec]])
        weighted = rows.shares * rows.weight[:, None]
        means = class_means(rows.tokens, weighted)[1:]
        shown = means.abs().sum(dim=1) > 0
        behind = grounds(rows.tokens, weighted[:, 0], self.settings.grounds)
        own, places = self._examples(support, features)
        return Memory(
            {
                "keys": torch.cat([behind, means[shown], own]),
                "places": torch.cat([torch.zeros(len(behind), dtype=torch.long), torch.nonzero(shown)[:, 0] + 1, places]),
                "seen": torch.cat([torch.tensor([True]), shown]),
                **{PREFIX + name: tensor for name, tensor in self._source.tensors.items()},
            },
            {"masks": self._source.facts},
        )

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits of every query on the grid of the masks."""
        source = self._source_of(memory)
        return [self._answer(item, source.propose(other), memory) for item, other in self._both(features, source)]

    def _answer(self, item: ImageFeatures, proposals: Proposals, memory: Memory) -> RawPrediction:
        says = mask_logits(token_means(self._last(item), proposals), memory.tensors, self.settings.temperature).softmax(dim=1)
        weight = proposals.masks.mean(dim=(1, 2)).clamp_min(1e-6) ** -self.settings.small
        probabilities = covered_mean(proposals, says, weight)
        return answer(probabilities.clamp_min(1e-7).log().flatten(1).T, (probabilities.shape[1], probabilities.shape[2]))

    def _examples(self, support: Support, features: Features) -> tuple[Tensor, Tensor]:
        """The mean tokens (K, D) of masks of the examples that hold one class alone, and the places (K,) of the classes."""
        pairs, labels = self._both(features, self._source), patch_labels(support, features[self._spec])
        found = [self._pure(self._last(item), self._source.propose(other), label) for (item, other), label in zip(pairs, labels, strict=True)]
        means, places = (torch.cat(part) for part in zip(*found, strict=True))
        kept = spread_out(len(means), self.settings.keys)
        return means[kept], places[kept]

    def _pure(self, item: ImageFeatures, proposals: Proposals, label: PatchLabels) -> tuple[Tensor, Tensor]:
        covers = patch_shares(proposals, item.grid)
        shares = covers @ (label.shares * label.weight[:, None]) / covers.sum(dim=1, keepdim=True).clamp_min(1e-9)
        best, place = shares.max(dim=1)
        kept = best >= self.settings.pure
        return token_means(item, proposals)[kept], place[kept]

    def _both(self, features: Features, source: Source) -> list[tuple[ImageFeatures, ImageFeatures]]:
        return list(zip(features[self._spec], features[source.wants()], strict=True))

    def _last(self, item: ImageFeatures) -> ImageFeatures:
        return replace(item, tokens=item.tokens[-1:])

    @cached_property
    def _spec(self) -> FeatureSpec:
        return self._source.wants() if self.settings.masks == REGIONS else FeatureSpec(side=self.settings.side)

    @cached_property
    def _source(self) -> Source:
        """That which the settings name."""
        found = open_source(self.settings.masks, count=self.settings.count, side=self.settings.side)
        check = getattr(found, "check", None)
        if self._backbone is not None and check is not None:
            check(self._backbone.name, self._backbone.sha256, self._backbone.config.width)
        return found

    def _source_of(self, memory: Memory | None) -> Source:
        """The source with which a memory was learned; that which the settings name where there is none yet."""
        if memory is None or self.settings.masks == REGIONS:
            return self._source
        if self._restored is None or self._restored[0] is not memory:
            tensors = {name.removeprefix(PREFIX): tensor for name, tensor in memory.tensors.items() if name.startswith(PREFIX)}
            self._restored = memory, restored_source(tensors, memory.facts["masks"], count=self.settings.count, side=self.settings.side)
        return self._restored[1]


def mask_logits(means: Tensor, kept: Mapping[str, Tensor], temperature: float) -> Tensor:
    """Logits (M, N+1) of masks with mean tokens (M, D): the scaled cosine to the most alike key of each class; -inf for classes without one.

    A background without a key, as where everything is labelled, has the cosine 0.
    """
    seen = kept["seen"]
    likest = torch.full((len(means), len(seen)), -1.0).scatter_reduce(1, kept["places"].expand(len(means), -1), cosine(means, kept["keys"]), "amax")
    if not bool((kept["places"] == 0).any()):
        likest[:, 0] = 0
    return torch.where(seen, temperature * likest, -torch.inf)


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
