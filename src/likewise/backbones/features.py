"""What methods ask of a backbone, and what they get."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from likewise.functional.debiasing import without_positions


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """A wish for features of a frozen backbone.

    layers: outputs of these blocks, counted from 0 or from the end (-1), each passed through the final norm; () for all;
    side: the working size, as the side of a square of the same area; squash: make every image exactly `side` square,
    by PIL's bilinear filter, as some published methods do; pad: make the longer side `side` instead, by the same filter, and fill
    the square with zeros behind the normalisation; qk: also queries and keys of the last block; step: grids are multiples of it;
    pixels: also the picture itself, its longer side at most this many pixels (under 256 enlarged to that), 0: not;
    copy: 0 for the picture as it is, k > 0 for the k-th altered copy (`backbones.alter`), for learning only;
    tile: the largest side of a square of the same area that goes through the network at once, 0: no limit; a larger
    `side` is cut into overlapping tiles (`backbones.tiles`);
    backbone: the name of another network than the task's own, "" for that, None for none: the view itself is the answer, as
    `pixels`, for methods that run networks themselves; short, with None alone: how far a picture may be from a square to become
    one of `side` pixels, others keep their shape with a shorter side of that many (with squash no others are left; with pad the
    longer side has that many, and nothing is filled);
    debias: also the directions in which tokens say where they stand (`functional.debiasing`), as many as this share of the width, 0: not.
    """

    layers: tuple[int, ...] = (-1,)
    side: int = 448
    squash: bool = False
    pad: bool = False
    qk: bool = False
    step: int = 2
    pixels: int = 0
    copy: int = 0
    tile: int = 0
    short: float = 0.0
    debias: float = 0.0
    backbone: str | None = ""


TENSORS = ("tokens", "prefix", "q", "k", "pixels", "prefix_qk", "positions")  # of `ImageFeatures`


@dataclass(frozen=True)
class ImageFeatures:
    """The features of one image.

    tokens: (L, P, D) patch tokens of the asked layers in row-major order, half precision;
    prefix: (L, T-P, D) class and register tokens; grid: (h, w) with P = h*w; size: (H, W) of the user's image;
    q, k: (A, P, D/A) of the last block where asked for, prefix_qk: (2, A, T-P, D/A) those of the prefix tokens;
    pixels: (3, h', w') uint8 RGB, the picture where asked for; positions: (D, s) directions of the last asked layer to be taken out, of all pictures
    of that working shape the same.
    Of a mirrored copy everything stands where it stands in the picture itself.
    """

    tokens: Tensor
    prefix: Tensor
    grid: tuple[int, int]
    size: tuple[int, int]
    q: Tensor | None = None
    k: Tensor | None = None
    pixels: Tensor | None = None
    prefix_qk: Tensor | None = None
    positions: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that are there, by name."""
        return {name: tensor for name in TENSORS if (tensor := getattr(self, name)) is not None}

    def placeless(self) -> ImageFeatures:
        """The same with tokens of length 1 that say nothing of where they stand; as it is where no directions were asked for."""
        return self if self.positions is None else replace(self, tokens=without_positions(self.tokens, self.positions))

    def joined(self) -> Tensor:
        """All layers side by side, each token of each layer scaled to length 1: (P, L*D) float32."""
        unit = torch.nn.functional.normalize(self.tokens.float(), dim=-1)
        return unit.permute(1, 0, 2).reshape(unit.shape[1], -1)


@dataclass
class StageTimes:
    """Seconds spent by stage (decode, backbone, method, refine, write, ...), added up."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, seconds: float) -> None:
        """Count `seconds` towards a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
