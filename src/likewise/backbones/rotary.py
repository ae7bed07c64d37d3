"""Attention with rotary positions on two axes, as DINOv3 has it: queries and keys of patch tokens are turned by where their patch lies.

The product of a turned query and a turned key depends on how far their patches are apart, in shares of the picture's sides, so
that a grid of any shape has positions and none are stored. Class and register tokens lie nowhere: their angle is zero.

Source: Simeoni et al. 2025 (DINOv3); Su et al. 2021 (RoFormer) for the turning, Heo et al. 2024 for two axes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from likewise.backbones.attention import Attention
from likewise.backbones.biases import projected


def rotary_position(grid: tuple[int, int], width: int, base: float, prefix: int) -> Tensor:
    """Cosines and sines of the angles of every token, those before the patches at zero: (2, prefix + h*w, width), float32.

    grid (h, w); width: channels of a head. A channel pairs with the one half a width behind it. The first quarter of the width
    turns with the row, the second with the column, by frequencies that fall from 1 towards 1 / base; rows and columns count from
    -1 to 1 between the edges of the picture, a patch by its middle, and 1 is a whole turn of the fastest channel.
    Raises ValueError for a width that is no multiple of four.

    >>> rotary_position((2, 3), 8, 100.0, 5).shape
    torch.Size([2, 11, 8])
    """
    if width % 4:
        raise ValueError(f"two axes of pairs need a width a head that is a multiple of 4, not {width}")
    frequencies = base ** -torch.arange(0, 1, 4 / width)
    rows, columns = (2 * (torch.arange(side) + 0.5) / side - 1 for side in grid)
    places = torch.cartesian_prod(rows, columns)  # (h*w, 2), row-major
    half = (2 * math.pi * places[:, :, None] * frequencies).flatten(1)
    angles = torch.cat([torch.zeros(prefix, width), half.repeat(1, 2)])
    return torch.stack([angles.cos(), angles.sin()])


def turned(x: Tensor, position: Tensor) -> Tensor:
    """Queries or keys (B, A, T, d) turned by the angles of their tokens, `rotary_position`'s (2, T, d)."""
    half = x.shape[-1] // 2
    return x * position[0] + torch.cat([-x[..., half:], x[..., :half]], dim=-1) * position[1]


class RotaryAttention(Attention):
    """Self-attention that turns queries and keys by their tokens' positions."""

    def split(self, x: Tensor, position: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values (B, A, T, D/A) of tokens (B, T, D), the first two turned by the position (2, T, D/A)."""
        q, k, v = super().split(x)
        return (q, k, v) if position is None else (turned(q, position), turned(k, position), v)

    def forward(self, x: Tensor, position: Tensor | None = None, bias: Tensor | None = None, grid: tuple[int, int] | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D); position (2, T, D/A); bias (B, D) stands for that of the projection."""
        del grid
        mixed = scaled_dot_product_attention(*self.split(x, position))
        return projected(self.proj, mixed.transpose(1, 2).reshape(x.shape), bias)
