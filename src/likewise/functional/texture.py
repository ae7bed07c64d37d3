"""Texture edges of pictures, the one task of Taskonomy whose labels are computed (Kim et al. 2023, and its code): Sobel after a Gaussian."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

TEXTURE_EDGES = ((3, 1), (11, 2), (19, 3))  # side and sigma of the Gaussian
TEXTURE_CLIP = 0.4  # of the strongest edge
_ROUNDING = 1e-5  # an edge of one step of 255 is a hundred times that, at the coarsest scale too


def texture_edges(pictures: Tensor, *, each_alone: bool = True) -> Tensor:
    """Edges at three scales in 0..1: pictures (N, 3, H, W) in 0..1 -> (N, 3, H, W).

    each_alone: the strongest edge of each picture is the measure; False, official: of all N, so that a label depends on
    its companions. A picture without any edge has none (official: 0 / 0).
    """
    found = []
    for kernel, sigma in TEXTURE_EDGES:
        strength = edge_strength(pictures, kernel, sigma)
        largest = strength.amax(dim=(1, 2, 3), keepdim=True) if each_alone else strength.max()
        scaled = torch.where(largest > _ROUNDING, strength / largest, torch.zeros_like(strength))
        found.append(scaled.clamp_max(TEXTURE_CLIP) / TEXTURE_CLIP)
    return torch.cat(found, dim=1)


def edge_strength(pictures: Tensor, kernel: int, sigma: float) -> Tensor:
    """The length of the Sobel gradient of blurred brightness: (N, 3, H, W) -> (N, 1, H, W)."""
    smooth = conv2d(_bordered(pictures, kernel // 2), _gaussian(kernel, sigma).to(pictures).expand(1, 3, -1, -1))
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).to(pictures)
    slopes = conv2d(_bordered(smooth, 1), torch.stack([across, across.T])[:, None])
    return slopes.square().sum(dim=1, keepdim=True).sqrt()


def _gaussian(kernel: int, sigma: float) -> Tensor:
    """The density at whole pixels, not scaled to sum 1: (kernel, kernel)."""
    places = torch.arange(kernel) - kernel // 2
    squared = (places[:, None] ** 2 + places[None] ** 2).float()
    return torch.exp(-squared / (2 * sigma**2)) / (2 * torch.pi * sigma**2)


def _bordered(maps: Tensor, count: int) -> Tensor:
    """Maps with their own first and last columns set beside them, then rows. official: in their own order, not mirrored."""
    wide = torch.cat([maps[..., :count], maps, maps[..., maps.shape[-1] - count :]], dim=-1)
    return torch.cat([wide[..., :count, :], wide, wide[..., wide.shape[-2] - count :, :]], dim=-2)
