"""Square or rectangular crops of a larger picture, and their answers put together again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Offset = tuple[int, int]


def five_crops(size: tuple[int, int], crop: tuple[int, int]) -> list[Offset]:
    """Row and column of the four corner crops (top first, left first) and of the middle one.

    >>> five_crops((256, 256), (224, 224))
    [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]

    Raises ValueError for a crop that is larger than the picture.
    """
    down, right = size[0] - crop[0], size[1] - crop[1]
    if down < 0 or right < 0:
        raise ValueError(f"a crop of {crop} does not fit into {size}")
    return [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]


def windows(size: tuple[int, int], crop: tuple[int, int], overlap: int) -> list[Offset]:
    """Row and column of as few crops as cover a picture, evenly spread, neighbours sharing at least `overlap` pixels.

    >>> windows((224, 500), (224, 224), 32)
    [(0, 0), (0, 138), (0, 276)]

    Raises ValueError for a crop that is larger than the picture, or no larger than the overlap.
    """
    starts = [_starts(side, own, overlap) for side, own in zip(size, crop, strict=True)]
    return [(row, column) for row in starts[0] for column in starts[1]]


def cut(pictures: Tensor, offsets: Sequence[Offset], crop: tuple[int, int]) -> Tensor:
    """Crops of pictures (..., H, W), a new first axis for the offsets: (n, ..., h, w)."""
    return torch.stack([pictures[..., row : row + crop[0], column : column + crop[1]] for row, column in offsets])


def blend(crops: Tensor, offsets: Sequence[Offset], size: tuple[int, int]) -> Tensor:
    """The plain mean, at each pixel, over the crops that contain it: (n, ..., h, w) -> (..., H, W).

    Raises ValueError where a pixel is in no crop.
    """
    height, width = crops.shape[-2:]
    total = crops.new_zeros(*crops.shape[1:-2], *size)
    count = crops.new_zeros(size)
    for crop, (row, column) in zip(crops, offsets, strict=True):
        total[..., row : row + height, column : column + width] += crop
        count[row : row + height, column : column + width] += 1
    if not bool((count > 0).all()):
        raise ValueError(f"crops of {height}x{width} at {list(offsets)} do not cover {size[0]}x{size[1]}")
    return total / count


def _starts(side: int, crop: int, overlap: int) -> list[int]:
    if crop > side or crop <= overlap:
        raise ValueError(f"windows of {crop} that share {overlap} cannot cover {side} pixels")
    count = 1 + -(-(side - crop) // (crop - overlap))
    return [round(index * (side - crop) / max(1, count - 1)) for index in range(count)]
