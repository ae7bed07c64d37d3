"""ResNet-10, -18 and -34 of few-shot classification (Chen et al. 2019): two 3x3 convolutions a block, images of 224 pixels.

Names of tensors: trunk.0 and trunk.1 the stem's convolution and norm, trunk.4 onwards the blocks with C1 BN1 C2 BN2 shortcut BNshortcut.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from likewise.errors import WeightsError


@dataclass(frozen=True, kw_only=True)
class ResidualConfig:
    """The shape of an encoder.

    blocks: of each stage; widths: channels of each stage; stem: channels of the 7x7 convolution; flatten: one row an image instead of a
    map; window: side of the mean that makes the row, which the published networks fix to 7 so that only maps of 7 x 7 give a row of one
    stage's width; 0 for the mean over whatever map there is, which is the same there.
    """

    blocks: tuple[int, ...] = (1, 1, 1, 1)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    channels: int = 3
    stem: int = 64
    flatten: bool = True
    window: int = 0


# "map": for relation networks
RESIDUAL_ENCODERS: dict[str, ResidualConfig] = {
    "resnet10": ResidualConfig(),
    "resnet18": ResidualConfig(blocks=(2, 2, 2, 2)),
    "resnet34": ResidualConfig(blocks=(3, 4, 6, 3)),
    "resnet10map": ResidualConfig(flatten=False),
    "resnet18map": ResidualConfig(blocks=(2, 2, 2, 2), flatten=False),
    "resnet34map": ResidualConfig(blocks=(3, 4, 6, 3), flatten=False),
}


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, which is a 1x1 convolution with a norm where the channels differ."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.C1, self.BN1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.C2, self.BN2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if before != after else None
        self.BNshortcut = nn.BatchNorm2d(after) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, before, h, w) -> (B, after, h', w')."""
        inner = self.BN2(self.C2(torch.relu(self.BN1(self.C1(x)))))
        if self.shortcut is not None and self.BNshortcut is not None:
            x = self.BNshortcut(self.shortcut(x))
        return torch.relu(inner + x)


class ResidualEncoder(nn.Module):
    """Images (B, C, H, W) -> rows (B, D), or maps (B, D, h, w) where the config does not flatten."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.config = config
        parts: list[nn.Module] = [nn.Conv2d(config.channels, config.stem, 7, 2, 3, bias=False), nn.BatchNorm2d(config.stem), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        before = config.stem
        for stage, (count, after) in enumerate(zip(config.blocks, config.widths, strict=True)):
            for place in range(count):
                parts.append(ResidualBlock(before, after, 2 if stage > 0 and place == 0 else 1))
                before = after
        self.trunk = nn.Sequential(*parts)

    def forward(self, images: Tensor) -> Tensor:
        """The features of normalised images."""
        maps: Tensor = self.trunk(images)
        if not self.config.flatten:
            return maps
        if self.config.window:
            return torch.nn.functional.avg_pool2d(maps, self.config.window).flatten(1)
        return maps.mean(dim=(2, 3))


def sized_residual(config: ResidualConfig, shapes: Sequence[Sequence[int]]) -> ResidualConfig:
    """The config with the widths of the stem and of each block's first convolution. WeightsError for another number of blocks."""
    if len(shapes) != 1 + sum(config.blocks):
        raise WeightsError(f"there are {len(shapes) - 1} blocks, not {sum(config.blocks)}", where="encoder", remedy="Name the encoder that the weights are of")
    firsts = [1 + sum(config.blocks[:stage]) for stage in range(len(config.blocks))]
    return dataclasses.replace(config, channels=int(shapes[0][1]), stem=int(shapes[0][0]), widths=tuple(int(shapes[first][0]) for first in firsts))
