"""CST as a `Trainable`: pixel-level, image-level and mixed supervision.

Source: Kang et al. 2023, sections 3.1 to 3.3, and its code, which trains with one class and one support image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.functional.resize import resize_corners, resize_nearest
from likewise.layers.correlation import unit_query, unit_support
from likewise.methods.cst.checkpoint import ENHANCER
from likewise.methods.cst.enhancer import MaskEnhancer
from likewise.methods.cst.model import Learner, PairSupport
from likewise.methods.cst.objective import CLASS_WEIGHT, cst_loss
from likewise.methods.cst.pseudo import THRESHOLD, head_cosines, pseudo_masks
from likewise.methods.trainable import TrainingEpisode

Supervision = Literal["auto", "pseudo", "classes"]


@dataclass(frozen=True, kw_only=True)
class CstTrainingSettings:
    """How CST is trained; defaults of the published code.

    side: of the square image, and of the masks in the loss. supervision: "auto" takes the masks that an episode has and
    pseudo masks where it has none (pixel-level, or mixed), "pseudo" pseudo masks always (image-level), "classes" no mask
    at all: the whole support image, and the classification term alone (image-level without pseudo masks, table 1; ours,
    since its code is not published). class_weight: lambda. void_is_background: official code counts it so.
    """

    side: int = 400
    supervision: Supervision = "auto"
    class_weight: float = CLASS_WEIGHT
    threshold: float = THRESHOLD
    many_heads: bool = True
    void_is_background: bool = False


class CstTraining:
    """The learner under training, and a frozen mask enhancer if pseudo masks go through one. See `Trainable`."""

    def __init__(self, learner: Learner, settings: CstTrainingSettings, enhancer: MaskEnhancer | None = None) -> None:
        self.learner, self.settings = learner.requires_grad_(True).train(), settings
        self.enhancer = None if enhancer is None else enhancer.requires_grad_(False).eval()

    def wants(self) -> FeatureSpec:
        """All layers at the square size, with queries and keys of the last block."""
        return FeatureSpec(layers=(), side=self.settings.side, squash=True, qk=True)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The learner's."""
        return self.learner.parameters()

    def checkpoint(self) -> dict[str, Tensor]:
        """The learner's tensors, and the enhancer's under its prefix."""
        extra = {} if self.enhancer is None else {ENHANCER + name: tensor for name, tensor in self.enhancer.state_dict().items()}
        return {**self.learner.state_dict(), **extra}

    def episode_loss(self, episode: TrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of an episode with its terms "classes" and "masks". There is no chance in it."""
        del generator
        query, support = episode.query, episode.support
        heads = _heads(support, self.settings)
        mine = unit_query(query.tokens[None].float(), heads)
        theirs = unit_support(support.prefix[None, :, 0].float(), support.tokens[None].float(), support.grid, self.learner.side, heads)
        hidden = self.learner.hidden(self._support_mask(episode)[None])
        class_logits, mask_logits = self.learner.pairs(mine, PairSupport(theirs, hidden), query.grid, tile=mine.shape[-2])
        size = (self.settings.side, self.settings.side)
        loss = cst_loss(
            class_logits,
            resize_corners(mask_logits, size),
            torch.tensor([episode.present]),
            self._query_mask(episode)[None],
            weight=self.settings.class_weight,
            ignore=None if self.settings.void_is_background else 255,
        )
        if self.settings.supervision == "classes":
            return {"loss": loss.classes, "classes": loss.classes}
        if self.learner.coupled:  # ours: without a head of its own the classification has no term
            return {"loss": loss.masks, "masks": loss.masks}
        return {"loss": loss.total, "classes": loss.classes, "masks": loss.masks}

    def _support_mask(self, episode: TrainingEpisode) -> Tensor:
        size = (self.settings.side, self.settings.side)
        if self.settings.supervision == "classes":
            return torch.ones(size)
        if episode.support_mask is not None and self.settings.supervision == "auto":
            return (resize_nearest(episode.support_mask, size) == 1).float()
        return self._pseudo(episode.support, episode.support).float()

    def _query_mask(self, episode: TrainingEpisode) -> Tensor:
        size = (self.settings.side, self.settings.side)
        if self.settings.supervision == "classes":
            return torch.zeros(size)
        if episode.query_mask is not None and self.settings.supervision == "auto":
            return resize_nearest(episode.query_mask, size)
        return self._pseudo(episode.query, episode.support) if episode.present else torch.zeros(size)

    def _pseudo(self, image: ImageFeatures, support: ImageFeatures) -> Tensor:
        """The pseudo mask (side, side) of an image by the class token of the support."""
        if image.k is None or support.prefix_qk is None:
            raise ValueError("pseudo masks need queries and keys of the last block")
        with torch.no_grad():
            cosines = head_cosines(support.prefix_qk[None, 0, :, 0].float(), image.k[None].float()).reshape(1, -1, *image.grid)
            size = (self.settings.side, self.settings.side)
            if self.enhancer is not None:
                return self.enhancer.masks(cosines, size)[0]
            return pseudo_masks(cosines.mean(dim=1), size, self.settings.threshold)[0]


def _heads(item: ImageFeatures, settings: CstTrainingSettings) -> int:
    if not settings.many_heads:
        return 1
    if item.q is None:
        raise ValueError("correlations by head need queries of the last block, which say how many heads there are")
    return item.q.shape[0]
