"""A feature pyramid of a plain vision transformer: four of its layers as the maps that a segmenter reads. Ours, after Li et al. 2022 (ViTDet)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

from likewise.backbones.features import ImageFeatures

LEVELS = 4


def pyramid(item: ImageFeatures) -> list[Tensor]:
    """Four maps (1, D, h, w) of four layers, the shallowest first: that one at twice the grid of the patches, the others at the grid."""
    rows, columns = item.grid
    maps = item.tokens.float().transpose(1, 2).reshape(LEVELS, 1, -1, rows, columns)
    return [interpolate(maps[0], scale_factor=2.0, mode="bilinear", align_corners=False), *maps[1:]]
