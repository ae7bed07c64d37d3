"""Resizing as published networks do it, on tensors; what the program itself does with images is in `data.geometry`."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate


def resize_corners(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (..., h, w) at (..., H, W), bilinear with the corner samples on each other and without a low-pass filter.

    Source: `align_corners=True`, the mode of CST, HSNet and ASNet in both directions. Shrinking looks at few samples.
    """
    flat = maps.reshape(1, -1, *maps.shape[-2:])
    return interpolate(flat, size=size, mode="bilinear", align_corners=True).reshape(*maps.shape[:-2], *size)


def resize_nearest(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (..., h, w) at (..., H, W), sample i taken from floor(i * h / H), as `interpolate(mode="nearest")` does.

    Not what image libraries call nearest: those sample at the centres of pixels.
    """
    flat = maps.reshape(1, -1, *maps.shape[-2:])
    return interpolate(flat.float(), size=size, mode="nearest").to(maps.dtype).reshape(*maps.shape[:-2], *size)


def resize_grid(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (..., h, w) at (..., H, W), bilinear between the centres of cells."""
    flat = maps.reshape(1, -1, *maps.shape[-2:])
    return interpolate(flat, size=size, mode="bilinear", align_corners=False).reshape(*maps.shape[:-2], *size)
