"""Self-attention of vision transformers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from likewise.backbones.biases import projected


class Attention(nn.Module):
    """Multi-head self-attention with one matrix for queries, keys and values; places: of a table of relative positions, 0: none."""

    def __init__(self, width: int, heads: int, places: int = 0) -> None:
        super().__init__()
        self.heads = heads
        if places:
            self.relative_position_bias_table = nn.Parameter(torch.zeros(places, heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def split(self, x: Tensor, position: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values (B, A, T, D/A) of tokens (B, T, D), as they meet; the position changes none of them here."""
        del position
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def forward(self, x: Tensor, position: Tensor | None = None, bias: Tensor | None = None, grid: tuple[int, int] | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D); position (A, T, T) is added to the products, bias (B, D) stands for that of the projection."""
        del grid
        q, k, v = self.split(x)
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=None if position is None else position[None])  # of four axes: the fused kernel
        return projected(self.proj, mixed.transpose(1, 2).reshape(x.shape), bias)
