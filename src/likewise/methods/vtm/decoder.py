"""The label decoder of VTM: four maps of label tokens to one logit a pixel (DPT, Ranftl et al. 2021).

Names of modules are those of the published checkpoints. Three things are done in another order, with the same result and less
work: the 1x1 convolution of a fusion stands before the enlargement and not behind it, since the weights of bilinear
interpolation sum to one; both convolutions behind an enlargement in the head go by `functional.enlarged`; other 3x3
convolutions of some size, once they are frozen, by `functional.winograd`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from likewise.functional import winograd
from likewise.functional.enlarged import enlarged_convolved
from likewise.functional.resize import resize_corners

HEAD_WIDTH = 32


class Conv3(nn.Conv2d):
    """A 3x3 convolution with zeros around."""

    def __init__(self, width: int, out: int, *, bias: bool = True) -> None:
        super().__init__(width, out, 3, padding=1, bias=bias)
        self._kept: tuple[tuple[int, int], Tensor] | None = None  # kernels as `winograd` takes them, and of which numbers

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, D, h, w)."""
        return winograd.convolved(input, self._transformed(), self.bias) if winograd.pays(input, self.weight) else super().forward(input)

    def enlarged(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps (B, C, h, w), first enlarged: (B, D, *size)."""
        assert self.bias is not None
        return enlarged_convolved(x, self.weight, self.bias, size)

    def _transformed(self) -> Tensor:
        now = (self.weight.data_ptr(), self.weight._version)
        if self._kept is None or self._kept[0] != now:
            with torch.inference_mode(False), torch.no_grad():
                self._kept = (now, winograd.transformed(self.weight))
        return self._kept[1]


class ResidualConvUnit(nn.Module):
    """Two 3x3 convolutions behind ReLUs, added to what comes in before the first ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Conv3(width, width)
        self.conv2 = Conv3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, h, w) -> (B, F, h, w)."""
        return x + self.conv2(relu(self.conv1(relu(x))))


class Fusion(nn.Module):
    """The map from the deeper level and this level's own to one of the next size; deepest: there is no map from below."""

    def __init__(self, width: int, *, deepest: bool) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(width, width, 1)
        if not deepest:  # official: the deepest level has this unit too and never uses it
            self.resConfUnit1 = ResidualConvUnit(width)
        self.resConfUnit2 = ResidualConvUnit(width)

    def forward(self, below: Tensor | None, own: Tensor) -> Tensor:
        """Maps below and own (B, F, h, w) -> (B, F, h, w), still to be enlarged."""
        joined = own if below is None else below + self.resConfUnit1(own)
        return self.out_conv(self.resConfUnit2(joined))


class Decoder(nn.Module):
    """Four levels of label tokens (Z, h, w) to logits (16h, 16w).

    widths: of the four reassembled maps; fused: width of all fusions. Official: (96, 192, 384, 768) and 256.
    """

    def __init__(self, label_width: int, widths: tuple[int, int, int, int], fused: int) -> None:
        super().__init__()
        one, two, three, four = widths
        self.act_postprocess1 = nn.Sequential(nn.Conv2d(label_width, one, 1), nn.ConvTranspose2d(one, one, 4, 4))
        self.act_postprocess2 = nn.Sequential(nn.Conv2d(label_width, two, 1), nn.ConvTranspose2d(two, two, 2, 2))
        self.act_postprocess3 = nn.Sequential(nn.Conv2d(label_width, three, 1))
        self.act_postprocess4 = nn.Sequential(nn.Conv2d(label_width, four, 1), nn.Conv2d(four, four, 3, 2, 1))
        for level, width in enumerate(widths, start=1):
            self.add_module(f"layer{level}_rn", Conv3(width, fused, bias=False))
            self.add_module(f"refinenet{level}", Fusion(fused, deepest=level == 4))
        half = fused // 2
        # 1 and 3 hold the enlargement and the ReLU, as in the checkpoints
        self.output_conv = nn.Sequential(Conv3(fused, half), nn.Identity(), Conv3(half, HEAD_WIDTH), nn.ReLU(), nn.Conv2d(HEAD_WIDTH, 1, 1))

    def reassembled(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """The maps of four sizes, 4h, 2h, h and h/2, of four token maps (B, Z, h, w)."""
        return [self.get_submodule(f"act_postprocess{level}")(tokens) for level, tokens in enumerate(levels, start=1)]

    def fusions(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The fused maps of the four levels, the first the largest: (B, F, 8h, 8w) and its halves."""
        found = self._fused(maps)
        height, width = _size(found[0])
        sizes = [(2 * height, 2 * width), *map(_size, found[:-1])]
        return [resize_corners(plane, size) for plane, size in zip(found, sizes, strict=True)]

    def _fused(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The same before they are enlarged."""
        own = [self.get_submodule(f"layer{level}_rn")(plane) for level, plane in enumerate(maps, start=1)]
        found: list[Tensor] = []
        for level in (4, 3, 2, 1):
            below = resize_corners(found[0], _size(own[level - 1])) if found else None  # official: align_corners=True
            found.insert(0, self.get_submodule(f"refinenet{level}")(below, own[level - 1]))
        return found

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Logits (B, 16h, 16w) of four maps of label tokens (B, Z, h, w), the shallowest first."""
        x = self._fused(self.reassembled(levels))[0]
        first, _, second, rest, last = self.output_conv
        for module in (first, second):
            assert isinstance(module, Conv3)
            height, width = _size(x)
            x = module.enlarged(x, (2 * height, 2 * width))
        return last(rest(x))[:, 0]


def _size(maps: Tensor) -> tuple[int, int]:
    return maps.shape[-2], maps.shape[-1]
