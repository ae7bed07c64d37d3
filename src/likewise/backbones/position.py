"""Positions of a vision transformer on the grid of another image size: embeddings resized, relative ones looked up."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

PositionRule = Literal["factor", "size", "antialias", "bilinear"]


def resize_position_embedding(table: Tensor, grid: tuple[int, int], new_grid: tuple[int, int], rule: PositionRule, prefix: int = 1) -> Tensor:
    """The table for another grid of patches, bicubic unless the rule says otherwise; the rows of prefix tokens stay as they are.

    table (1, prefix + h*w, D) with grid = (h, w) stored -> (1, prefix + h'*w', D) for new_grid = (h', w').
    rule: "factor" hands the resampler the factor (h' + 0.1) / h, as DINO and DINOv2 without registers were trained
    and used, which shifts the samples by a little; "size" hands it the size; "antialias" too, with a low-pass
    filter when shrinking (DINOv2 with registers); "bilinear" is the size with bilinear interpolation (the label encoder
    of VTM). The stored grid is returned as it is.
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
    elif rule == "bilinear":
        resized = interpolate(patches, size=new_grid, mode="bilinear", align_corners=False)
    else:
        resized = interpolate(patches, size=new_grid, mode="bicubic", align_corners=False, antialias=rule == "antialias")
    if resized.shape[-2:] != new_grid:
        raise AssertionError(f"resampling gave {tuple(resized.shape[-2:])} for {new_grid}")
    flat = resized.permute(0, 2, 3, 1).reshape(1, new_grid[0] * new_grid[1], -1)
    return torch.cat([table[:, :prefix], flat.to(table.dtype)], dim=1)


def relative_count(grid: int | tuple[int, int]) -> int:
    """How many relative positions a grid of patches has, with three for the class token.

    >>> relative_count(14)
    732
    """
    height, width = (grid, grid) if isinstance(grid, int) else grid
    return (2 * height - 1) * (2 * width - 1) + 3


def relative_index(grid: tuple[int, int]) -> Tensor:
    """Which row of a table of relative positions belongs to each pair of query and key, the class token first: (1 + h*w, 1 + h*w).

    Rows are ordered by the difference of the rows of the grid, then of its columns; the last three are for the class
    token as query, as key, and with itself. Source: Bao et al. 2022 (BEiT), its code.
    """
    height, width = grid
    places = torch.cartesian_prod(torch.arange(height), torch.arange(width))
    apart = places[:, None] - places[None]
    total = relative_count(grid)
    index = torch.empty(1 + height * width, 1 + height * width, dtype=torch.long)
    index[1:, 1:] = (apart[..., 0] + height - 1) * (2 * width - 1) + apart[..., 1] + width - 1
    index[0], index[:, 0] = total - 3, total - 2
    index[0, 0] = total - 1
    return index


def resize_relative_table(table: Tensor, grid: tuple[int, int], new_grid: tuple[int, int]) -> Tensor:
    """A table of relative positions for another grid, its differences resampled bicubically, the rows of the class token as they are.

    table ((2h-1)(2w-1) + 3, A) -> the same for new_grid; the stored grid is returned as it is. Ours: the official code
    compares with another number and resizes nothing. Raises ValueError for a table that does not have the stored grid.
    """
    if len(table) != relative_count(grid):
        raise ValueError(f"a table of {len(table)} rows does not hold the relative positions of {grid[0]}x{grid[1]} patches")
    if grid == new_grid:
        return table
    apart, rest = table[:-3], table[-3:]
    planes = apart.T.reshape(1, -1, 2 * grid[0] - 1, 2 * grid[1] - 1)
    resized = interpolate(planes, size=(2 * new_grid[0] - 1, 2 * new_grid[1] - 1), mode="bicubic", align_corners=False)
    return torch.cat([resized[0].flatten(1).T, rest])
