"""PFENet as a `Trainable`: the learner, on tokens of the program's backbone or behind the network that the training starts from, which is frozen.

Sources: Tian et al. 2020 and its code; Kang and Cho 2022 (iFSL), which has no auxiliary losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.backbones.vit import VitConfig
from likewise.errors import UsageError
from likewise.functional.frame_losses import log_maps, mask_loss
from likewise.functional.resize import resize_corners, resize_nearest
from likewise.methods.base import MethodSettings
from likewise.methods.learner_training import LearnerTraining
from likewise.methods.pfenet.checkpoint import learner_in, network_of
from likewise.methods.pfenet.maps import Maps, deep_under, picture_of, stages, token_maps, token_mask
from likewise.methods.pfenet.method import SQUARE, Pfenet, PfenetSettings
from likewise.methods.pfenet.model import WIDTH, PfenetLearner, prior, support_vector, under, untrained
from likewise.methods.pyramid_weights import BACKBONE, LEARNER, part
from likewise.methods.trainable import Trainable, TrainingEpisode


@dataclass(frozen=True, kw_only=True)
class PfenetTrainingSettings(MethodSettings):
    """How PFENet is trained; defaults of the published code.

    side: of the square image, and of the masks in the loss; width: of a new learner; auxiliary: the weight of the mean loss of the
    pyramid's levels, 1 in the original, 0 in iFSL; bins: as in `PfenetSettings`; void_is_background: iFSL counts it so, the original nowhere.
    """

    side: int = SQUARE
    width: int = WIDTH
    auxiliary: float = 1.0
    bins: tuple[int, ...] = ()
    void_is_background: bool = False


class PfenetTraining(LearnerTraining):
    """The learner under training. See `Trainable`."""

    def __init__(self, learner: PfenetLearner, settings: PfenetTrainingSettings, start: Mapping[str, Tensor]) -> None:
        self.learner, self.settings, self.network = learner, settings, network_of({name: start[name] for name in start if name.startswith(BACKBONE)})
        super().__init__(learner, self.network, settings.side, start)

    def method(self) -> Pfenet:
        """The method with copies of the tensors as they are now."""
        return Pfenet(PfenetSettings(side=self.settings.side, bins=self.settings.bins), self.copies())

    def episode_loss(self, episode: TrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of an episode with its terms "masks" and "auxiliary". Chance is in the dropout alone."""
        del generator
        size = (self.settings.side, self.settings.side)
        truth = resize_nearest(_given(episode.query_mask), size)[None]
        shown = (_given(episode.support_mask) == 1).float()
        masks = (token_mask(shown, episode.support.grid) if self.network is None else resize_nearest(shown, size))[None]
        with torch.no_grad():
            query, theirs = self._maps(episode.query), self._maps(episode.support)
            deep = theirs.deep if self.network is None else deep_under(self.network.stages()[3], theirs, masks)
            where = prior(query.deep, under(deep, masks))
        vector = support_vector(self.learner.down_supp(theirs.middle), masks)
        logits, within = self.learner(self.learner.down_query(query.middle), vector, where, self.settings.bins)
        ignore = None if self.settings.void_is_background else 255
        own, *levels = (mask_loss(resize_corners(log_maps(one), size), truth, ignore=ignore) for one in (logits, *within))
        auxiliary = self.settings.auxiliary * torch.stack(levels).mean()
        return {"loss": own + auxiliary, "masks": own, "auxiliary": auxiliary}

    def _maps(self, item: ImageFeatures) -> Maps:
        return token_maps(item) if self.network is None else stages(self.network, picture_of(item))


def trainable(backbone: VitConfig, values: Mapping[str, Any], seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[TrainingEpisode]:
    """The learner, new by a seed or from the tensors of a checkpoint; see `Method.trainable`. A start may hold a network alone."""
    settings = PfenetTrainingSettings().changed(**values)
    given = start or {}
    network = network_of(given)
    channels = 2 * backbone.width if network is None else sum(network.config.channels[1:3])
    learner = learner_in(given) if part(given, LEARNER) else untrained(channels, settings.width, seed)
    if learner.channels != channels:
        raise UsageError(f"the start reads {learner.channels} channels, the backbone gives {channels}", where="start", remedy="Take the backbone of the start")
    if settings.bins and len(settings.bins) != learner.bins:
        raise UsageError(
            f"bins has {len(settings.bins)} sides, the network {learner.bins}", where="method.bins", remedy=f"Give {learner.bins}, or leave it out"
        )
    return PfenetTraining(learner, settings, given)


def _given(mask: Tensor | None) -> Tensor:
    if mask is None:
        raise UsageError("an episode has no mask", where="source", remedy="PFENet is trained on masks: give all of them")
    return mask
