"""Proposals matched without learning: the means of masks compared, in place of pixels (few-to-few; after Jiao et al. 2022, MM-Former).

learn    keys: the mean token of each class, of the background several, and of every mask of the examples that holds one class alone
predict  class-agnostic masks of the picture (`likewise.proposals`); a mask takes the class of the key most like its mean token; a pixel takes the mean
         of what the masks that cover it say, the smaller the more

The masks come from merging regions of the picture by likeness of their features, from a trained segmenter, or from SAM asked about a grid of points.
What no mask covers is background; what only masks cover that hold something else too is not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from likewise.backbones.features import ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.matching import class_means, cosine, spread_out
from likewise.methods.base import Features, Memory, Query, RawPrediction
from likewise.methods.masked import MaskMethod, MaskSettings
from likewise.methods.patches import answer, rows_of
from likewise.methods.prompts import PatchLabels, patch_labels
from likewise.proposals.source import Proposals, covered_mean, patch_shares, token_means

_ROUNDS = 10  # of k-means; more moved no mean


@dataclass(frozen=True, kw_only=True)
class ProposalsSettings(MaskSettings):
    """The settings beside those of every method on masks.

    grounds: means of the background, fewer blur it; pure: the share of one class from which a mask of an example is a key, above 1 for none; keys: masks
    of examples that are kept at most, evenly thinned above; temperature: the factor on cosines, 20 as in PANet; small: the power of a mask's area by
    which the smaller of several counts more. docs/methods/proposals.md says what was tried and which sets chose.
    """

    grounds: int = 8
    pure: float = 0.9
    keys: int = 4096
    temperature: float = 20.0
    small: float = 0.5


class ProposalMatching(MaskMethod):
    """See the top of the file."""

    name = "proposals"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    Settings = ProposalsSettings
    settings: ProposalsSettings

    def learn(self, support: Support, features: Features) -> Memory:
        """Keys (K, D) of length 1 and the places (K,) of their classes, the background 0; a trained segmenter beside them, so that the task is whole."""
        rows = rows_of(support, [self._last(item) for item in features[self._spec]])
        weighted = rows.shares * rows.weight[:, None]
        means = class_means(rows.tokens, weighted)[1:]
        shown = means.abs().sum(dim=1) > 0
        behind = grounds(rows.tokens, weighted[:, 0], self.settings.grounds)
        own, places = self._examples(support, features)
        tensors, facts = self._kept_source()
        return Memory(
            {
                "keys": torch.cat([behind, means[shown], own]),
                "places": torch.cat([torch.zeros(len(behind), dtype=torch.long), torch.nonzero(shown)[:, 0] + 1, places]),
                "seen": torch.cat([torch.tensor([True]), shown]),
                **tensors,
            },
            facts,
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
