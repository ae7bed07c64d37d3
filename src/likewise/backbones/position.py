"""Resizing the position embeddings of a vision transformer to the grid of another image size."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

PositionRule = Literal["factor", "size", "antialias"]


def resize_position_embedding(table: Tensor, grid: tuple[int, int], new_grid: tuple[int, int], rule: PositionRule, prefix: int = 1) -> Tensor:
    """The table for another grid of patches, bicubic; the rows of prefix tokens stay as they are.

    table (1, prefix + h*w, D) with grid = (h, w) stored -> (1, prefix + h'*w', D) for new_grid = (h', w').
    rule: "factor" hands the resampler the factor (h' + 0.1) / h, as DINO and DINOv2 without registers were trained
    and used, which shifts the samples by a little; "size" hands it the size; "antialias" too, with a low-pass
    filter when shrinking (DINOv2 with registers). The stored grid is returned as it is.
    Raises ValueError for a table that does not have the stored grid.
    Source: DINO and DINOv2, `interpolate_pos_encoding`.
    """
    height, width = grid
    if table.ndim != 3 or table.shape[1] != prefix + height * width:
        raise ValueError(f"a table of shape {tuple(table.shape)} does not hold {prefix} + {height}x{width} positions")
    if grid == new_grid:
        return table
    patches = table[:, prefix:].float().reshape(1, height, width, -1).permute(0, 3, 1, 2)
    if rule == "factor":
        factor = ((new_grid[0] + 0.1) / height, (new_grid[1] + 0.1) / width)
        resized = interpolate(patches, scale_factor=factor, mode="bicubic", align_corners=False)
    else:
        resized = interpolate(patches, size=new_grid, mode="bicubic", align_corners=False, antialias=rule == "antialias")
    if resized.shape[-2:] != new_grid:
        raise AssertionError(f"resampling gave {tuple(resized.shape[-2:])} for {new_grid}")
    flat = resized.permute(0, 2, 3, 1).reshape(1, new_grid[0] * new_grid[1], -1)
    return torch.cat([table[:, :prefix], flat.to(table.dtype)], dim=1)
