"""Matcher's algorithm: patches matched one to one, there and back, and masks chosen by what they have of the matches (Liu et al. 2023).

learn    all tokens of the examples, and which of them are of each class
predict  for each class by itself: the object's tokens are assigned to tokens of the picture and these back to tokens of the examples; what comes back to
         the object gives points. Masks that hold a point are scored by their earth mover's distance to the object, and the best joined

Published with DINOv2-L and Segment Anything, which is asked about samples of the points; here the points choose among masks that were made before.
Ours: several classes (the larger lead over the rest of the examples takes a place), and that a class may be absent: where no match comes back, or its
masks look more like the rest than like it.

Limits: an assignment gives every token of the object away, so that an object that is much smaller in the picture than in the examples draws its
surroundings in; its cost grows with the third power of the number of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.matching import cosine
from likewise.methods.base import Features, Memory, Query, RawPrediction
from likewise.methods.masked import Claim, MaskMethod, MaskSettings, centres, claimed, settled, under
from likewise.methods.matcher.matching import matched
from likewise.methods.matcher.scores import Choice, chosen, passing, scored
from likewise.methods.references import References, kept_tokens, references
from likewise.proposals.source import Proposals


@dataclass(frozen=True, kw_only=True)
class MatcherSettings(MaskSettings, Choice):
    """The settings beside those of every method on masks (`MaskSettings`) and of the choice among them (`scores.Choice`, as published).

    alpha, beta, exponent: score = alpha * emd + beta * purity * coverage ** exponent, as published; parts: equal parts of the mass that the earth
    mover's distance is found with, 0 for exactly, which takes seconds a mask; budget: tokens of the examples that are kept, evenly thinned above.
    """

    alpha: float = 1.0
    beta: float = 0.0
    exponent: float = 0.0
    parts: int = 256
    budget: int = 8192


class Matcher(MaskMethod):
    """See the top of the file."""

    name = "matcher"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    Settings = MatcherSettings
    settings: MatcherSettings

    def learn(self, support: Support, features: Features) -> Memory:
        """The tokens of the examples and the source of the masks."""
        tensors, facts = self._kept_source()
        kept = kept_tokens(support, features, self._spec, self.settings.budget, lambda tokens: tokens)
        return Memory({**kept, **tensors}, {**facts, "classes": len(support.classes)})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """What each class claims, on the grid of the masks."""
        source = self._source_of(memory)
        known = [references(memory.tensors, place) for place in range(memory.facts["classes"])]
        return [self._answer(item, source.propose(other), known) for item, other in self._both(features, source)]

    def _answer(self, item: ImageFeatures, proposals: Proposals, known: Sequence[References | None]) -> RawPrediction:
        masks = proposals.masks > 0.5
        return settled([None if own is None else self._claim(item, masks, own) for own in known], (masks.shape[1], masks.shape[2]))

    def _claim(self, item: ImageFeatures, masks: Tensor, own: References) -> Claim:
        tokens, grid = item.tokens[-1].float(), item.grid
        objects, similarity = own.shares > 0, cosine(own.tokens, tokens)
        pairs = matched(similarity, objects)
        down, across = centres(torch.from_numpy(pairs.points()), grid, (masks.shape[1], masks.shape[2]))
        held = masks[masks[:, down, across].any(dim=1)] if pairs.returned else masks[:0]
        if not len(held):
            return claimed(torch.zeros(masks.shape[1:], dtype=torch.bool), 0.0)
        ordered = similarity[objects][own.tokens[objects].sum(dim=1).argsort()]  # parts are of rows in turn, and must not hang on the order of examples
        scores = scored(held.numpy(), torch.stack([across, down], dim=1).numpy(), ordered, grid, self.settings.parts)
        kept = passing(scores, self.settings)
        total = scores.total(self.settings.alpha, self.settings.beta, self.settings.exponent)[kept]
        mask = held[kept[chosen(total, self.settings)]].any(dim=0)
        return claimed(mask, own.lead(tokens[under(mask, grid)]))
