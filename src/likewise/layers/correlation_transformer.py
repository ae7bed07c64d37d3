"""What transformers over correlation tokens share: attention within each query token, the layer behind it, the heads.

Sources: Kang et al. 2023 (CST) and its code; EMAT (2025) and its code; the feed-forward layer is also that of ASNet (Kang and
Cho 2022). Letters as in `layers.correlation`: X pairs of a query and a support image, C channels, Q query patches, S support tokens.
All norms are taken over query and support tokens together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from likewise.functional.resize import resize_corners

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


def _heads(x: Tensor) -> Tensor:
    """(X, heads*c, Q, S) -> (X, heads, Q, S, c)."""
    return x.reshape(len(x), ATTENTION_HEADS, -1, *x.shape[2:]).permute(0, 1, 3, 4, 2)
