"""How fine VTM matches: patch by patch, region by region, or not at all.

The other two forms answer what matching is worth: keys and values of patches are averaged where the support is remembered,
and queries read the averages. A single one is read by every query alike, so that "global" is the plain mean of the support's
values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

Fineness = Literal["patch", "region", "global"]
FINENESSES: tuple[str, ...] = get_args(Fineness)


@dataclass(frozen=True)
class Pooling:
    """Which rows of a support become one: none, those of a block of an example's grid (`regions` x `regions` blocks), or all."""

    fineness: Fineness = "patch"
    regions: int = 4

    def __call__(self, rows: Tensor, grid: tuple[int, int]) -> Tensor:
        """Rows (X, E*h*w, D) of E examples of a grid (h, w) -> (X, S, D): S is E*h*w, E*r*r or 1; r no more than the grid has."""
        if self.fineness == "patch":
            return rows
        if self.fineness == "global":
            return rows.mean(dim=1, keepdim=True)
        blocks = (min(self.regions, grid[0]), min(self.regions, grid[1]))
        maps = rows.reshape(-1, *grid, rows.shape[-1]).permute(0, 3, 1, 2)  # (X*E, D, h, w)
        return adaptive_avg_pool2d(maps, blocks).flatten(2).transpose(1, 2).reshape(len(rows), -1, rows.shape[-1])
