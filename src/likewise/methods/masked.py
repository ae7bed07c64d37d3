"""What methods that choose among masks of a picture share: where masks come from, and the answer of classes that each claim some.

Masks have no class; a method says which of them are of which. They come from `likewise.proposals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.methods.base import Features, Memory, Method, MethodSettings, RawPrediction
from likewise.methods.patches import answer
from likewise.proposals.opening import REGIONS, open_source, restored_source
from likewise.proposals.source import Source

if TYPE_CHECKING:
    from likewise.backbones.registry import Backbone

PREFIX = "segmenter."  # of the tensors of a trained segmenter in a memory
SLOPE = 20.0  # of the log-odds that a class is there, on the lead of its masks over the rest of the examples
OUTSIDE = -10.0  # logit of a class where it claims nothing, the background having 0


@dataclass(frozen=True, kw_only=True)
class MaskSettings(MethodSettings):
    """masks: "regions", the path of a checkpoint of `mm-former` that was trained here, whose segmenter makes the masks, or a folder of SAM or SAM 2;
    count: masks at most, 100 as in MM-Former; side: the working size, at which patches are 14 of 448 pixels.
    """

    masks: str = REGIONS
    count: int = 100
    side: int = 448


class MaskMethod(Method):
    """The frame of a method that chooses among masks: which features it needs, and the source with which a memory was learned."""

    Settings = MaskSettings
    settings: MaskSettings

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

    def _kept_source(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors and facts by which a memory holds the source of the masks."""
        return {PREFIX + name: tensor for name, tensor in self._source.tensors.items()}, {"masks": self._source.facts}

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


@dataclass(frozen=True)
class Claim:
    """What a class takes of a picture: mask (H, W) bool; score: by which it stands against other classes; odds: log-odds that it is there."""

    mask: Tensor
    score: float
    odds: float


def claimed(mask: Tensor, lead: float) -> Claim:
    """The claim of a mask (H, W) bool whose tokens are by so much more like the class than like the rest of the examples."""
    return Claim(mask, lead, SLOPE * lead)


def centres(tokens: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The pixels (K,) down and (K,) across of a picture of `size` (H, W) in which the centres of tokens (K,) of a grid (h, w) lie."""
    down, across = tokens // grid[1], tokens % grid[1]
    return (2 * down + 1) * size[0] // (2 * grid[0]), (2 * across + 1) * size[1] // (2 * grid[1])


def under(mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """The tokens (h*w,) bool that a mask (H, W) bool covers by half, or most where it covers none by half; none of an empty mask."""
    covered = adaptive_avg_pool2d(mask[None].float(), grid).flatten()
    return (covered > 0) & (covered >= covered.max().clamp_max(0.5))


def settled(claims: Sequence[Claim | None], grid: tuple[int, int]) -> RawPrediction:
    """The answer of all classes on a grid (H, W), the claims in their order, None for a class that was never seen.

    Where several classes claim a place it is that of the largest score, of those that are likelier there than not. A class that is left without a
    place is absent.
    """
    score, odds = torch.full((len(claims), *grid), -torch.inf), torch.full((len(claims),), OUTSIDE)
    for place, claim in enumerate(claims):
        if claim is not None and claim.odds > 0:
            score[place][claim.mask] = claim.score
            odds[place] = claim.odds
    best, winner = score.max(dim=0)
    own = (winner == torch.arange(len(claims))[:, None, None]) & (best > -torch.inf)
    logits = torch.where(own, odds[:, None, None], OUTSIDE)
    logits[[place for place, claim in enumerate(claims) if claim is None]] = -torch.inf
    presence = torch.where(own.flatten(1).any(dim=1), odds, OUTSIDE).sigmoid()
    whole = torch.cat([torch.zeros(1, *grid), logits])
    return answer(whole.flatten(1).T, grid, presence=presence)
