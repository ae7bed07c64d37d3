"""The two-way transformer: tokens and an image attend to each other; and the mixer, attention and a small network with one norm.

Sources: Kirillov et al. 2023 (Segment Anything) for the transformer, De Marinis et al. 2024 (Label Anything) for the
mixer, and their code; names of modules are those of the published checkpoints.

Masks say which tokens count as keys: (B, N) bool. A row without any key that counts attends to all, so that its
numbers stay finite; nothing reads them.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, relu, scaled_dot_product_attention

from likewise.functional.heads import by_head


class CrossAttention(nn.Module):
    """Multi-head attention with matrices of their own for queries, keys and values; downsample: by how much the inner width is less."""

    def __init__(self, width: int, heads: int, downsample: int = 1) -> None:
        super().__init__()
        self.heads, inner = heads, width // downsample
        if inner % heads:
            raise ValueError(f"{heads} heads do not divide an inner width of {inner}")
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """Queries (B, N, D), keys and values (B, M, D) -> (B, N, D); mask (B, M)."""
        queries, keys, values = (by_head(layer(x), self.heads) for layer, x in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v)))
        seen = None if mask is None else (mask | ~mask.any(dim=1, keepdim=True))[:, None, None]
        mixed = scaled_dot_product_attention(queries, keys, values, attn_mask=seen)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class TwoLayers(nn.Module):
    """Two linear layers with an activation between: ReLU, or the exact GELU."""

    def __init__(self, width: int, hidden: int, *, smooth: bool) -> None:
        super().__init__()
        self.smooth = smooth
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return self.lin2((gelu if self.smooth else relu)(self.lin1(x)))


class Mixer(nn.Module):
    """Tokens attend to each other, then a small network; one norm behind both."""

    def __init__(self, width: int, heads: int, hidden: int, downsample: int = 1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mlp = TwoLayers(width, hidden, smooth=True)
        self.attn = CrossAttention(width, heads, downsample)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D); mask (B, N)."""
        x = self.norm(self.attn(x, x, x, mask) + x)
        return self.norm(self.mlp(x) + x)


class TwoWayLayer(nn.Module):
    """Tokens among themselves, tokens to the image, a small network, the image to the tokens; first: without a residual in the first step."""

    def __init__(self, width: int, heads: int, hidden: int, *, first: bool, downsample: int = 2) -> None:
        super().__init__()
        self.first = first
        self.self_attn = CrossAttention(width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = CrossAttention(width, heads, downsample)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = TwoLayers(width, hidden, smooth=False)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = CrossAttention(width, heads, downsample)

    def forward(self, tokens: Tensor, image: Tensor, token_places: Tensor, image_places: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) and image (B, P, D) with what says their places -> both anew; mask (B, N)."""
        placed = tokens if self.first else tokens + token_places
        among = self.self_attn(placed, placed, tokens, mask)
        tokens = self.norm1(among if self.first else tokens + among)
        seen = self.cross_attn_token_to_image(tokens + token_places, image + image_places, image)
        tokens = self.norm2(tokens + seen)
        tokens = self.norm3(tokens + self.mlp(tokens))
        read = self.cross_attn_image_to_token(image + image_places, tokens + token_places, tokens, mask)
        return tokens, self.norm4(image + read)


class TwoWayTransformer(nn.Module):
    """Layers of `TwoWayLayer`, and a last look of the tokens at the image."""

    def __init__(self, width: int, heads: int = 8, hidden: int = 2048, depth: int = 2, downsample: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(width, heads, hidden, first=index == 0, downsample=downsample) for index in range(depth))
        self.final_attn_token_to_image = CrossAttention(width, heads, downsample)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, image: Tensor, places: Tensor, tokens: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) and image (B, P, D) after all layers; places: of the image's positions, (1, P, D) or (B, P, D); mask (B, N)."""
        found, image = self._layers(image, places, tokens, mask)
        last = self.final_attn_token_to_image(found + tokens, image + places, image)
        return self.norm_final_attn(found + last), image

    def image(self, image: Tensor, places: Tensor, tokens: Tensor) -> Tensor:
        """The image (B, P, D) alone, without the last look of the tokens."""
        return self._layers(image, places, tokens, None)[1]

    def _layers(self, image: Tensor, places: Tensor, tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        found = tokens
        for layer in self.layers:
            found, image = cast(TwoWayLayer, layer)(found, image, tokens, places, mask)
        return found, image


class ChannelNorm(nn.Module):
    """A norm over the channels at each place of a map, with a factor and an offset a channel."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, D, h, w)."""
        return nn.functional.layer_norm(x.movedim(1, -1), (x.shape[1],), self.weight, self.bias, self.eps).movedim(-1, 1)


def neck(width: int, out: int) -> nn.Sequential:
    """From tokens of `width` channels to `out`: 1x1 and 3x3 convolutions without biases, a norm behind each."""
    return nn.Sequential(nn.Conv2d(width, out, 1, bias=False), ChannelNorm(out), nn.Conv2d(out, out, 3, padding=1, bias=False), ChannelNorm(out))
