"""HSNet and ASNet as `Trainable`s: by masks, or by image-level labels alone.

Source: Kang and Cho 2022 and its code, which trains both with one class and one support image. The network that features come from is
frozen: the program's backbone, or the network that the training starts from (`likewise weights convert` makes such a start).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.backbones.vit import VitConfig
from likewise.errors import UsageError, close_match
from likewise.functional.frame_losses import log_maps, mask_loss, presence_loss
from likewise.functional.resize import resize_nearest
from likewise.layers.correlation_pyramid import PyramidLearner, correlations, unit
from likewise.layers.fscs import merge_backgrounds
from likewise.methods.base import MethodSettings
from likewise.methods.learner_training import LearnerTraining
from likewise.methods.pyramid_levels import LEVELS, levels_of, not_vanished, square_of, squared, token_channels
from likewise.methods.pyramid_weights import LEARNER, backbone_of, part
from likewise.methods.pyramids import FRAMES, SUPPORTS, PyramidMethod, PyramidSettings
from likewise.methods.trainable import Trainable, TrainingEpisode

SUPERVISIONS = ("masks", "classes")


@dataclass(frozen=True, kw_only=True)
class PyramidTrainingSettings(MethodSettings):
    """How HSNet and ASNet are trained; defaults of the published code.

    side: of the square image, and of the masks in the loss. supervision: "masks", or "classes" for image-level labels alone, with a rate
    of 1e-4 as published. support: "auto" shows the learner the masks of the support, "none" the whole image; "" for what goes with the
    supervision, as ASNet is published (HSNet without masks: "none" is ours, the code of the frame shows it the true masks, "auto").
    void_is_background: official code counts it so. frame, many_heads, square: as in `PyramidSettings`.
    """

    side: int = 400
    supervision: str = "masks"
    support: str = ""
    frame: str = "fscs"
    many_heads: bool = True
    square: int = 0
    void_is_background: bool = False

    @property
    def shows(self) -> str:
        """What the learner is shown of a support, "auto" or "none"."""
        return self.support or ("auto" if self.supervision == "masks" else "none")


class PyramidTraining(LearnerTraining):
    """The learner under training. See `Trainable`."""

    def __init__(self, kind: type[PyramidMethod], learner: PyramidLearner, settings: PyramidTrainingSettings, start: Mapping[str, Tensor]) -> None:
        self.kind, self.settings, self.learner, self.network = kind, settings, learner, backbone_of(start)
        super().__init__(learner, self.network, settings.side, start)

    def method(self) -> PyramidMethod:
        """The method with copies of the tensors as they are now."""
        own = self.settings
        settings = PyramidSettings(side=own.side, support=own.shows, frame=own.frame, many_heads=own.many_heads, square=own.square)
        return self.kind(settings, self.copies())

    def episode_loss(self, episode: TrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of an episode with its one term, "masks" or "classes". There is no chance in it."""
        del generator
        maps = log_maps(self.learner(*self._inputs(episode)))[:, None]
        if self.settings.supervision == "classes":
            loss = presence_loss(maps, torch.tensor([[episode.present]]))
            return {"loss": loss, "classes": loss}
        size = (self.settings.side, self.settings.side)
        truth = resize_nearest(_given(episode.query_mask), size)[None]
        loss = mask_loss(merge_backgrounds(maps, size), truth, ignore=None if self.settings.void_is_background else 255)
        return {"loss": loss, "masks": loss}

    def _inputs(self, episode: TrainingEpisode) -> tuple[list[Tensor], Tensor | None]:
        """Correlations of query and support, and the mask that is attended to."""
        mask = None
        if self.settings.shows == "auto":
            size = (self.settings.side, self.settings.side)
            mask = (resize_nearest(_given(episode.support_mask), size) == 1).float()
        with torch.no_grad():
            theirs = self._levels(episode.support)
            laid = mask
            if self.network is None:
                theirs = squared(theirs, self.settings.square)
                laid = None if mask is None else not_vanished(mask, self.settings.square)
            shown = self.kind.shown(theirs, laid)
            pyramid = [correlations(unit(query)[None], support[None]) for query, support in zip(self._levels(episode.query), shown, strict=True)]
        return pyramid, None if mask is None or self.kind.masks_support else mask[None]

    def _levels(self, item: ImageFeatures) -> list[Tensor]:
        return levels_of(item, self.network, self.settings.many_heads)


def trainable(
    kind: type[PyramidMethod], backbone: VitConfig, values: Mapping[str, Any], seed: int = 0, start: Mapping[str, Tensor] | None = None
) -> Trainable[TrainingEpisode]:
    """The learner, new by a seed or from the tensors of a checkpoint; see `Method.trainable`. A start may hold a network alone."""
    settings = PyramidTrainingSettings().changed(**values)
    words = (("supervision", settings.supervision, SUPERVISIONS), ("support", settings.shows, SUPPORTS), ("frame", settings.frame, FRAMES))
    for name, value, known in words:
        if value not in known:
            raise UsageError(f"{name} is {value!r}", where=f"method.{name}", remedy=close_match(value, known))
    given = start or {}
    network = backbone_of(given)
    if network is None:
        settings = settings.changed(square=square_of(settings.side // backbone.patch, settings.square))
        channels, sides = token_channels(backbone, settings.many_heads), [settings.square] * LEVELS
    else:
        tapped = network.tapped(settings.side)[::-1]
        channels, sides = tuple(count for count, _ in tapped), kind.support_sides([rows for _, rows in tapped])
    if part(given, LEARNER):
        learner = kind.learner_in(given)
    else:
        try:
            learner = kind.untrained(channels, sides, seed)
        except ValueError as error:
            raise UsageError(f"a square of {settings.side} pixels does not do: {error}", where="method.side", remedy="Take 400, as published") from error
    if learner.channels != channels:
        raise UsageError(
            f"the start reads {learner.channels} maps of correlations, the backbone gives {channels}", where="start", remedy="Take the backbone of the start"
        )
    return PyramidTraining(kind, learner, settings, given)


def _given(mask: Tensor | None) -> Tensor:
    if mask is None:
        raise UsageError("an episode has no mask", where="source", remedy="Train by image-level labels, `method.supervision=classes`, or give all masks")
    return mask
