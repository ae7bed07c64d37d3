"""What transformers over correlation tokens share: attention within each query token, the layer behind it, the heads.

Sources: Kang et al. 2023 (CST) and its code; EMAT (2025) and its code; the feed-forward layer is also that of ASNet (Kang and
Cho 2022). Letters as in `layers.correlation`: X pairs of a query and a support image, C channels, Q query patches, S support tokens.
All norms are taken over query and support tokens together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from likewise.functional.resize import resize_corners
from likewise.layers.correlation import hidden_tokens

GROUPS, ATTENTION_HEADS = 4, 8
_HIDDEN = -1e9  # a logit that softmax turns into exactly 0


@dataclass(frozen=True)
class PairSupport:
    """The support side of X pairs.

    tokens: (X, L, A, S, d) of length 1, the class token first where there is one; hidden: for each layer of the transformer the
    tokens without the class token that lie outside the mask, (X, s*s) bool.
    """

    tokens: Tensor
    hidden: tuple[Tensor, ...]


class FeedForward(nn.Module):
    """Two layers with a residual and a norm behind."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ff = nn.Sequential(
            nn.Conv2d(width, width // 2, 1, bias=False), nn.GroupNorm(GROUPS, width // 2), nn.ReLU(), nn.Conv2d(width // 2, width, 1, bias=False)
        )
        self.out_norm = nn.GroupNorm(GROUPS, width)

    def forward(self, x: Tensor) -> Tensor:
        """(X, C, Q, S) -> (X, C, Q, S)."""
        return self.out_norm(x + self.ff(x))


def aggregation(hidden: int, outside: int) -> nn.Sequential:
    """What brings mixed values to the width of a layer: (X, hidden, Q, S) -> (X, outside, Q, S)."""
    return nn.Sequential(nn.GroupNorm(GROUPS, hidden), nn.ReLU(), nn.Conv2d(hidden, outside, 1, bias=False), nn.GroupNorm(GROUPS, outside), nn.ReLU())


def attended(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor) -> Tensor:
    """Values averaged by attention: q (X, h, Q, S'), k and v (X, h, Q, S), hidden (X, S) bool -> (X, h, Q, S').

    Every query token is apart from the others here. There is no factor on the products; a hidden token has no weight, as long as
    there is another one.
    """
    queries, keys, values = (_heads(part) for part in (q, k, v))
    logits = queries @ keys.transpose(-1, -2)
    if bool(hidden.any()):
        logits = logits.masked_fill(hidden[:, None, None, None], _HIDDEN)
    return (torch.softmax(logits, dim=-1) @ values).permute(0, 1, 4, 2, 3).flatten(1, 2)


def two_layers(width: int) -> nn.Sequential:
    """The layers between transformer and heads."""
    return nn.Sequential(nn.Conv2d(width, width, 1), nn.GroupNorm(GROUPS, width), nn.ReLU(), nn.Conv2d(width, width, 1), nn.GroupNorm(GROUPS, width), nn.ReLU())


def class_decoder(width: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The head that says whether a class is there, before and after the pooling of `class_logits`."""
    half = width // 2
    before = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, half, 1), nn.ReLU())
    return before, nn.Sequential(nn.Conv2d(half, half, 1), nn.ReLU(), nn.Conv2d(half, 2, 1))


def mask_decoder(width: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The head that says where a class is, before and after the enlargement of `mask_logits`."""
    half = width // 2
    before = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, half, 3, padding=1), nn.ReLU())
    return before, nn.Sequential(nn.Conv2d(half, half, 3, padding=1), nn.ReLU(), nn.Conv2d(half, 2, 3, padding=1))


def class_logits(decoder: tuple[nn.Module, nn.Module], tokens: Tensor) -> Tensor:
    """Maps (X, C, h, w) of the class token -> (X, 2); index 1 is "it is there"."""
    pooled = avg_pool2d(decoder[0](tokens), 3, stride=2, padding=1)  # official: the padding counts in the mean
    found: Tensor = decoder[1](pooled).mean(dim=(2, 3))
    return found


def mask_logits(decoder: tuple[nn.Module, nn.Module], tokens: Tensor) -> Tensor:
    """Maps (X, C, h, w) of the image's token -> (X, 2, 2h, 2w); index 1 is "it is there"."""
    height, width = tokens.shape[-2:]
    found: Tensor = decoder[1](resize_corners(decoder[0](tokens), (2 * height, 2 * width)))
    return found


def clearest(logits: Tensor) -> Tensor:
    """The logits of the pixel that is foreground most clearly: (X, 2, H, W) -> (X, 2); a class is there if any pixel is."""
    flat = logits.flatten(2)
    place = (flat[:, 1] - flat[:, 0]).argmax(dim=1)
    return flat[torch.arange(len(flat), device=flat.device), :, place]


class CorrelationLayer(nn.Module, ABC):
    """One layer of a learner; the first one is asked by `pairs`."""

    @abstractmethod
    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """(X, C, Q, S), hidden (X, s*s) -> (X, out, Q, S'), of fewer support tokens."""

    @abstractmethod
    def pairs(self, query: Tensor, support: Tensor, hidden: Tensor, tile: int) -> Tensor:
        """What `forward` says of `correlation(query, support)`, `tile` query tokens at a time; gradients included."""


class CorrelationTransformer(nn.Module):
    """The frame of a learner: layers that shrink the square of support tokens to one token, and the heads.

    channels: maps of correlations it reads; sides: of the square of support tokens before the first layer and behind each; class_token: whether a class
    token comes before the square; corrtransformer: its layers, each a `CorrelationLayer`; linear: what is between them and the heads.
    """

    channels: int
    sides: Sequence[int]
    class_token: bool
    corrtransformer: nn.ModuleList
    linear: nn.Module

    @property
    def side(self) -> int:
        """Of the square of support tokens that it reads."""
        return self.sides[0]

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
        assert isinstance(first, CorrelationLayer)
        x = first.pairs(query, support.tokens, support.hidden[0], tile)
        for layer, outside in zip(rest, support.hidden[1:], strict=True):
            x = layer(x, outside)
        return self.heads(self.linear(x), grid)

    def heads(self, tokens: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Class logits (X, 2) and mask logits (X, 2, 2h, 2w) of tokens (X, C, h*w, 1 or 2): the class token, then the image's.

        Without a classification head the class logits are those of the pixel that is foreground most clearly, so that a class is there if any pixel is.
        """
        maps = tokens.reshape(*tokens.shape[:2], *grid, -1)
        logits = mask_logits((self.decoder1_seg, self.decoder2_seg), maps[..., -1])
        if not hasattr(self, "decoder1_cls"):
            return clearest(logits), logits
        return class_logits((self.decoder1_cls, self.decoder2_cls), maps[..., 0]), logits

    def _add_heads(self, width: int, *, classes: bool) -> None:
        """The layers before the heads and the heads, that of masks and, if `classes`, that which says whether a class is there."""
        self.linear = two_layers(width)
        if classes:
            self.decoder1_cls, self.decoder2_cls = class_decoder(width)
        self.decoder1_seg, self.decoder2_seg = mask_decoder(width)


def _heads(x: Tensor) -> Tensor:
    """(X, heads*c, Q, S) -> (X, heads, Q, S, c)."""
    return x.reshape(len(x), ATTENTION_HEADS, -1, *x.shape[2:]).permute(0, 1, 3, 4, 2)
