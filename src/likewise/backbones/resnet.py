"""Residual networks with bottlenecks (He et al. 2016), plain and as few-shot segmentation uses them: deep stem, dilated.

Names of tensors are those of the published segmentation networks, `layer0` the stem: layer0.0.weight, layer1.0.conv1.weight,
layer1.0.downsample.0.weight and so on. Strides are in the 3x3 convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

EXPANSION = 4  # channels of a block's output for each of its width
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of pixels 0..255


@dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """The shape of a network.

    blocks: of each of the four stages; base: width of the first stage, doubled by each; stem: channels of three 3x3
    convolutions, or of the one 7x7 convolution; output_stride: 32, or 16 or 8 where the last stages are dilated instead of strided; dilate_first: whether
    the first block of such a stage is dilated like those behind it (PFENet) or like those before (torchvision, MM-Former).
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    base: int = 64
    stem: tuple[int, ...] = (64,)
    output_stride: int = 32
    dilate_first: bool = False

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the four stages."""
        return tuple(EXPANSION * self.base * 2**stage for stage in range(len(self.blocks)))


class Bottleneck(nn.Module):
    """Three convolutions and a shortcut; `taps` of ResNet are its outputs."""

    def __init__(self, before: int, width: int, stride: int, dilation: int, *, shortcut: bool) -> None:
        super().__init__()
        after = EXPANSION * width
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, after, 1, bias=False), nn.BatchNorm2d(after)
        self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)) if shortcut else None

    def raw(self, x: Tensor) -> Tensor:
        """The block's output before its last ReLU."""
        inner = torch.relu(self.bn1(self.conv1(x)))
        inner = torch.relu(self.bn2(self.conv2(inner)))
        return self.bn3(self.conv3(inner)) + (x if self.downsample is None else self.downsample(x))

    def forward(self, x: Tensor) -> Tensor:
        """The block's output (B, 4 width, h, w)."""
        return torch.relu(self.raw(x))


class ResNet(nn.Module):
    """The network without its classifier."""

    layer0: nn.Sequential

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.layer0 = _stem(config.stem)
        before, dilation, reached = config.stem[-1], 1, 4
        for stage, count in enumerate(config.blocks):
            strided = stage > 0 and reached < config.output_stride
            stride, first = (2 if strided else 1), dilation
            reached *= stride
            if stage > 0 and not strided:
                dilation *= 2
                first = dilation if config.dilate_first else first
            width = config.base * 2**stage
            blocks = [Bottleneck(before, width, stride, first, shortcut=True)]
            before = EXPANSION * width
            blocks += [Bottleneck(before, width, 1, dilation, shortcut=False) for _ in range(count - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The stem's output and that of each stage, of normalised images (B, 3, H, W)."""
        found = [self.layer0(images)]
        for stage in self.stages():
            found.append(stage(found[-1]))
        return found

    def taps(self, images: Tensor, first: int = 1) -> list[list[Tensor]]:
        """The output of every block before its last ReLU, stage by stage, counted from 0, of normalised images (B, 3, H, W).

        first: the first stage that is wanted; the last is the last of the answer. HSNet, ASNet and PANet read these.
        """
        x, found = self.layer0(images), []
        for place, stage in enumerate(self.stages()):
            raw = []
            for block in stage:
                assert isinstance(block, Bottleneck)
                raw.append(block.raw(x))
                x = torch.relu(raw[-1])
            if place >= first:
                found.append(raw)
        return found

    def tapped(self, side: int) -> list[tuple[int, int]]:
        """Of each stage that `taps` gives how many maps, and of how many rows for a square of `side` pixels."""
        rows, reached = side, 1
        for _ in range(2):
            rows, reached = (rows + 1) // 2, 2 * reached
        found = []
        for count in self.config.blocks[1:]:
            if reached < self.config.output_stride:
                rows, reached = (rows + 1) // 2, 2 * reached
            found.append((count, rows))
        return found

    def stages(self) -> Sequence[nn.Sequential]:
        """The four stages."""
        found = [self.get_submodule(f"layer{stage + 1}") for stage in range(len(self.config.blocks))]
        return [stage for stage in found if isinstance(stage, nn.Sequential)]


def _stem(channels: Sequence[int]) -> nn.Sequential:
    """layer0: convolutions with norm and ReLU behind each, then a pool."""
    if len(channels) == 1:
        parts: list[nn.Module] = [nn.Conv2d(3, channels[0], 7, 2, 3, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU()]
    else:
        parts, before = [], 3
        for place, after in enumerate(channels):
            parts += [nn.Conv2d(before, after, 3, 2 if place == 0 else 1, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
    return nn.Sequential(*parts, nn.MaxPool2d(3, 2, 1))
