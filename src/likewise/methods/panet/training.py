"""The original PANet as a `Trainable`: its VGG-16, by the loss of the query and that of the support with both exchanged.

Source: Wang et al. 2019 and its code. The form on a ResNet (iFSL) is trained with the statistics of batches, which no training here has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from likewise.backbones.features import FeatureSpec
from likewise.backbones.vgg import DilatedVgg
from likewise.errors import UsageError
from likewise.functional.resize import resize_grid, resize_nearest
from likewise.methods.base import MethodSettings
from likewise.methods.panet.checkpoint import network_of
from likewise.methods.panet.method import ORIGINAL_SQUARE, Panet, PanetSettings, network_maps
from likewise.methods.panet.model import UNKNOWN, alignment_loss, averaged_prototypes, known_entropy, maps_of, rows_of_maps, scores
from likewise.methods.pyramid_weights import BACKBONE
from likewise.methods.trainable import Trainable, TrainingEpisode


@dataclass(frozen=True, kw_only=True)
class PanetTrainingSettings(MethodSettings):
    """How PANet is trained; defaults of the published code.

    side: of the square image and its masks; alignment: the weight of the loss with support and query exchanged; void_is_background: of the
    support, as official code counts it; in the query it counts nowhere.
    """

    side: int = ORIGINAL_SQUARE
    alignment: float = 1.0
    void_is_background: bool = False


class PanetTraining:
    """The network under training. See `Trainable`."""

    def __init__(self, network: DilatedVgg, settings: PanetTrainingSettings) -> None:
        self.network, self.settings = network.requires_grad_(True).train(), settings

    def wants(self) -> tuple[FeatureSpec, ...]:
        """The square picture."""
        return (FeatureSpec(backbone=None, squash=True, side=self.settings.side),)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The network's."""
        return self.network.parameters()

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.network.to(device)

    def checkpoint(self) -> dict[str, Tensor]:
        """The network's tensors."""
        return {BACKBONE + name: tensor for name, tensor in self.network.state_dict().items()}

    def method(self) -> Panet:
        """The method with copies of the tensors as they are now."""
        settings = PanetSettings(network="own", side=self.settings.side)
        return Panet(settings, {name: tensor.detach().cpu().clone() for name, tensor in self.checkpoint().items()})

    def episode_loss(self, episode: TrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of an episode with its terms "query" and "alignment". There is no chance in it."""
        del generator
        size = (self.settings.side, self.settings.side)
        given, truth = (self._square(mask) for mask in (episode.support_mask, episode.query_mask))
        mask = (given == 1).float()[None, None]
        outside = given != 1 if self.settings.void_is_background else given == 0
        background = outside.float()[None, None]
        support, query = network_maps(episode.support, self.network)[None], network_maps(episode.query, self.network)
        grid = (query.shape[-2], query.shape[-1])
        logits = maps_of(scores(rows_of_maps(query), *averaged_prototypes(support, mask, background)), grid)
        own = known_entropy(resize_grid(logits, size), truth.long()[None])
        aligned = self.settings.alignment * alignment_loss(query, logits, support, mask, background)
        return {"loss": own + aligned, "query": own, "alignment": aligned}

    def _square(self, mask: Tensor | None) -> Tensor:
        """A mask at the size of the square, 1 on the class, 255 unknown."""
        if mask is None:
            raise UsageError("an episode has no mask", where="source", remedy="PANet is trained on masks: give all of them")
        found = resize_nearest(mask, (self.settings.side, self.settings.side))
        return torch.where((found == 1) | (found == UNKNOWN), found, 0)


def trainable(values: Mapping[str, Any], start: Mapping[str, Tensor] | None = None) -> Trainable[TrainingEpisode]:
    """The network of a start, which must be a VGG-16; see `Method.trainable`."""
    settings = PanetTrainingSettings().changed(**values)
    if start is None:
        raise UsageError(
            "PANet has nothing to train but a network of its own, and none is given to begin from",
            where="method.start",
            remedy="Convert a VGG-16 of torchvision by `likewise weights convert panet FILE OUT`; on tokens of a backbone PANet needs no training",
        )
    network = network_of(start)
    if not isinstance(network, DilatedVgg):
        raise UsageError(
            "a ResNet is published as trained with the statistics of batches, which is not done here",
            where="method.start",
            remedy="Start from a VGG-16, or train it elsewhere and convert it",
        )
    return PanetTraining(network, settings)
