"""Alignment of the features of a query with those of a support image: within each by itself, and with each other.

Source: Jiao et al. 2022 (MM-Former), sections on self- and cross-alignment, and its code; names of modules are those of the
published checkpoints.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, linear, scaled_dot_product_attention

SHORTER = 15  # positions along the shorter side of what is attended to


def self_aligned(x: Tensor) -> Tensor:
    """Maps (B, C, h, w) with each channel scaled by a gate: the sigmoid of its mean, weighed by where the mean channel is large."""
    flat = x.flatten(2)
    focus = flat.mean(dim=1).softmax(dim=-1)
    gate = torch.einsum("bcp, bp -> bc", flat, focus).sigmoid()
    return x * gate[..., None, None]


def sine_position(height: int, width: int, channels: int) -> Tensor:
    """Sine positions (C, h, w): half of the channels for the row, half for the column, sine and cosine in turn (Carion et al. 2020)."""
    half = channels // 2
    exponents = 2 * torch.div(torch.arange(half), 2, rounding_mode="floor") / half
    waves = 10_000.0 ** exponents.float()
    found = []
    for count in (height, width):
        angle = torch.arange(1, count + 1) / (count + 1e-6) * 2 * math.pi / waves[:, None]  # (half, count)
        found.append(torch.where((torch.arange(half) % 2 == 0)[:, None], angle.sin(), angle.cos()))
    rows, columns = found
    return torch.cat([rows[:, :, None].expand(-1, -1, width), columns[:, None].expand(-1, height, -1)])


def memory_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size at which a map (h, w) is attended to: its shorter side 15.

    >>> memory_size((60, 60)), memory_size((20, 16))
    ((15, 15), (18, 15))
    """
    height, width = size
    return (SHORTER, width * SHORTER // height) if height < width else (height * SHORTER // width, SHORTER)


def keeps_size(query: tuple[int, int]) -> bool:
    """Whether maps are attended to as they are: where a side of the query's is 15 already, whatever the other map's size."""
    return SHORTER in query


def shrunk(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (B, C, h, w) at another size."""
    return interpolate(x, size=size, mode="bilinear", align_corners=False)


class CrossAttentionLayer(nn.Module):
    """Attention to a memory, and the norm behind it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, place: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(B, P, D) of x, its positions, keys and values (B, M, D)."""
        own = self.multihead_attn
        if torch.is_grad_enabled():
            return self.norm(x + own(x + place, keys, values, need_weights=False)[0])
        parts = zip((x + place, keys, values), own.in_proj_weight.chunk(3), own.in_proj_bias.chunk(3), strict=True)  # the same in two thirds of the time
        q, k, v = (torch.unflatten(linear(part, weight, bias), 2, (own.num_heads, -1)).transpose(1, 2) for part, weight, bias in parts)
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.norm(x + linear(mixed, own.out_proj.weight, own.out_proj.bias))


class FeedForwardLayer(nn.Module):
    """Two linear layers, and the norm behind them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, P, D) -> (B, P, D)."""
        return self.norm(x + self.linear2(self.linear1(x).relu()))


class CrossAlignment(nn.Module):
    """Layers by which the positions of one map attend to another; the same for both directions."""

    def __init__(self, width: int, heads: int, hidden: int, layers: int = 2) -> None:
        super().__init__()
        self.transformer_cross_attention_layers = nn.ModuleList(CrossAttentionLayer(width, heads) for _ in range(layers))
        self.transformer_ffn_layers = nn.ModuleList(FeedForwardLayer(width, hidden) for _ in range(layers))

    def forward(self, x: Tensor, place: Tensor, memory: Tensor, memory_place: Tensor) -> Tensor:
        """Tokens (B, P, D) aligned with a memory (B, M, D), which stays the same in all layers; positions beside both."""
        keys = memory + memory_place
        for attend, think in zip(self.transformer_cross_attention_layers, self.transformer_ffn_layers, strict=True):
            x = think(attend(x, place, keys, memory))
        return x
