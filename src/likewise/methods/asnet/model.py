"""The learner of ASNet: attentive squeeze layers over the support's axes of a pyramid of correlations; official names of its tensors.

Source: Kang and Cho 2022, section 4, and its code. Letters: X pairs, C channels, Q = h*w places of the query, s t of the support.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from likewise.functional.resize import resize_corners
from likewise.layers.correlation_pyramid import PyramidLearner, resize_query
from likewise.layers.correlation_transformer import ATTENTION_HEADS, GROUPS, attended, mask_decoder, mask_logits

WIDTHS = (32, 128)
LEVELS = ("layer4", "layer3", "layer2")  # names of the blocks, deepest first


@dataclass(frozen=True)
class Squeeze:
    """Kernel and stride of a layer over the support, and whether keys and values are made by such convolutions too."""

    kernel: int
    stride: int
    pooled: bool = False

    @property
    def padding(self) -> int:
        """Published: half of the kernel, none for small ones."""
        return self.kernel // 2 if self.kernel > 2 else 0


DEEP = (Squeeze(5, 4), Squeeze(3, 2))  # of a support of 13 x 13 places
WIDE = (Squeeze(5, 4, pooled=True), Squeeze(5, 4, pooled=True))  # of one of 25 x 25
MIX = (Squeeze(1, 1), Squeeze(2, 1))  # of levels added to each other


def layers_for(side: int) -> tuple[Squeeze, ...]:
    """The layers of a level whose support has so many rows: as published for 13 and 25. ValueError outside 9 to 32.

    >>> layers_for(20) == WIDE
    True
    """
    if not 9 <= side <= 32:
        raise ValueError(f"a support of {side}x{side} places cannot be squeezed to 2x2, 9 to 32 can")
    return DEEP if side <= 16 else WIDE


class Attention(nn.Module):
    """Attention over the support of each place of the query, its queries squeezed, its short cut too."""

    def __init__(self, inside: int, outside: int, squeeze: Squeeze) -> None:
        super().__init__()
        hidden = outside // 2
        keys = squeeze if squeeze.pooled else Squeeze(1, 1)
        same = inside == outside and squeeze.kernel == 1 and squeeze.stride == 1
        self.short_cut: nn.Module = (
            nn.Identity() if same else nn.Sequential(_squeezing(inside, outside, squeeze, bias=False), nn.GroupNorm(GROUPS, outside), nn.ReLU())
        )
        self.qhead = _squeezing(inside, hidden, squeeze)
        self.khead = _squeezing(inside, hidden, keys)
        self.vhead = _squeezing(inside, hidden, keys)
        self.agg = nn.Sequential(nn.GroupNorm(GROUPS, hidden), nn.ReLU(), nn.Conv3d(hidden, outside, 1, bias=False), nn.GroupNorm(GROUPS, outside), nn.ReLU())
        self.out_norm = nn.GroupNorm(GROUPS, outside)

    def forward(self, x: Tensor, masks: Tensor | None) -> Tensor:
        """(X, C, Q, s, t), masks (X, H, W) or None for none -> (X, C', Q, s', t'). Under a mask without area all keys count alike."""
        q, k, v = self.qhead(x), self.khead(x), self.vhead(x)
        if masks is None:
            hidden = torch.zeros(len(x), k[0, 0, 0].numel(), dtype=torch.bool, device=x.device)
        else:
            hidden = resize_corners(masks.float(), (k.shape[-2], k.shape[-1])).flatten(1) == 0
        mixed = attended(q.flatten(3), k.flatten(3), v.flatten(3), hidden).reshape(q.shape)
        return self.out_norm(self.agg(mixed) + self.short_cut(x))


class FeedForward(nn.Module):
    """Two layers with a residual and a norm behind: that of CST, over both axes of the support, as its tensors have them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.ff = nn.Sequential(nn.Conv3d(width, half, 1, bias=False), nn.GroupNorm(GROUPS, half), nn.ReLU(), nn.Conv3d(half, width, 1, bias=False))
        self.out_norm = nn.GroupNorm(GROUPS, width)

    def forward(self, x: Tensor) -> Tensor:
        """(X, C, Q, s, t) -> the same."""
        return self.out_norm(x + self.ff(x))


class SqueezeLayer(nn.Module):
    """One attentive squeeze layer."""

    def __init__(self, inside: int, outside: int, squeeze: Squeeze) -> None:
        super().__init__()
        self.attn = Attention(inside, outside, squeeze)
        self.ff = FeedForward(outside)

    def forward(self, x: Tensor, masks: Tensor | None) -> Tensor:
        """(X, C, Q, s, t) -> (X, C', Q, s', t')."""
        return self.ff(self.attn(x, masks))


class AsnetLearner(PyramidLearner, PyTorchModelHubMixin):
    """The part of ASNet that is trained: correlations of three levels in, logits of background and object out.

    channels: maps of each level, deepest first; pooled: whether the support of a level is wide, so that it is squeezed as the published
    middle and shallow ones are; widths: behind the two layers of each block. 1,320,610 numbers for a ResNet-50, 1,354,610 for a ResNet-101.
    """

    def __init__(self, channels: Sequence[int] = (3, 6, 4), pooled: Sequence[bool] = (False, True, True), widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.channels, self.squeezes, last = tuple(channels), tuple(WIDE if wide else DEEP for wide in pooled), widths[-1]
        for name, count, squeeze in zip(LEVELS, channels, self.squeezes, strict=True):
            self.add_module(f"encoder_{name}", _block((count, *widths), squeeze))
        self.encoder_layer4to3 = _block((last, last, last), MIX)
        self.encoder_layer3to2 = _block((last, last, last), MIX)
        self.decoder1, self.decoder2 = mask_decoder(last)

    def forward(self, pyramid: Sequence[Tensor], masks: Tensor | None = None) -> Tensor:
        """Logits (X, 2, 2h, 2w) of correlations (X, T, h, w, s, t) of three levels, deepest first, and masks (X, H, W), None for none.

        Raises ValueError where a level is not squeezed to 2x2 places of the support.
        """
        deep, middle, shallow = (_squeezed(self.get_submodule(f"encoder_{name}"), x, masks) for name, x in zip(LEVELS, pyramid, strict=True))
        if not deep.shape[4:] == middle.shape[4:] == shallow.shape[4:] == (2, 2):
            raise ValueError(f"the levels are squeezed to {[tuple(x.shape[4:]) for x in (deep, middle, shallow)]} places of the support, not to 2x2")
        x = deep.mean(dim=(4, 5), keepdim=True)
        for block, level in ((self.encoder_layer4to3, middle), (self.encoder_layer3to2, shallow)):
            x = _squeezed(block, resize_query(x, (level.shape[2], level.shape[3])) + level, masks)
        return mask_logits((self.decoder1, self.decoder2), x[..., 0, 0])


def learner_like(tensors: Mapping[str, Tensor]) -> AsnetLearner:
    """A learner without numbers of the sizes of tensors by their names in it; KeyError or ValueError where they do not tell."""
    keys = [tensors[f"encoder_{name}.0.attn.khead.weight"] for name in LEVELS]
    widths = [tensors[f"encoder_layer4.{place}.attn.out_norm.weight"].shape[0] for place in (0, 1)]
    if any(width % (2 * ATTENTION_HEADS) for width in widths):
        raise ValueError(f"it has widths {widths}")
    with torch.device("meta"):
        return AsnetLearner([key.shape[1] for key in keys], [key.shape[-1] > 1 for key in keys], widths)


def untrained(channels: Sequence[int], sides: Sequence[int], seed: int = 0) -> AsnetLearner:
    """A learner for supports of so many rows a level with the initial numbers of a seed; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AsnetLearner(channels, [layers_for(side) is WIDE for side in sides]).eval()


def _block(widths: Sequence[int], layers: Sequence[Squeeze]) -> nn.Sequential:
    return nn.Sequential(*(SqueezeLayer(inside, outside, squeeze) for inside, outside, squeeze in zip(widths, widths[1:], layers, strict=False)))


def _squeezed(block: nn.Module, x: Tensor, masks: Tensor | None) -> Tensor:
    """A block on (X, C, h, w, s, t)."""
    size, flat = x.shape[2:4], x.flatten(2, 3)
    for layer in block.children():
        flat = layer(flat, masks)
    return flat.reshape(*flat.shape[:2], *size, *flat.shape[3:])


def _squeezing(inside: int, outside: int, squeeze: Squeeze, *, bias: bool = True) -> nn.Conv3d:
    """A convolution over the support alone."""
    kernel, stride, padding = squeeze.kernel, squeeze.stride, squeeze.padding
    return nn.Conv3d(inside, outside, (1, kernel, kernel), (1, stride, stride), (0, padding, padding), bias=bias)
