"""The learner of CST: a transformer over correlation tokens and two heads, with the official names of its tensors.

Source: Kang et al. 2023, section 3.1, and its code; where they differ, the code counts (two more layers behind the
transformer, four convolutions and a pooling in the classification head). Letters as in `layers.correlation`.

`Learner.forward` takes the whole correlation tensor, as published. `Learner.pairs` gives the same from unit tokens
without ever making that tensor: pooling commutes with 1x1 convolutions and with the product of query and support, so
the queries of the first layer need the support pooled to 1 + 3x3 tokens; its keys and values are made for a slice of
the query at a time, and only of support tokens under the mask, since hidden ones get no weight.
"""

from __future__ import annotations

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.nn.functional import conv2d

from likewise.layers.correlation import correlation, pool_square
from likewise.layers.correlation_transformer import GROUPS, CorrelationLayer, CorrelationTransformer, FeedForward, PairSupport, aggregation, attended

__all__ = ["Learner", "PairSupport", "untrained"]


class PoolSquare(nn.Module):
    """`pool_square` as a module."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        """(X, C, Q, S) -> (X, C, Q, S')."""
        return pool_square(x, self.kernel)


class Attention(nn.Module):
    """Attention over the support tokens of each query token, its queries pooled, its short cut too."""

    def __init__(self, inside: int, outside: int, kernel: int) -> None:
        super().__init__()
        hidden = outside // 2
        self.kernel = kernel
        self.short_cut = nn.Sequential(nn.Conv2d(inside, outside, 1, bias=False), PoolSquare(kernel), nn.GroupNorm(GROUPS, outside), nn.ReLU())
        self.qkv = nn.Conv2d(inside, 3 * hidden, 1)
        self.agg = aggregation(hidden, outside)
        self.out_norm = nn.GroupNorm(GROUPS, outside)

    def mix(self, pooled: Tensor, full: Tensor, hidden: Tensor) -> Tensor:
        """Values averaged by attention: pooled (X, C, Q, S'), full (X, C, Q, S), hidden (X, S-1) -> (X, h, Q, S').

        Every query token is apart from the others here. There is no factor on the products; the first of the support
        tokens is never hidden.
        """
        assert self.qkv.bias is not None
        width = self.qkv.out_channels // 3
        q = conv2d(pooled, self.qkv.weight[:width], self.qkv.bias[:width])
        k, v = conv2d(full, self.qkv.weight[width:], self.qkv.bias[width:]).chunk(2, dim=1)
        return attended(q, k, v, torch.cat([hidden.new_zeros(len(hidden), 1), hidden], dim=1))

    def join(self, pooled: Tensor, mixed: Tensor) -> Tensor:
        """The short cut of pooled (X, C, Q, S') and mixed values (X, h, Q, S') added: (X, out, Q, S').

        All norms are taken over the query and support tokens together.
        """
        convolution, _, norm, relu = self.short_cut
        return self.out_norm(self.agg(mixed) + relu(norm(convolution(pooled))))


class Layer(CorrelationLayer):
    """One layer of the correlation transformer."""

    def __init__(self, inside: int, outside: int, kernel: int) -> None:
        super().__init__()
        self.attn = Attention(inside, outside, kernel)
        self.ff = FeedForward(outside)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """(X, C, Q, 1 + s*s), hidden (X, s*s) -> (X, out, Q, 1 + (s // kernel)**2)."""
        pooled = pool_square(x, self.attn.kernel)
        return self.ff(self.attn.join(pooled, self.attn.mix(pooled, x, hidden)))

    def pairs(self, query: Tensor, support: Tensor, hidden: Tensor, tile: int) -> Tensor:
        """What `forward` says of `correlation(query, support)`, `tile` query tokens at a time; gradients included."""
        small = pool_square(support.transpose(-1, -2), self.attn.kernel).transpose(-1, -2)
        kept, outside = _without_hidden(support, hidden)
        pooled, mixed = [], []
        for part in query.chunk(-(-query.shape[-2] // tile), dim=-2):
            pooled.append(correlation(part, small))
            mixed.append(self.attn.mix(pooled[-1], correlation(part, kept), outside))
        return self.ff(self.attn.join(torch.cat(pooled, dim=2), torch.cat(mixed, dim=2)))


class Learner(CorrelationTransformer, PyTorchModelHubMixin):
    """The part of CST that is trained: correlations of a query with support images in, class and mask logits out.

    channels: layers times heads of the backbone (12 * 6 = 72 for ViT-S); side: of the square of support tokens; kernels:
    of the pooling in each layer, which must bring that square to one token; coupled: without a classification head
    (table 7 of the paper). 366,004 numbers as published. Saved and loaded by `save_pretrained` and `from_pretrained`.
    Raises ValueError where the kernels do not bring the square to one token.
    """

    class_token = True

    def __init__(
        self, channels: int = 72, side: int = 12, kernels: tuple[int, ...] = (4, 3), widths: tuple[int, ...] = (32, 128), coupled: bool = False
    ) -> None:
        super().__init__()
        self.sides = [side]
        for kernel in kernels:
            self.sides.append(self.sides[-1] // kernel)
        if self.sides[-1] != 1 or len(kernels) != len(widths):
            raise ValueError(f"pooling by {tuple(kernels)} in {len(widths)} layers does not bring a square of {side}x{side} tokens to one")
        self.channels, self.coupled = channels, coupled
        ins = (channels, *widths[:-1])
        self.corrtransformer = nn.ModuleList(Layer(*sizes) for sizes in zip(ins, widths, kernels, strict=True))
        self._add_heads(widths[-1], classes=not coupled)


def untrained(channels: int = 72, side: int = 12, kernels: tuple[int, ...] = (4, 3), *, coupled: bool = False, seed: int = 0) -> Learner:
    """A learner with the initial numbers of a seed; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Learner(channels, side, kernels, coupled=coupled).eval()


def _without_hidden(support: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Support tokens (X, L, A, S, d) without those hidden in every pair, and what of the rest is hidden (X, S'-1)."""
    kept = torch.nonzero(~hidden.all(dim=0)).flatten()
    return support.index_select(3, torch.cat([kept.new_zeros(1), kept + 1])), hidden[:, kept]
