"""The learner of EMAT: a lean transformer over correlation tokens and two heads, with the official names of its tensors.

Source: EMAT (GCPR 2025, arXiv 2507.23642) and its code. It is the learner of CST with fewer channels and more support tokens, whose
square learned convolutions shrink before anything is averaged. Letters as in `layers.correlation`.

`Learner.forward` takes the whole correlation tensor, as published. `Learner.pairs` gives the same from unit tokens without ever
making that tensor, which is 289 MB for one pair at 700 pixels: the first layer's convolutions see one query token at a time, so a
slice of the query is correlated, shrunk and attended before the next one; keys and values are made only of support tokens under
the mask. Norms are taken over all query tokens, once the slices are joined.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d

from likewise.layers.correlation_transformer import GROUPS, CorrelationLayer, CorrelationTransformer, FeedForward, aggregation, attended

SIDE, POOLS, WIDTHS = 20, (0, 5), (64, 32)


class Downscale(nn.Module):
    """The square of support tokens at half its side by a convolution, averaged pool by pool behind it; the class token by a convolution of its own."""

    def __init__(self, inside: int, outside: int, pool: int, *, bias: bool, class_token: bool) -> None:
        super().__init__()
        self.pool = pool
        if class_token:
            self.q_cls = nn.Conv2d(inside, outside, 1, bias=bias)
        self.q_seg = nn.Conv3d(inside, outside, (1, 2, 2), (1, 2, 2), bias=bias)

    def forward(self, first: Tensor | None, square: Tensor) -> Tensor:
        """Class token (X, C, Q, 1) and square (X, C, Q, s, s) -> (X, out, Q, S'), the class token first where there is one."""
        small: Tensor = self.q_seg(square)
        if self.pool:
            small = avg_pool2d(small.flatten(1, 2), self.pool).reshape(*small.shape[:3], small.shape[3] // self.pool, -1)
        return small.flatten(3) if first is None else torch.cat([self.q_cls(first), small.flatten(3)], dim=-1)


class Attention(nn.Module):
    """Attention over the support tokens under the mask, of each query token; its queries shrunk, its short cut too."""

    def __init__(self, inside: int, outside: int, pool: int, *, class_token: bool) -> None:
        super().__init__()
        hidden = outside // 2
        self.short_cut = nn.Sequential(Downscale(inside, outside, pool, bias=False, class_token=class_token), nn.GroupNorm(GROUPS, outside), nn.ReLU())
        self.q = Downscale(inside, hidden, pool, bias=True, class_token=class_token)
        self.kv = nn.Conv2d(inside, 2 * hidden, 1)
        self.agg = aggregation(hidden, outside)
        self.out_norm = nn.GroupNorm(GROUPS, outside)

    def mix(self, first: Tensor | None, square: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The short cut before its norm (X, out, Q, S') and values averaged by attention (X, h, Q, S').

        first (X, C, Q, 1) is the class token, which is never hidden, square (X, C, Q, s, s) the others; hidden (X, s*s). Every query token is
        apart from the others here. Without a class token the values of a pair whose tokens are all hidden are 0.
        """
        shrunk, q = self.short_cut[0](first, square), self.q(first, square)
        kept = torch.nonzero(~hidden.all(dim=0)).flatten()
        visible = [square.flatten(3) if len(kept) == hidden.shape[1] else square.flatten(3).index_select(3, kept)]
        tokens = torch.cat(visible if first is None else [first, *visible], dim=3)
        if not tokens.shape[3]:
            return shrunk, torch.zeros_like(q)
        k, v = conv2d(tokens, self.kv.weight, self.kv.bias).chunk(2, dim=1)
        outside = hidden[:, kept]
        if first is None:
            return shrunk, attended(q, k, v, outside) * ~hidden.all(dim=1)[:, None, None, None]
        return shrunk, attended(q, k, v, torch.cat([hidden.new_zeros(len(hidden), 1), outside], dim=1))

    def join(self, shrunk: Tensor, mixed: Tensor) -> Tensor:
        """Both parts of `mix` added: (X, out, Q, S')."""
        _, norm, relu = self.short_cut
        found: Tensor = self.out_norm(self.agg(mixed) + relu(norm(shrunk)))
        return found


class Layer(CorrelationLayer):
    """One layer of the correlation transformer."""

    def __init__(self, inside: int, outside: int, pool: int, *, class_token: bool) -> None:
        super().__init__()
        self.class_token = class_token
        self.attn = Attention(inside, outside, pool, class_token=class_token)
        self.ff = FeedForward(outside)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """(X, C, Q, S), hidden (X, s*s) -> (X, out, Q, S')."""
        first, rest = (x[..., :1], x[..., 1:]) if self.class_token else (None, x)
        side = math.isqrt(rest.shape[-1])
        found: Tensor = self.ff(self.attn.join(*self.attn.mix(first, rest.reshape(*rest.shape[:-1], side, side), hidden)))
        return found

    def pairs(self, query: Tensor, support: Tensor, hidden: Tensor, tile: int) -> Tensor:
        """What `forward` says of `correlation(query, support)`, `tile` query tokens at a time; gradients included."""
        mine, theirs = (tokens.transpose(1, 2).flatten(1, 2) for tokens in (query, support))  # first the channels in order: nothing large is moved
        parts = mine.chunk(-(-mine.shape[-2] // tile), dim=-2)
        shrunk, mixed = (torch.cat(found, dim=2) for found in zip(*(self._slice(part, theirs, hidden) for part in parts), strict=True))
        found: Tensor = self.ff(self.attn.join(shrunk, mixed))
        return found

    def _slice(self, query: Tensor, support: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """`Attention.mix` of some query tokens (X, C, Q, d) and all support tokens (X, C, S, d)."""
        first = query @ support[:, :, :1].transpose(-1, -2) if self.class_token else None
        rest = support[:, :, 1:] if self.class_token else support
        side = math.isqrt(rest.shape[2])
        square = query @ rest.transpose(-1, -2)
        return self.attn.mix(first, square.reshape(*square.shape[:-1], side, side), hidden)


class Learner(CorrelationTransformer, PyTorchModelHubMixin):
    """The part of EMAT that is trained: correlations of a query with support images in, class and mask logits out.

    channels: layers times heads of the backbone (12 * 6 = 72 for ViT-S); side: of the square of support tokens; pools: of the pooling
    in each layer, 0 for none, which with the halving in each layer must bring that square to one token; class_token: with the class token
    of the support and a classification head (86,020 numbers as published), or without both (74,098), which is the variant for
    segmentation alone, published for classes that are there: its class logits are ours. Saved and loaded by `save_pretrained` and `from_pretrained`.
    Raises ValueError where halving and pooling do not bring the square to one.
    """

    def __init__(
        self,
        channels: int = 72,
        side: int = SIDE,
        pools: Sequence[int] = POOLS,
        widths: Sequence[int] = WIDTHS,
        class_token: bool = True,
    ) -> None:
        super().__init__()
        self.sides = [side]
        for pool in pools:
            self.sides.append(self.sides[-1] // 2 // max(pool, 1))
        if self.sides[-1] != 1 or len(pools) != len(widths):
            raise ValueError(f"halving and pooling by {tuple(pools)} in {len(widths)} layers does not bring a square of {side}x{side} tokens to one")
        self.channels, self.class_token = channels, class_token
        self._add_heads(widths[-1], classes=class_token)
        ins = (channels, *widths[:-1])
        self.corrtransformer = nn.ModuleList(Layer(*sizes, class_token=class_token) for sizes in zip(ins, widths, pools, strict=True))


def untrained(channels: int = 72, side: int = SIDE, pools: Sequence[int] = POOLS, *, class_token: bool = True, seed: int = 0) -> Learner:
    """A learner with the initial numbers of a seed; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Learner(channels, side, pools, class_token=class_token).eval()
