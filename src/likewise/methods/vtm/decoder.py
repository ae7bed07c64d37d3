"""The label decoder of VTM: four maps of label tokens to one logit a pixel (DPT, Ranftl et al. 2021).

Names of modules are those of the published checkpoints. The 1x1 convolution of a fusion is taken before the enlargement
and not behind it, which is the same because the weights of bilinear interpolation sum to one, and a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import relu

from likewise.functional.resize import resize_corners

HEAD_WIDTH = 32


class ResidualConvUnit(nn.Module):
    """Two 3x3 convolutions behind ReLUs, added to what comes in before the first ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

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

    def forward(self, below: Tensor | None, own: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps below and own (B, F, h, w) -> (B, F, *size); official: align_corners=True."""
        joined = own if below is None else below + self.resConfUnit1(own)
        return resize_corners(self.out_conv(self.resConfUnit2(joined)), size)


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
            self.add_module(f"layer{level}_rn", nn.Conv2d(width, fused, 3, padding=1, bias=False))
            self.add_module(f"refinenet{level}", Fusion(fused, deepest=level == 4))
        half = fused // 2
        # 1 and 3 hold the enlargement and the ReLU, as in the checkpoints
        self.output_conv = nn.Sequential(
            nn.Conv2d(fused, half, 3, padding=1), nn.Identity(), nn.Conv2d(half, HEAD_WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(HEAD_WIDTH, 1, 1)
        )

    def reassembled(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """The maps of four sizes, 4h, 2h, h and h/2, of four token maps (B, Z, h, w)."""
        return [self.get_submodule(f"act_postprocess{level}")(tokens) for level, tokens in enumerate(levels, start=1)]

    def fusions(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The fused maps of the four levels, the first the largest: (B, F, 8h, 8w) and its halves."""
        own = [self.get_submodule(f"layer{level}_rn")(plane) for level, plane in enumerate(maps, start=1)]
        found: list[Tensor] = []
        for level in (4, 3, 2, 1):
            above = own[level - 2].shape if level > 1 else None
            rows, columns = own[0].shape[-2] * 2, own[0].shape[-1] * 2
            size = (rows, columns) if above is None else (above[-2], above[-1])
            found.insert(0, self.get_submodule(f"refinenet{level}")(found[0] if found else None, own[level - 1], size))
        return found

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Logits (B, 16h, 16w) of four maps of label tokens (B, Z, h, w), the shallowest first."""
        fused = self.fusions(self.reassembled(levels))[0]
        first, _, *rest = self.output_conv
        x = first(fused)
        x = resize_corners(x, (2 * x.shape[-2], 2 * x.shape[-1]))
        for module in rest:
            x = module(x)
        return x[:, 0]
