"""What convpaint does with a picture before and after its extractor: numbers, padding, scales, patches, rows of labelled pixels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from likewise.backbones.vit import IMAGENET_MEAN, IMAGENET_STD
from likewise.functional.resize import resize_nearest

_FLAT = 1e-6  # the least deviation of a channel by which it is divided


@dataclass(frozen=True)
class Reach:
    """How far a network looks: padding, half its receptive field in pixels, and its stride."""

    padding: int
    stride: int


def colours(pixels: NDArray[np.generic]) -> Tensor:
    """A colour picture (3, H, W) as networks of ImageNet take it: whole numbers scaled to 0..1 by their type, then mean and deviation.

    Floating numbers are taken to be in 0..1; where some are not they are passed as they are, with a warning.
    """
    if pixels.dtype.kind in "ui":
        bounds = np.iinfo(pixels.dtype.str)
        unit = torch.from_numpy(((pixels.astype(np.float64) - bounds.min) / (bounds.max - bounds.min)).astype(np.float32))
    else:
        unit = torch.from_numpy(pixels.astype(np.float32))
        if bool((unit < 0).any()) or bool((unit > 1).any()):
            warnings.warn("numbers of a picture are outside 0..1: passed as they are", UserWarning, stacklevel=2)
            return unit
    return (unit - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]


def channels(pixels: NDArray[np.generic]) -> Tensor:
    """Channels (C, H, W) that are no colours, each with mean 0 and deviation 1 over the picture."""
    maps = torch.from_numpy(pixels.astype(np.float32))
    spread = maps.std(dim=(1, 2), correction=0, keepdim=True).clamp_min(_FLAT)
    return (maps - maps.mean(dim=(1, 2), keepdim=True)) / spread


def paddings(size: tuple[int, int], scales: Sequence[int], reach: Reach) -> tuple[tuple[int, int], tuple[int, int]]:
    """(top, bottom), (left, right) around a picture of `size`, so that every scale divides it and its border sees what the inside does."""
    step = math.lcm(*scales) * reach.stride
    wanted = reach.padding * max(scales)
    before = -(-wanted // step) * step
    top, left = ((before, -(-(before + length + wanted) // step) * step - before - length) for length in size)
    return top, left


def mirrored(maps: Tensor, around: tuple[tuple[int, int], tuple[int, int]]) -> Tensor:
    """Maps (C, H, W) with pixels mirrored around them, the border pixel not repeated; as often as it takes."""
    return torch.from_numpy(np.pad(maps.numpy(), ((0, 0), *around), mode="reflect"))


def pyramid(
    maps: Tensor, network: Callable[[Tensor], list[Tensor]], scales: Sequence[int], reach: Reach, *, alone: bool = False, smooth: bool = False
) -> Tensor:
    """Features (F, H, W) of a picture's maps (C, H, W) at several scales, one after the other.

    network: normalised images (B, 3, H, W) -> maps (B, D, h, w) of some layers, which are laid side by side; alone: every channel
    goes through it by itself, as three alike, and channels are laid side by side with their layers; smooth: brought back to full size as `unpatched` does
    in its official form instead of by the nearest.
    """
    around = paddings((maps.shape[1], maps.shape[2]), scales, reach)
    padded = mirrored(maps, around)
    images = padded[:, None].expand(-1, 3, -1, -1) if alone else padded[None]
    size, found = (padded.shape[1], padded.shape[2]), []
    inside = slice(around[0][0], around[0][0] + maps.shape[1]), slice(around[1][0], around[1][0] + maps.shape[2])
    for scale in scales:
        layers = network(avg_pool2d(images, scale))
        found += [_enlarged(layer[image], size, smooth)[:, *inside] for image in range(len(images)) for layer in layers]
    return torch.cat(found)


def patch_padded(maps: Tensor, patch: int) -> Tensor:
    """Maps (C, H, W) mirrored at the right and below to a multiple of the patch."""
    return mirrored(maps, ((0, -maps.shape[1] % patch), (0, -maps.shape[2] % patch)))


def spread(tokens: Tensor, patch: int, size: tuple[int, int]) -> Tensor:
    """Tokens (C, h, w) at the pixels of a picture of `size` that was padded to patches: (C, H, W), each that of its patch. For learning."""
    padded = tokens.shape[1] * patch, tokens.shape[2] * patch
    return resize_nearest(tokens, padded)[:, : size[0], : size[1]]


def unpatched(probabilities: Tensor, patch: int, size: tuple[int, int], *, official: bool = False) -> Tensor:
    """Probabilities of tokens (C, h, w) at the pixels of a picture of `size` that was padded to patches: (C, H, W). For predicting.

    Bilinear between the centres of patches. Outside the outermost centres they stay as they are; official: they are mirrored there,
    so that over the last half patch they move back towards the second.
    """
    rows, columns = probabilities.shape[1:]
    large = _mixing(rows, rows * patch, official) @ probabilities @ _mixing(columns, columns * patch, official).T
    return large[:, : size[0], : size[1]]


def labelled_rows(features: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Features (R, F) and numbers (R,) of the labelled pixels, those above 0, row by row: features (F, H, W), numbers (H, W)."""
    own = numbers > 0
    return features[:, own].T, numbers[own]


def _enlarged(maps: Tensor, size: tuple[int, int], smooth: bool) -> Tensor:
    if not smooth:
        return resize_nearest(maps, size)
    return _mixing(maps.shape[1], size[0], True) @ maps @ _mixing(maps.shape[2], size[1], True).T


def _mixing(count: int, wanted: int, mirror: bool) -> Tensor:
    """Weights (wanted, count) that bring a line of `count` samples to `wanted`, linearly between the centres of cells."""
    places = (torch.arange(wanted, dtype=torch.float64) + 0.5) * count / wanted - 0.5
    if mirror and count > 1:
        places = places.abs()
        places = torch.where(places > count - 1, 2 * (count - 1) - places, places)
    places = places.clamp(0, count - 1)
    low = places.floor().clamp_max(max(count - 2, 0)).long()
    weights = torch.zeros(wanted, count, dtype=torch.float64)
    line, part = torch.arange(wanted), places - low
    weights[line, low] = 1 - part
    weights[line, (low + 1).clamp_max(count - 1)] += part
    return weights.float()
