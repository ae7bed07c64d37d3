"""Pixel classification as convpaint and ilastik do it: a forest of trees on the features of labelled pixels (convpaint 2026; Berg et al. 2019).

learn    a training table of what is labelled in all examples: tokens of the backbone, or features of pixels by Gaussian filters or the first layers of a
         VGG-16; a random forest of 100 trees on it
predict  the forest's probabilities for every token or pixel; those of tokens are brought to pixels bilinearly, then the largest wins

Ours: patches of a working size in place of the picture's own pixels, masks and all other labels in place of scribbles, the forest in place of CatBoost (which
convpaint offers beside it), and no more rows than a budget. A forest knows no outline and no object: each pixel is judged by itself. The linear read-out of
the same rows is `ridge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.convpaint.forest import answers, grown
from likewise.methods.convpaint.pictures import unpatched
from likewise.methods.convpaint.rows import labels_of, table
from likewise.methods.convpaint.sources import FILTERS, TOKENS, described, vgg_weights
from likewise.methods.convpaint.vgg import DEFAULT_LAYERS, DEFAULT_SCALES
from likewise.methods.patches import answer

_VGG = "vgg."  # before the names of its weights in a memory
_LEAST = 1e-4  # of a probability, whose logarithm is the logit


@dataclass(frozen=True, kw_only=True)
class ConvpaintSettings(MethodSettings):
    """The settings; those of the forest are convpaint's.

    features: "tokens" of the backbone, "filters" that need no weights, or the file of a VGG-16 with torchvision's names; side: the working size of tokens, the
    longer side in pixels for the others; layers, scales: of VGG-16, by default those of convpaint; trees, seed: of the forest; budget: rows of the table at
    most; even: every class weighs the same, however large it is, as with strokes of one length; official: probabilities of tokens mirrored over the last
    half patch at the borders, as published, in place of kept.
    """

    features: str = TOKENS
    side: int = 448
    layers: tuple[int, ...] = DEFAULT_LAYERS
    scales: tuple[int, ...] = DEFAULT_SCALES
    trees: int = 100
    seed: int = 0
    budget: int = 8192
    even: bool = False
    official: bool = False


class Convpaint(Method):
    """See the top of the file."""

    name = "convpaint"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    Settings = ConvpaintSettings
    settings: ConvpaintSettings

    def reads_backbone(self) -> bool:
        """Whether tokens are what is learned from."""
        return self.settings.features == TOKENS

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer, or the picture itself. Raises WeightsError for a VGG-16 that is not there, before any slow work."""
        if memory is None:
            _ = self._vgg
        return (self._spec,)

    def learn(self, support: Support, features: Features) -> Memory:
        """The forest, which places were seen, and the layers of VGG-16 it learned from."""
        items = [self._described(item, self._vgg) for item in features[self._spec]]
        labels = labels_of(support, items)
        rows, places, weight = table(items, labels, self.settings.budget, even=self.settings.even)
        count = len(support.classes) + 1
        forest = grown(rows, places, weight, count, trees=self.settings.trees, seed=self.settings.seed)
        seen = torch.bincount(places, minlength=count) > 0
        return Memory({**forest, "seen": seen, **{_VGG + name: tensor for name, tensor in self._vgg.items()}})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits of every query in the pixels of its working size."""
        weights = {name.removeprefix(_VGG): tensor for name, tensor in memory.tensors.items() if name.startswith(_VGG)}
        return [self._answer(self._described(item, weights), memory) for item in features[self._spec]]

    def _answer(self, item: ImageFeatures, memory: Memory) -> RawPrediction:
        probabilities, seen = answers(item.tokens[0], memory.tensors), memory.tensors["seen"]
        found = answer(torch.where(seen, _logits(probabilities), -torch.inf), item.grid)
        if not self.reads_backbone():
            return found
        patch = max(1, round(self.settings.side / (item.grid[0] * item.grid[1]) ** 0.5))
        size = item.grid[0] * patch, item.grid[1] * patch
        large = unpatched(probabilities.T.reshape(-1, *item.grid), patch, size, official=self.settings.official)
        return replace(found, logits=torch.where(seen[:, None, None], _logits(large), -1 / _LEAST))

    def _described(self, item: ImageFeatures, weights: dict[str, Tensor]) -> ImageFeatures:
        return described(item, self.settings.features, weights, self.settings.layers, self.settings.scales)

    @property
    def _spec(self) -> FeatureSpec:
        if self.reads_backbone():
            return FeatureSpec(layers=(-1,), side=self.settings.side)
        return FeatureSpec(backbone=None, pad=True, side=self.settings.side)

    @cached_property
    def _vgg(self) -> dict[str, Tensor]:
        """The layers of the file that the settings name; none for other features."""
        return {} if self.settings.features in (TOKENS, FILTERS) else vgg_weights(self.settings.features, self.settings.layers)


def _logits(probabilities: Tensor) -> Tensor:
    return probabilities.clamp_min(_LEAST).log()
