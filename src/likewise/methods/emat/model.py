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

from likewise.layers.correlation import hidden_tokens
from likewise.layers.correlation_transformer import (
    GROUPS,
    FeedForward,
    PairSupport,
    aggregation,
    attended,
    class_decoder,
    class_logits,
    clearest,
    mask_decoder,
    mask_logits,
    two_layers,
)

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


class Layer(nn.Module):
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


class Learner(nn.Module, PyTorchModelHubMixin):
    """The part of EMAT that is trained: correlations of a query with support images in, class and mask logits out.

    channels: layers times heads of the backbone (12 * 6 = 72 for ViT-S); side: of the square of support tokens; pools: of the pooling
    in each layer, 0 for none, which with the halving in each layer must bring that square to one token; class_token: with the class token
    of the support and a classification head (86,020 numbers as published), or without both (74,098), which is the variant for
    segmentation alone. Saved and loaded by `save_pretrained` and `from_pretrained`.
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
        self.channels, self.side, self.class_token = channels, side, class_token
        last = widths[-1]
        self.linear = two_layers(last)
        if class_token:
            self.decoder1_cls, self.decoder2_cls = class_decoder(last)
        self.decoder1_seg, self.decoder2_seg = mask_decoder(last)
        ins = (channels, *widths[:-1])
        self.corrtransformer = nn.ModuleList(Layer(*sizes, class_token=class_token) for sizes in zip(ins, widths, pools, strict=True))

    @property
    def tokens(self) -> int:
        """The support tokens of an image: the square, and the class token where there is one."""
        return self.side**2 + int(self.class_token)

    def hidden(self, masks: Tensor) -> tuple[Tensor, ...]:
        """Which support tokens lie outside masks (X, H, W), for each layer of the transformer; see `hidden_tokens`."""
        return tuple(hidden_tokens(masks, side) for side in self.sides[:-1])

    def forward(self, correlations: Tensor, hidden: tuple[Tensor, ...], grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Class logits (X, 2) and mask logits (X, 2, 2h, 2w) of correlations (X, C, h*w, S); index 1 is "it is there".

        Raises ValueError for correlations of another number of channels or support tokens.
        """
        if correlations.shape[1] != self.channels or correlations.shape[3] != self.tokens:
            raise ValueError(f"correlations {tuple(correlations.shape)} are not (X, {self.channels}, Q, {self.tokens})")
        for layer, outside in zip(self.corrtransformer, hidden, strict=True):
            correlations = layer(correlations, outside)
        return self.heads(self.linear(correlations), grid)

    def pairs(self, query: Tensor, support: PairSupport, grid: tuple[int, int], tile: int = 128) -> tuple[Tensor, Tensor]:
        """What `forward` says of `correlation(query, support.tokens)`, within rounding: query (X, L, A, h*w, d) of length 1.

        tile: query tokens that the first layer takes at a time; memory grows with it, the answer does not change.
        """
        first, *rest = self.corrtransformer
        assert isinstance(first, Layer)
        x = first.pairs(query, support.tokens, support.hidden[0], tile)
        for layer, outside in zip(rest, support.hidden[1:], strict=True):
            x = layer(x, outside)
        return self.heads(self.linear(x), grid)

    def heads(self, tokens: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Class logits (X, 2) and mask logits (X, 2, 2h, 2w) of tokens (X, C, h*w, 1 or 2): the class token, then the image's.

        Without a class token the class logits are those of the pixel that is foreground most clearly, which is ours: that variant is
        published for classes that are there.
        """
        maps = tokens.reshape(*tokens.shape[:2], *grid, -1)
        logits = mask_logits((self.decoder1_seg, self.decoder2_seg), maps[..., -1])
        classes = class_logits((self.decoder1_cls, self.decoder2_cls), maps[..., 0]) if self.class_token else clearest(logits)
        return classes, logits


def untrained(channels: int = 72, side: int = SIDE, pools: Sequence[int] = POOLS, *, class_token: bool = True, seed: int = 0) -> Learner:
    """A learner with the initial numbers of a seed; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Learner(channels, side, pools, class_token=class_token).eval()
