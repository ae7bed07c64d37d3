"""ResNet-12: four blocks of three 3x3 convolutions with a pool behind each, for pictures of 84 pixels (Lee et al. 2019 and others).

Without DropBlock. Names of tensors are ours: trunk.<i> the blocks, with C1 BN1 C2 BN2 C3 BN3 shortcut BNshortcut.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, max_pool2d

from likewise.errors import WeightsError

SLOPE = 0.1  # below zero


@dataclass(frozen=True, kw_only=True)
class Resnet12Config:
    """The shape of an encoder: channels of the images and behind each block; flatten: the mean over the map, one row an image."""

    widths: tuple[int, ...] = (64, 160, 320, 640)
    channels: int = 3
    flatten: bool = True


RESNET12_ENCODERS: dict[str, Resnet12Config] = {"resnet12": Resnet12Config(), "resnet12map": Resnet12Config(flatten=False)}


class TripleBlock(nn.Module):
    """Three convolutions and a shortcut, which is a 1x1 convolution with a norm."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.C1, self.BN1 = nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)
        self.C2, self.BN2 = nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)
        self.C3, self.BN3 = nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)
        self.shortcut, self.BNshortcut = nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, before, h, w) -> (B, after, h // 2, w // 2)."""
        inner = leaky_relu(self.BN1(self.C1(x)), SLOPE)
        inner = leaky_relu(self.BN2(self.C2(inner)), SLOPE)
        inner = self.BN3(self.C3(inner)) + self.BNshortcut(self.shortcut(x))
        return max_pool2d(leaky_relu(inner, SLOPE), 2)


class Resnet12(nn.Module):
    """Images (B, C, H, W) -> rows (B, D), or maps (B, D, h, w) where the config does not flatten."""

    def __init__(self, config: Resnet12Config) -> None:
        super().__init__()
        self.config = config
        before = (config.channels, *config.widths[:-1])
        self.trunk = nn.Sequential(*(TripleBlock(b, a) for b, a in zip(before, config.widths, strict=True)))

    def forward(self, images: Tensor) -> Tensor:
        """The features of normalised images."""
        maps: Tensor = self.trunk(images)
        return torch.mean(maps, dim=(2, 3)) if self.config.flatten else maps


def sized_resnet12(config: Resnet12Config, shapes: Sequence[Sequence[int]]) -> Resnet12Config:
    """The config with the widths of the blocks' first convolutions. WeightsError for another number of blocks."""
    if len(shapes) != len(config.widths):
        raise WeightsError(f"there are {len(shapes)} blocks, not {len(config.widths)}", where="encoder", remedy="Name the encoder that the weights are of")
    return dataclasses.replace(config, channels=int(shapes[0][1]), widths=tuple(int(shape[0]) for shape in shapes))
