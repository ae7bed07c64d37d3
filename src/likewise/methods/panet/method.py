"""PANet: each place is of the class whose prototype it is most like (Wang et al. 2019, "PANet: Few-Shot Image Semantic Segmentation with Prototype
Alignment").

learn    a prototype a class, the mean feature under its masks, and one of the background
predict  one pass over the network, scaled cosines of its places with the prototypes, softmax

Nothing is learned beside the network. Without a checkpoint it is the program's backbone, of which the last layer's tokens are read
(ours, nothing was trained for it); with `network = "own"` a checkpoint's: the dilated VGG-16 of the original, or the ResNet of few-shot
classification and segmentation (Kang and Cho 2022).

Limits: one mean a class, so a class (and above all the background) that looks several ways is blurred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD, ResNet
from likewise.backbones.vgg import DilatedVgg
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import InputError, UsageError, close_match
from likewise.functional.resize import resize_nearest
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.panet.checkpoint import is_original, network_of, renamed
from likewise.methods.panet.model import cells_under, enlarged_mean, pooled_prototypes, rows_of_maps, scores
from likewise.methods.patches import answer
from likewise.methods.prompts import patch_labels, require_some

if TYPE_CHECKING:
    from likewise.backbones.vit import VitConfig
    from likewise.methods.trainable import Trainable

NETWORKS = ("tokens", "own")
TOKENS, SQUARE, ORIGINAL_SQUARE = 448, 400, 417  # sides: of the program's simple read-outs, of iFSL, of the original


@dataclass(frozen=True, kw_only=True)
class PanetSettings(MethodSettings):
    """The settings of PANet.

    network: "tokens" of the program's backbone, or "own", that of a checkpoint; side: the working size, 0 for 448 of tokens, and the
    published squares of 417 pixels for a VGG-16, 400 for a ResNet; lazy: a background for each class, whose cosines are averaged (an option of
    iFSL); official: the published answer, in which pixels to be ignored are background and masks are not gated by presence.
    """

    network: str = "tokens"
    side: int = 0
    lazy: bool = False
    official: bool = False


class Panet(Method):
    """See the top of the file."""

    name = "panet"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    optional_checkpoint = True
    keeps_checkpoint = False
    Settings = PanetSettings
    settings: PanetSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(settings)
        if self.settings.network not in NETWORKS:
            raise UsageError(f"setting 'network' is {self.settings.network!r}", where=self.name, remedy=close_match(self.settings.network, NETWORKS))
        vars(self)["trained"] = self._own  # the class as such needs no checkpoint; with network=own, which the card of one says, it does
        self._checkpoint = checkpoint

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the network of a checkpoint. UsageError where the settings ask for the program's backbone, or there is no network."""
        if not self._own:
            raise UsageError(
                "PANet reads the program's backbone unless it is told not to", where="checkpoint", remedy="Add `--set network=own`, or leave it out"
            )
        if checkpoint is None:
            raise UsageError("PANet has no untrained network of its own", where="checkpoint", remedy="Name a file, or leave network=own out")
        found = type(self)(self.settings, checkpoint)
        _ = found._network  # what is wrong with the tensors is said here
        return found

    @classmethod
    def converted(cls, official_tensors: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """The network of a published checkpoint, or one of torchvision's, which the original begins its training from."""
        del config
        found = renamed(official_tensors)
        network_of(found)
        return found

    @classmethod
    def published(cls, official_tensors: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The published behaviour; the backbone lies in the checkpoint."""
        del config
        side = ORIGINAL_SQUARE if is_original(renamed(official_tensors)) else SQUARE
        return {"network": "own", "official": True, "side": side}, ""

    @classmethod
    def trainable(cls, backbone: VitConfig, settings: Mapping[str, Any], *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[Any]:
        """The network of the original under training; see `training.PanetTrainingSettings`."""
        from likewise.methods.panet.training import trainable

        del backbone, seed
        return trainable(settings, start)

    def reads_backbone(self) -> bool:
        """False for a checkpoint with a network of its own."""
        return not self._own

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer, or the square picture for a network that was brought along."""
        return (self._spec,)

    def learn(self, support: Support, features: Features) -> Memory:
        """Prototypes of classes (N, D) and of the background (1, D), lazily (n, D) of the n classes that are shown, and which these are."""
        with torch.inference_mode():
            own = features[self._spec]
            classes, background, seen = self._of_pictures(support, own) if self._own else self._of_tokens(support, own)
        if background.shape[0] > 1:
            background = background[seen]
        return Memory({"classes": classes.clone(), "background": background.clone(), "seen": seen.clone()})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits of every query on the grid of the network."""
        with torch.inference_mode():
            return [self._answer(item, memory.tensors) for item in features[self._spec]]

    @property
    def _own(self) -> bool:
        return self.settings.network == "own"

    @cached_property
    def _network(self) -> DilatedVgg | ResNet:
        if self._checkpoint is None:
            raise UsageError("there is no network", where=self.name, remedy="Give a checkpoint")
        return network_of(self._checkpoint)

    @cached_property
    def _spec(self) -> FeatureSpec:
        if not self._own:
            return FeatureSpec(layers=(-1,), side=self.settings.side or TOKENS)
        published = ORIGINAL_SQUARE if isinstance(self._network, DilatedVgg) else SQUARE
        return FeatureSpec(backbone=None, squash=True, side=self.settings.side or published)

    def _answer(self, item: ImageFeatures, kept: Mapping[str, Tensor]) -> RawPrediction:
        if self._own:
            maps = network_maps(item, self._network)[0]
            rows, grid = rows_of_maps(maps), (maps.shape[-2], maps.shape[-1])
        else:
            rows, grid = item.tokens[-1].float(), item.grid
        logits = scores(rows, kept["classes"], kept["background"])
        logits[:, 1:] = logits[:, 1:].masked_fill(~kept["seen"], -torch.inf)
        presence = torch.softmax(logits, dim=1)[:, 1:].amax(dim=0)  # of iFSL: where it is likeliest; for several classes its code says nothing
        found = answer(logits, grid, presence=presence)
        return replace(found, corners=self._own and isinstance(self._network, ResNet), gated=not self.settings.official)

    def _of_tokens(self, support: Support, own: Sequence[ImageFeatures]) -> tuple[Tensor, Tensor, Tensor]:
        """Prototypes of soft patch labels, and which classes have any; an image's background counts once for each class that it shows, at least once."""
        labels = patch_labels(support, own)
        require_some(labels)
        shares, background = [], []
        for label in labels:
            weighted = (label.shares * label.weight[:, None]).T
            shown = weighted[1:].amax(dim=1, keepdim=True) > 0
            lone = torch.ones_like(shown) if self.settings.lazy else torch.arange(len(shown))[:, None] == 0
            shares.append(weighted[1:])
            background.append(weighted[:1] * (shown if bool(shown.any()) else lone))
        rows = torch.cat([item.tokens[-1].float() for item in own])[None]
        member = torch.cat(shares, dim=1)
        return *pooled_prototypes(rows, member, torch.cat(background, dim=1), lazy=self.settings.lazy), member.sum(dim=1) > 0

    def _of_pictures(self, support: Support, own: Sequence[ImageFeatures]) -> tuple[Tensor, Tensor, Tensor]:
        """Prototypes of the pairs of a class and an image that shows it, and which classes have any."""
        pairs = [(place, index) for place, number in enumerate(support.classes.numbers) for index in support.showing(number)]
        if not pairs:
            raise InputError("no example shows a class", where="support", remedy="Give masks of each class")
        maps = {index: network_maps(own[index], self._network)[0] for index in {index for _, index in pairs}}
        masks = [self._masks(support, place, index) for place, index in pairs]
        member = torch.stack([torch.tensor([place == each for place, _ in pairs]) for each in range(len(support.classes.numbers))]).float()
        if isinstance(self._network, DilatedVgg):
            means = torch.stack([enlarged_mean(maps[index][None], mask) for (_, index), mask in zip(pairs, masks, strict=True)])  # (pairs, 2, D)
            counts = member.sum(dim=1, keepdim=True).clamp_min(1)
            background = member @ means[:, 1] / counts if self.settings.lazy else means[:, 1].mean(dim=0, keepdim=True)
            return member @ means[:, 0] / counts, background, member.sum(dim=1) > 0
        rows = torch.cat([rows_of_maps(maps[index]) for _, index in pairs])[None]
        cells = torch.cat([self._cells(mask, maps[index]) for (_, index), mask in zip(pairs, masks, strict=True)], dim=1)  # (2, all places)
        owner = member.repeat_interleave(torch.tensor([maps[index][0].numel() for _, index in pairs]), dim=1)
        return *pooled_prototypes(rows, owner * cells[0], owner * cells[1], lazy=self.settings.lazy), member.sum(dim=1) > 0

    def _masks(self, support: Support, place: int, index: int) -> Tensor:
        """The square masks (2, side, side) of a class and of its background in an image. InputError where the class has no mask there."""
        example, numbers = support.examples[index], support.classes.numbers
        mask = example.labels.mask(numbers[place])
        if not mask.any() or example.labels.label_map is None:
            raise InputError(
                "a class that it shows has no mask, and the checkpoint's own network cannot make one",
                where=example.name,
                remedy="Draw masks by `likewise refine`, or leave network=own out",
            )
        apart = numbers if isinstance(self._network, DilatedVgg) else [numbers[place]]  # iFSL takes other classes for background, the original does not
        background = ~np.logical_or.reduce([example.labels.mask(number) for number in apart])
        if not self.settings.official:
            background &= example.labels.label_map >= 0
        side = self._spec.side
        return resize_nearest(torch.from_numpy(np.stack([mask, background]).astype(np.float32)), (side, side))

    def _cells(self, masks: Tensor, maps: Tensor) -> Tensor:
        """Places (2, R) of maps (D, h, w) that are of a class, and those of its background: what is neither touched by the class nor to be ignored."""
        grid = (maps.shape[-2], maps.shape[-1])
        mask, background = masks
        own = cells_under(mask, grid)
        other = ~own & ~cells_under(1 - (mask + background).clamp(max=1), grid)
        return torch.stack([own, other]).flatten(1).float()


def network_maps(item: ImageFeatures, network: DilatedVgg | ResNet) -> Tensor:
    """Maps (1, D, h, w) of the picture in features, those of a ResNet before its last ReLU. UsageError where there is none."""
    if item.pixels is None:
        raise UsageError("the features have no picture", where="features", remedy="Ask for what `wants` says")
    mean, std = (torch.tensor(values, device=item.pixels.device)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    image = ((item.pixels.float() - mean) / std)[None]
    found: Tensor = network(image) if isinstance(network, DilatedVgg) else network.taps(image, len(network.config.blocks) - 1)[-1][-1]
    return found
