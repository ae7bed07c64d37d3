"""GF-SAM's algorithm: a mask for each likely point, a graph of points and masks, two gates and no number to tune (Zhang et al. 2024).

learn    all tokens of the examples, and the share that each is of each class
predict  for each class by itself: priors say where the picture is like the object and where like the rest; the likeliest tokens are points, each has a
         mask; masks that cover each other's points are a cluster; what adds to the object and whose point is nearest to its own cluster is joined

Published with DINOv2-L and Segment Anything, which is asked for the mask of each point; here a point has the first mask, of those that were made before,
that covers it, and is left out where none does. Ours: several classes (the larger lead over the rest of the examples takes a place), and that a class
may be absent: where its masks look more like the rest than like it.

Limits: what no mask holds is never found; by itself the algorithm never says that a class is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.methods.base import Features, Memory, Query, RawPrediction
from likewise.methods.gf_sam.graph import SELECTED, gates
from likewise.methods.gf_sam.priors import MOST_POINTS, cosines, filtered, over_tokens, points, priors
from likewise.methods.masked import Claim, MaskMethod, MaskSettings, centres, claimed, settled, under
from likewise.methods.references import References, kept_tokens, references
from likewise.proposals.source import Proposals


@dataclass(frozen=True, kw_only=True)
class GfSamSettings(MaskSettings):
    """The settings beside those of every method on masks.

    official: channels are scaled over the tokens of each picture, as in the published code, where tokens were meant to be scaled over channels; points:
    at most, 128 as published; budget: tokens of the examples that are kept, evenly thinned above.
    """

    official: bool = True
    points: int = MOST_POINTS
    budget: int = 8192


class GfSam(MaskMethod):
    """See the top of the file."""

    name = "gf-sam"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    Settings = GfSamSettings
    settings: GfSamSettings

    def learn(self, support: Support, features: Features) -> Memory:
        """The tokens of the examples and the source of the masks."""
        tensors, facts = self._kept_source()
        kept = kept_tokens(support, features, self._spec, self.settings.budget, self._prepared)
        return Memory({**kept, **tensors}, {**facts, "classes": len(support.classes)})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """What each class claims, on the grid of the masks."""
        source = self._source_of(memory)
        known = [references(memory.tensors, place) for place in range(memory.facts["classes"])]
        return [self._answer(item, source.propose(other), known) for item, other in self._both(features, source)]

    def _prepared(self, tokens: Tensor) -> Tensor:
        return over_tokens(tokens) if self.settings.official else torch.nn.functional.normalize(tokens, dim=1)

    def _answer(self, item: ImageFeatures, proposals: Proposals, known: Sequence[References | None]) -> RawPrediction:
        masks, tokens = proposals.masks > 0.5, self._prepared(item.tokens[-1].float())
        itself = cosines(tokens, tokens)
        claims = [None if own is None else self._claim(tokens, item.grid, masks, itself, own) for own in known]
        return settled(claims, (masks.shape[1], masks.shape[2]))

    def _claim(self, tokens: Tensor, grid: tuple[int, int], masks: Tensor, itself: Tensor, own: References) -> Claim:
        found = priors([(cosines(own.tokens[rows], tokens), own.shares[rows], 1 - own.shares[rows]) for rows in own.by_example()])
        chosen = points(filtered(found), grid[1], self.settings.points)
        down, across = centres(chosen[:, 1] * grid[1] + chosen[:, 0], grid, (masks.shape[1], masks.shape[2]))
        covering = masks[:, down, across]  # (M, K)
        held = covering.any(dim=0)
        mask = torch.zeros(masks.shape[1:], dtype=torch.bool)
        if bool(held.any()):
            asked = masks[covering.int().argmax(dim=0)[held]]
            mask = asked[gates(asked, chosen[held], found, itself, grid).labels == SELECTED].any(dim=0)
        return claimed(mask, own.lead(tokens[under(mask, grid)]))
