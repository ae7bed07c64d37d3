"""Networks of a DAGAN (Antoniou et al. 2017): an image and noise give another image of its class; a critic sees pairs.

Not a copy of the published layers, which nothing could be compared with: a plain U-net and a plain critic that keep what the
description fixes. Kept: four stages of 64, 64, 128, 128 channels, the first a single stride-2 convolution; noise that enters
the first three stages of the decoder as 8, 4 and 2 further channels; encoder maps and at last the image beside the decoder's
maps; two convolutions of 64 channels and one to the image, tanh; leaky ReLU 0.2, dropout 0.5 behind stride-2 convolutions; layer
norm in the critic, which reads the mean and all of the last map. Left out: the dense links between convolutions, batch
renormalisation (plain batch normalisation here) and one-sided padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

SLOPE = 0.2  # of the leaky ReLU
NOISE_CHANNELS = (8, 4, 2)  # what noise becomes in the first stages of the decoder
FINAL = 64  # channels of the last two convolutions before the image
SUMMARY = 1024  # what the critic makes of the mean of its last map


@dataclass(frozen=True, kw_only=True)
class DaganConfig:
    """The shape of both networks: images (channels, side, side) in [-1, 1], `noise` standard normals an image.

    widths: channels of the stages; inner: stride-1 convolutions in a stage before its stride-2 one (the command of the
    published code has 3 for the generator and 5 for the critic).
    """

    channels: int = 1
    side: int = 28
    noise: int = 100
    widths: tuple[int, ...] = (64, 64, 128, 128)
    inner: int = 3
    inner_critic: int = 5
    dropout: float = 0.5

    def sides(self) -> list[int]:
        """The side of the image and of the map behind each stage."""
        found = [self.side]
        for _ in self.widths:
            found.append(-(-found[-1] // 2))
        return found


class DaganGenerator(nn.Module):
    """Images (B, C, H, H) and noise (B, Z) -> images (B, C, H, H) in [-1, 1]."""

    def __init__(self, config: DaganConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.ModuleList(_stages(config.channels, config.widths, config.inner, critic=False, dropout=config.dropout))
        sides = config.sides()[::-1]
        beside = (config.channels, *config.widths)[-2::-1]  # channels of the maps that the decoder's stages meet
        entering = tuple(NOISE_CHANNELS[: len(config.widths)])
        self.noise = nn.ModuleList(nn.Linear(config.noise, count * side**2) for count, side in zip(entering, sides, strict=False))
        self.decoder = nn.ModuleList()
        before = config.widths[-1]
        for place, width in enumerate(config.widths[::-1]):
            extra = entering[place] if place < len(entering) else 0
            self.decoder.append(_convolution(before + extra, width))
            before = width + beside[place]
        self.final = nn.Sequential(_convolution(before, FINAL), _convolution(FINAL, FINAL), nn.Conv2d(FINAL, config.channels, 3, padding=1))

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """Further images of the classes of the given ones."""
        maps = [images]
        for stage in self.encoder:
            maps.append(stage(maps[-1]))
        found = maps.pop()
        for place, stage in enumerate(self.decoder):
            if place < len(self.noise):
                entering = self.noise[place](noise).unflatten(1, (-1, *found.shape[-2:]))
                found = torch.cat([found, entering], dim=1)
            beside = maps.pop()
            found = torch.cat([stage(interpolate(found, size=beside.shape[-2:], mode="nearest")), beside], dim=1)
        image: Tensor = torch.tanh(self.final(found))
        return image


class DaganCritic(nn.Module):
    """Candidates (B, C, H, H) and the images (B, C, H, H) that they are said to be like -> scores (B,), high for real pairs."""

    def __init__(self, config: DaganConfig) -> None:
        super().__init__()
        self.stages = nn.Sequential(*_stages(2 * config.channels, config.widths, config.inner_critic, critic=True, dropout=0))
        self.summary = nn.Sequential(nn.Linear(config.widths[-1], SUMMARY), nn.LeakyReLU(SLOPE))
        self.score = nn.Linear(SUMMARY + config.widths[-1] * config.sides()[-1] ** 2, 1)

    def forward(self, candidates: Tensor, seen: Tensor) -> Tensor:
        """How real each candidate looks beside the image that is seen with it."""
        last = self.stages(torch.cat([candidates, seen], dim=1))
        return self.score(torch.cat([self.summary(last.mean(dim=(2, 3))), last.flatten(1)], dim=1))[:, 0]


def _stages(channels: int, widths: tuple[int, ...], inner: int, *, critic: bool, dropout: float) -> Iterator[nn.Module]:
    """Stages that halve a map, rounding up."""
    for place, width in enumerate(widths):
        parts = []
        for _ in range(inner if place else 0):
            parts.append(_convolution(channels, width, critic=critic))
            channels = width
        parts.append(_convolution(channels, width, stride=2, critic=critic))
        yield nn.Sequential(*parts, *([nn.Dropout(dropout)] if dropout else []))
        channels = width


def _convolution(before: int, after: int, *, stride: int = 1, critic: bool = False) -> nn.Module:
    """A 3x3 convolution, leaky ReLU and a norm; a critic's norm is of each image for itself, as a penalty on slopes needs it."""
    norm = nn.GroupNorm(1, after) if critic else nn.BatchNorm2d(after, momentum=0.01)
    return nn.Sequential(nn.Conv2d(before, after, 3, stride=stride, padding=1), nn.LeakyReLU(SLOPE), norm)
