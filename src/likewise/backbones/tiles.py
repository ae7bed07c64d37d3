"""Tiles: a picture too large for one pass is cut into equal, overlapping squares or nearly so, their tokens blended.

Attention costs the square of the tokens, and position embeddings stretched far beyond their training mean little:
both stay in bounds if a large view goes through the network in parts. Across an overlap the tokens of one tile fade
into those of the next, linearly, so that no seam is left.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_OVERLAP = 8  # neighbours share at least this part (one eighth) of a tile's side
_ELONGATED = 2.0  # tiles longer than this many times their width only where nothing else fits: a strip shows little of the scene


@dataclass(frozen=True)
class Tiling:
    """Where tiles of one shape (r, c) lie on a grid (h, w) of patches: their first rows and first columns."""

    grid: tuple[int, int]
    shape: tuple[int, int]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def cut(self, view: NDArray[np.uint8], patch: int) -> list[NDArray[np.uint8]]:
        """The tiles (r*patch, c*patch, 3) of a view (h*patch, w*patch, 3), row by row."""
        height, width = self.shape[0] * patch, self.shape[1] * patch
        return [view[row * patch : row * patch + height, column * patch : column * patch + width] for row, column in self._corners()]

    def join(self, parts: Sequence[Tensor], prefix: int) -> Tensor:
        """The sequences (X, prefix + h*w, D) of a view from those of its tiles, (X, prefix + r*c, D) each, in the order of `cut`.

        Patch tokens are blended by place, the `prefix` tokens in front averaged; summed in float32, returned in the parts' precision.
        """
        first = torch.stack([part[:, :prefix].float() for part in parts]).mean(0)
        total = torch.zeros(first.shape[0], *self.grid, first.shape[2])
        down, across = axis_weights(self.grid[0], self.shape[0], self.rows), axis_weights(self.grid[1], self.shape[1], self.columns)
        weights = [torch.outer(one, other)[:, :, None] for one, other in itertools.product(down, across)]
        for part, weight, (row, column) in zip(parts, weights, self._corners(), strict=True):
            total[:, row : row + self.shape[0], column : column + self.shape[1]] += weight * part[:, prefix:].reshape(len(part), *self.shape, -1)
        return torch.cat([first, total.flatten(1, 2)], dim=1).to(parts[0].dtype)

    def _corners(self) -> list[tuple[int, int]]:
        return list(itertools.product(self.rows, self.columns))


@lru_cache(maxsize=1024)
def plan_tiles(grid: tuple[int, int], most: int, step: int) -> Tiling | None:
    """The tiling of a grid (h, w) whose tiles hold at most `most` patches, their sides multiples of `step`; None where no cut is needed.

    Of all shapes the least elongated beyond 2:1, of these the one with the fewest tiles, then with the least overlap.
    Raises ValueError where `most` is too small for any shape.
    """
    if grid[0] * grid[1] <= most:
        return None
    sides = [[side for side in (*range(step, cells, step), cells) if side > 1 or cells == 1] for cells in grid]
    shapes = [shape for shape in itertools.product(*sides) if shape[0] * shape[1] <= most]
    if not shapes:
        raise ValueError(f"no tile of at most {most} patches has sides that are multiples of {step}")
    tilings = [Tiling(grid, (height, width), tile_starts(grid[0], height), tile_starts(grid[1], width)) for height, width in shapes]
    return min(tilings, key=_effort)


def tile_starts(cells: int, tile: int) -> tuple[int, ...]:
    """Where the fewest tiles start that cover `cells` with overlaps of at least an eighth of a tile, evenly spread.

    >>> tile_starts(20, 8)
    (0, 6, 12)
    """
    if tile >= cells:
        return (0,)
    overlap = -(-tile // _OVERLAP)
    count = -(-(cells - overlap) // (tile - overlap))
    return tuple((cells - tile) * index // (count - 1) for index in range(count))


def axis_weights(cells: int, tile: int, starts: Sequence[int]) -> list[Tensor]:
    """The weight (tile,) of each place of each tile along an axis: rising and falling linearly where neighbours overlap.

    Over all tiles the weights of each of the `cells` sum to 1.
    """
    along = torch.arange(tile) + 0.5
    ramps, total = [], torch.zeros(cells)
    for index, start in enumerate(starts):
        ramp = torch.ones(tile)
        if index > 0:
            ramp = torch.minimum(ramp, along / (starts[index - 1] + tile - start))
        if index + 1 < len(starts):
            ramp = torch.minimum(ramp, (tile - along) / (start + tile - starts[index + 1]))
        total[start : start + tile] += ramp
        ramps.append(ramp)
    return [ramp / total[start : start + tile] for ramp, start in zip(ramps, starts, strict=True)]


def _effort(tiling: Tiling) -> tuple[float, int, int]:
    height, width = tiling.shape
    count = len(tiling.rows) * len(tiling.columns)
    return max(height / width, width / height, _ELONGATED), count, count * height * width
