"""Small convolutional encoders of few-shot classification: Conv-4, Conv-6, and their forms for drawings and for relation networks.

A block is a 3x3 convolution with bias, batch normalisation, ReLU and, where said, a 2x2 max-pool that leaves the last odd row
and column. Names of tensors are `trunk.<i>.C.*` and `trunk.<i>.BN.*` (Chen et al. 2019).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from likewise.errors import WeightsError

Start = Literal["closer_look", "relation", "maml", "torch"]


@dataclass(frozen=True, kw_only=True)
class ConvConfig:
    """The shape of an encoder.

    channels: of the images; widths: channels behind each block; padding: of each block's convolution; pooled: how many blocks, from the
    first, have a pool; flatten: one row an image (C, H, W in this order) instead of a map; momentum: of the running statistics.
    Of images with more channels than `channels` = 1 the first counts.
    """

    channels: int = 3
    widths: tuple[int, ...] = (64, 64, 64, 64)
    padding: tuple[int, ...] = (1, 1, 1, 1)
    pooled: int = 4
    flatten: bool = True
    momentum: float = 0.1

    def rows(self, side: int) -> int:
        """Rows of the map that a square image of `side` pixels gives."""
        for place, padding in enumerate(self.padding):
            side += 2 * padding - 2
            side = side // 2 if place < self.pooled else side
        return side

    def width(self, side: int) -> int:
        """Numbers a flattened image of `side` pixels has."""
        return self.widths[-1] * self.rows(side) ** 2


def _config(*, channels: int = 3, blocks: int = 4, maps: bool = False) -> ConvConfig:
    """Conv-`blocks`; maps: without padding in the first two blocks, and with pools only there."""
    padding = (0, 0) + (1,) * (blocks - 2) if maps else (1,) * blocks
    return ConvConfig(channels=channels, widths=(64,) * blocks, padding=padding, pooled=2 if maps else 4, flatten=not maps)


# NP: not pooled behind the second block, for relation networks; S: drawings of 28 pixels, one channel
CONV_ENCODERS: dict[str, ConvConfig] = {
    "conv4": _config(),
    "conv6": _config(blocks=6),
    "conv4s": _config(channels=1),
    "conv4np": _config(maps=True),
    "conv6np": _config(blocks=6, maps=True),
    "conv4snp": _config(channels=1, maps=True),
}


class ConvBlock(nn.Module):
    """Convolution C, norm BN, ReLU, pool."""

    def __init__(self, before: int, after: int, config: ConvConfig, place: int) -> None:
        super().__init__()
        self.C = nn.Conv2d(before, after, 3, padding=config.padding[place])
        self.BN = nn.BatchNorm2d(after, momentum=config.momentum)
        self.pool = nn.MaxPool2d(2) if place < config.pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, before, h, w) -> (B, after, h', w')."""
        found: Tensor = self.pool(torch.relu(self.BN(self.C(x))))
        return found


class ConvEncoder(nn.Module):
    """Images (B, C, H, W) -> rows (B, D), or maps (B, width, h, w) where the config does not flatten."""

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        self.config = config
        before = (config.channels, *config.widths[:-1])
        self.trunk = nn.Sequential(*(ConvBlock(b, a, config, place) for place, (b, a) in enumerate(zip(before, config.widths, strict=True))))

    def forward(self, images: Tensor) -> Tensor:
        """The features of normalised images."""
        maps: Tensor = self.trunk(images[:, :1] if self.config.channels == 1 else images)
        return maps.flatten(1) if self.config.flatten else maps


def sized(config: ConvConfig, shapes: Sequence[Sequence[int]]) -> ConvConfig:
    """The config with the widths of convolutions of these shapes (after, before, 3, 3). WeightsError for another number of blocks."""
    if len(shapes) != len(config.widths):
        raise WeightsError(f"there are {len(shapes)} blocks, not {len(config.widths)}", where="encoder", remedy="Name the encoder that the weights are of")
    return dataclasses.replace(config, channels=int(shapes[0][1]), widths=tuple(int(shape[0]) for shape in shapes))


def initialise(network: nn.Module, start: Start = "closer_look") -> None:
    """Give a network the first weights of a code base, in place, by torch's generator.

    "closer_look": convolutions normal with deviation sqrt(2 / (k k outputs)), norms 1 and 0, the rest torch's (Chen et al. 2019);
    "relation": that, biases of convolutions 0, linear layers normal(0, 0.01) with biases 1 (Sung et al. 2018); "maml": Xavier's
    uniform weights, biases 0 (Finn et al. 2017); "torch": as torch made it (Snell et al. 2017).
    """
    for part in network.modules() if start != "torch" else ():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Conv2d | nn.Linear):
            _start_layer(part, start)


def _start_layer(layer: nn.Conv2d | nn.Linear, start: Start) -> None:
    if start == "maml":
        nn.init.xavier_uniform_(layer.weight)
    elif isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, 0, math.sqrt(2 / (math.prod(layer.kernel_size) * layer.out_channels)))
    elif start == "relation":
        nn.init.normal_(layer.weight, 0, 0.01)
    if start != "closer_look" and layer.bias is not None:
        nn.init.constant_(layer.bias, float(start == "relation" and isinstance(layer, nn.Linear)))
