"""A 3x3 convolution of an enlarged map, of which the map itself is never made.

A convolution is a sum of nine 1x1 convolutions, each moved by a pixel. A 1x1 convolution may be taken before the
enlargement, since that acts on each channel alone; enlarging and moving together are a linear map along each axis. So the
channels are mixed on the small map, and what is left to do on the large one does not depend on how many channels came in.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from likewise.functional.resize import resize_corners

_BAND = 56  # outputs whose inputs are taken together: fewer zeros in the matrices against more of them


def pays(maps: Tensor) -> bool:
    """Whether that is faster for maps (B, C, h, w) on a CPU, which it is where channels are many for the size of the map."""
    return maps.device.type == "cpu" and 2 * maps.shape[1] >= max(maps.shape[2:])


def enlarged_convolved(maps: Tensor, kernels: Tensor, bias: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (B, C, h, w) enlarged by `resize_corners` to (H, W), then convolved with kernels (D, C, 3, 3), zeros around: (B, D, H, W)."""
    if not pays(maps):
        return conv2d(resize_corners(maps, size), kernels, bias, padding=1)
    taps = kernels.permute(0, 3, 2, 1).flatten(0, 2)  # (D * 3 along x * 3 along y, C)
    return torch.stack([_one(single, taps, bias, size) for single in maps])


def _one(single: Tensor, taps: Tensor, bias: Tensor, size: tuple[int, int]) -> Tensor:
    """One map (C, h, w) -> (D, H, W)."""
    _, height, width = single.shape
    count = len(taps) // 9
    mixed = (taps @ single.flatten(1)).reshape(3 * count, 3, height, width)
    upright = [matrix @ mixed[:, :, start:stop].reshape(3 * count, -1, width) for start, stop, matrix in _bands(height, size[0], mixed.dtype)]
    tall = torch.cat(upright, dim=1).reshape(count, 3, size[0], width)
    across = [tall[..., start:stop].transpose(1, 2).reshape(count * size[0], -1) @ matrix.T for start, stop, matrix in _bands(width, size[1], mixed.dtype)]
    return torch.cat(across, dim=1).reshape(count, *size).add_(bias[:, None, None])


@lru_cache(maxsize=64)
def _bands(cells: int, outputs: int, dtype: torch.dtype) -> list[tuple[int, int, Tensor]]:
    """Bands of the enlargement of `cells` samples: first and last input of each, and (outputs of the band, 3 * its inputs) for the three taps."""
    with torch.inference_mode(False):
        plain = resize_corners(torch.eye(cells, dtype=torch.float64)[:, :, None], (outputs, 1))[..., 0].T  # (outputs, cells)
        moved = torch.stack([pad(plain, (0, 0, 1, 0))[:-1], plain, pad(plain, (0, 0, 0, 1))[1:]], dim=1)  # (outputs, 3, cells)
        found = []
        for part in torch.split(moved, _BAND):
            places = torch.nonzero(part.amax(dim=(0, 1)))[:, 0]
            start, stop = int(places[0]), int(places[-1]) + 1
            found.append((start, stop, part[:, :, start:stop].flatten(1).to(dtype)))
        return found
