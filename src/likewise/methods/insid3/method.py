"""INSID3's algorithm on the backbone at hand (arXiv 2603.28480): no training, no SAM. The published figures belong to DINOv3 ViT-L/16 at 1024 pixels.

learn    the tokens of every example without what they say of their place, and those under each mask; of each class the mean over examples of the mean token
predict  tokens in clusters by likeness; a cluster is kept by how like the class its tokens are, how like the surest cluster it is, and how many of its tokens
         are candidates: like the mean, and with the most similar token of half of the examples under the mask

Ours: several classes (a token claimed by more than one goes to that whose cluster has the largest number), the presence of a class by the largest number of all
clusters, and directions of places in proportion to the width. A mask is all or nothing: nothing is said of how sure a pixel is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.debiasing import without_positions
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.insid3 import rule
from likewise.methods.patches import answer
from likewise.methods.prompts import PatchLabels, labels_for_masks

PRESENCE_SLOPE = 10.0  # ours: of P(present) on the number of the surest cluster above the threshold: 0 -> 0.5, 0.3 -> 0.95
_SURE = 6.0  # ours: the logit of a pixel inside or outside, which only says which of both


@dataclass(frozen=True, kw_only=True)
class Insid3Settings(MethodSettings):
    """The settings; defaults of the official code where nothing else is said.

    side: of the square that every image becomes, whatever its shape; ours, as of all methods here: 896 makes 64 x 64 patches of 14 pixels, as 1024 does of the
    official 16, and takes twenty times as long;
    debias: directions of places that are taken out, as a share of the width; 500 of 1024 as published for ViT-L, 20 of 768 for keypoints by ViT-B;
    tau: the cosine from which clusters are merged; threshold: from which a cluster is kept.
    """

    side: int = 448
    debias: float = 500 / 1024
    tau: float = 0.6
    threshold: float = 0.2


class Insid3(Method):
    """See the top of the file."""

    name = "insid3"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    Settings = Insid3Settings
    settings: Insid3Settings

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer of a square picture, with its directions of places."""
        del memory
        return (FeatureSpec(layers=(-1,), side=self.settings.side, squash=True, debias=self.settings.debias),)

    def learn(self, support: Support, features: Features) -> Memory:
        """Of the X examples that show a class: tokens (X, P, D) half precision, masks (N, X, P); prototypes (N, D), 0 for a class without an example."""
        (spec,) = self.wants()
        pairs = [(place, index) for place, number in enumerate(support.classes) for index in support.showing(number)]
        stand_in = labels_for_masks(support, features[spec], pairs, tokens=True)
        shown = sorted({index for _, index in pairs})
        masks = torch.zeros(len(support.classes), len(shown), *features[spec][shown[0]].grid, dtype=torch.bool)
        for place, index in pairs:
            masks[place, shown.index(index)] = self._mask(support, features[spec][index], place, index, stand_in)
        tokens = torch.stack([_placeless(features[spec][index]) for index in shown])
        flat = masks.flatten(2)
        likest = [rule.prototype(tokens, own) if bool(own.any()) else torch.zeros(tokens.shape[2]) for own in flat]
        return Memory({"tokens": tokens.half(), "masks": flat, "prototypes": torch.stack(likest)})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits of every query in the pixels of the square, in favour of the class or against it; presence by the surest cluster."""
        (spec,) = self.wants()
        return [self._answer(item, memory) for item in features[spec]]

    def _mask(self, support: Support, item: ImageFeatures, place: int, index: int, stand_in: Sequence[PatchLabels] | None) -> Tensor:
        """The tokens (h, w) bool of a class in an example: by its mask, else by what its other labels say of the patches."""
        mask = support.examples[index].labels.mask(support.classes.numbers[place])
        if mask.any():
            return rule.token_mask(rule.squared(torch.from_numpy(np.ascontiguousarray(mask)), self._side(item)), item.grid)
        assert stand_in is not None
        return stand_in[index].mask(place, item.grid) > 0

    def _answer(self, item: ImageFeatures, memory: Memory) -> RawPrediction:
        numbers = self._numbers(item, memory)
        above = numbers - self.settings.threshold
        presence = torch.sigmoid(PRESENCE_SLOPE * above.amax(dim=1))
        best, place = torch.where(above > 0, numbers, -torch.inf).max(dim=0)
        kept = torch.nn.functional.one_hot(place, len(numbers)).T * (best > -torch.inf)
        inside = rule.enlarged(kept.reshape(-1, *item.grid), self._side(item))
        logits = _SURE * torch.cat([torch.zeros_like(inside[:1]), 2 * inside - 1])
        found = answer(torch.cat([torch.zeros_like(above[:1]), PRESENCE_SLOPE * above]).T, item.grid, presence=presence)
        return replace(found, logits=logits)

    def _numbers(self, item: ImageFeatures, memory: Memory) -> Tensor:
        """The number (N, P) of the cluster of each token for each class; -inf for a class without an example."""
        x, d = normalize(item.tokens[-1].float(), dim=1), _placeless(item)
        groups = rule.clustered(x, d, self.settings.tau)
        likest = rule.nearest(d, memory.tensors["tokens"].float())
        found = torch.full((len(memory.tensors["masks"]), len(x)), -torch.inf)
        for place, (masks, prototype) in enumerate(zip(memory.tensors["masks"], memory.tensors["prototypes"], strict=True)):
            own = masks.any(dim=1)
            if bool(own.any()):
                forward = d @ prototype
                chosen = rule.candidates(forward, rule.votes(likest[own], masks[own]), int(own.sum()))
                found[place] = rule.judged(groups, chosen, forward, prototype).combined[groups.member]
        return found

    def _side(self, item: ImageFeatures) -> int:
        """The pixels of a side of the square, a whole number of patches."""
        return self.settings.side // item.grid[0] * item.grid[0]


def _placeless(item: ImageFeatures) -> Tensor:
    """Tokens (P, D) of length 1 without what they say of their place."""
    assert item.positions is not None
    return without_positions(item.tokens[-1], item.positions)
