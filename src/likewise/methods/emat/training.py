"""EMAT as a `Trainable`: masks of one class and one support image.

Source: EMAT (GCPR 2025), its paper and code. The objective is that of CST; without a class token it has the term of masks alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from likewise.backbones.features import FeatureSpec
from likewise.backbones.vit import VitConfig
from likewise.errors import InputError
from likewise.functional.resize import resize_corners, resize_nearest
from likewise.layers.correlation import unit_query
from likewise.layers.correlation_transformer import PairSupport
from likewise.methods.base import MethodSettings
from likewise.methods.correlating import heads_of, token_spec
from likewise.methods.emat.checkpoint import learner_of
from likewise.methods.emat.method import Emat, EmatSettings, check_squares, support_tokens
from likewise.methods.emat.model import POOLS, SIDE, Learner, untrained
from likewise.methods.trainable import Trainable, TrainingEpisode

VOID = 255
UNKNOWN = -100  # a label that cross-entropy passes over


@dataclass(frozen=True, kw_only=True)
class EmatTrainingSettings(MethodSettings):
    """How EMAT is trained; defaults of the published code.

    side: of the square image, and of the masks in the loss. square, pools, class_token: as in `EmatSettings`; without a class token it
    is the variant for segmentation alone, which has no classification term. class_weight: of that term.
    void_is_background: official code counts it so. tile: query tokens that the first layer takes at a time, 0 for all; memory and speed alone.
    """

    side: int = 700
    square: int = SIDE
    pools: tuple[int, ...] = POOLS
    class_token: bool = True
    class_weight: float = 0.1
    void_is_background: bool = False
    tile: int = 64


class EmatTraining:
    """The learner under training. See `Trainable`."""

    def __init__(self, learner: Learner, settings: EmatTrainingSettings) -> None:
        self.learner, self.settings = learner.requires_grad_(True).train(), settings

    def wants(self) -> tuple[FeatureSpec, ...]:
        """All layers at the square size; the queries of the last block say how many heads there are."""
        return (token_spec(self.settings.side),)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The learner's."""
        return self.learner.parameters()

    def to(self, device: torch.device) -> None:
        """Move the learner."""
        self.learner.to(device)

    def method(self) -> Emat:
        """EMAT with copies of the tensors as they are now."""
        settings = EmatSettings(side=self.settings.side, square=self.settings.square, pools=self.settings.pools)
        return Emat(settings, {name: tensor.detach().cpu().clone() for name, tensor in self.checkpoint().items()})

    def checkpoint(self) -> dict[str, Tensor]:
        """The learner's tensors."""
        return dict(self.learner.state_dict())

    def episode_loss(self, episode: TrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of an episode with its terms "classes" and "masks". There is no chance in it. InputError for images without masks."""
        del generator
        if episode.query_mask is None or episode.support_mask is None:
            raise InputError("an episode has no masks, from which alone EMAT is trained", where="source", remedy="Leave `masks` out, or set only_masked = true")
        query, size = episode.query, (self.settings.side, self.settings.side)
        mine = unit_query(query.tokens[None].float(), heads_of(query))
        hidden = self.learner.hidden((resize_nearest(episode.support_mask, size) == 1).float()[None])
        support = PairSupport(support_tokens(episode.support, self.learner), hidden)
        class_logits, mask_logits = self.learner.pairs(mine, support, query.grid, tile=self.settings.tile or mine.shape[-2])
        masks = self._mask_loss(resize_corners(mask_logits, size), resize_nearest(episode.query_mask, size)[None].long())
        if not self.learner.class_token:
            return {"loss": masks, "masks": masks}
        classes = cross_entropy(class_logits, torch.tensor([int(episode.present)], device=class_logits.device))
        return {"loss": self.settings.class_weight * classes + masks, "classes": classes, "masks": masks}

    def _mask_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy over all pixels that are known; 0 where none is."""
        labels = labels.masked_fill(labels == VOID, 0 if self.settings.void_is_background else UNKNOWN)
        return cross_entropy(logits, labels, ignore_index=UNKNOWN) if bool((labels != UNKNOWN).any()) else logits.sum() * 0


def trainable(backbone: VitConfig, values: Mapping[str, Any], seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[TrainingEpisode]:
    """The learner, new by a seed or from the tensors of a checkpoint; see `Method.trainable`."""
    settings = EmatTrainingSettings().changed(**values)
    check_squares(settings.square, settings.pools, "method.square")
    if start:
        return EmatTraining(learner_of(start, side=settings.square, pools=settings.pools), settings)
    channels = backbone.depth * backbone.heads
    return EmatTraining(untrained(channels, settings.square, settings.pools, class_token=settings.class_token, seed=seed), settings)
