"""Attention of Segment Anything's image encoder: inside windows, with relative positions that depend on the query.

Source: Kirillov et al. 2023 and its code; Li et al. 2022 (ViTDet) for windows, Li et al. 2021 (MViTv2) for the positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, scaled_dot_product_attention

from likewise.backbones.attention import Attention
from likewise.backbones.biases import projected

ONE_BY_ONE = 1024  # tokens from which heads are taken one after the other, so that their maps are not in memory together


class WindowAttention(Attention):
    """Attention of patch tokens within windows of `window` patches a side, 0 for the whole grid of `side` patches.

    What hangs over at the right and at the bottom is filled with zeros, which take part like any token, as published. To
    each product the query's product with a learned vector for the difference of rows, and one of columns, is added.
    """

    def __init__(self, width: int, heads: int, window: int, side: int) -> None:
        super().__init__(width, heads)
        self.window = window
        places = 2 * (window or side) - 1
        self.rel_pos_h = nn.Parameter(torch.zeros(places, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(places, width // heads))

    def forward(self, x: Tensor, position: Tensor | None = None, bias: Tensor | None = None, grid: tuple[int, int] | None = None) -> Tensor:
        """(B, h*w, D) -> (B, h*w, D) of a grid (h, w), a square one unless it is given; bias (B, D) stands for that of the projection.

        Raises ValueError for tokens that are no such grid.
        """
        del position
        rows, columns = grid or (round(x.shape[1] ** 0.5),) * 2
        if rows * columns != x.shape[1]:
            raise ValueError(f"{x.shape[1]} tokens are no grid of {rows}x{columns}")
        if not self.window:
            return projected(self.proj, self._mixed(x, (rows, columns)), bias)
        side = self.window
        down, across = -rows % side, -columns % side
        padded = pad(torch.unflatten(x, 1, (rows, columns)), (0, 0, 0, across, 0, down))
        batch, height, width = padded.shape[:3]
        parts = padded.reshape(batch, height // side, side, width // side, side, -1).transpose(2, 3)
        mixed = self._mixed(parts.reshape(-1, side * side, x.shape[2]), (side, side))
        whole = mixed.reshape(batch, height // side, width // side, side, side, -1).transpose(2, 3).reshape(batch, height, width, -1)
        return projected(self.proj, whole[:, :rows, :columns].reshape(x.shape), bias)

    def _mixed(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Heads side by side, before the projection: (B, h*w, D) -> (B, h*w, D)."""
        q, k, v = self.split(x)
        down, across = _by_difference(self.rel_pos_h, grid[0]), _by_difference(self.rel_pos_w, grid[1])
        step = 1 if x.shape[1] >= ONE_BY_ONE else self.heads
        parts = []
        for start in range(0, self.heads, step):
            own = slice(start, start + step)
            places = torch.unflatten(q[:, own], 2, grid)  # (B, a, h, w, d)
            rows, columns = torch.einsum("bahwd,hkd->bahwk", places, down), torch.einsum("bahwd,wkd->bahwk", places, across)
            relative = (rows[..., :, None] + columns[..., None, :]).reshape(*q.shape[:1], -1, x.shape[1], x.shape[1])
            parts.append(scaled_dot_product_attention(q[:, own], k[:, own], v[:, own], attn_mask=relative))
        return torch.cat(parts, dim=1).transpose(1, 2).reshape(x.shape)


def _by_difference(table: Tensor, side: int) -> Tensor:
    """The rows of a table (2n-1, d) for every pair of places, (side, side, d): query, key; a table for another side is resampled linearly."""
    if len(table) != 2 * side - 1:
        table = interpolate(table.T[None], size=2 * side - 1, mode="linear", align_corners=False)[0].T
    places = torch.arange(side, device=table.device)
    return table[places[:, None] - places[None] + side - 1]
