"""Points as heat maps and back. Coordinates are (x, y) in pixels, pixel i covering [i, i+1); maps may be coarser than their image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SPREAD = 1 / 32  # of a bump, as a share of the image's side (the root of its area): about a patch of a network at 448
EVEN = 0.25  # of the height 1 that was shown: where nothing is left out to measure it by; regressions from a few examples rarely reach 1
_REACH = 1.5  # spreads or cells around a peak that its centroid looks at


def spread_of(size: tuple[int, int], share: float = SPREAD) -> float:
    """The standard deviation in pixels of a bump in an image of `size` (H, W).

    >>> spread_of((320, 320))
    10.0
    """
    return share * math.sqrt(size[0] * size[1])


def point_map(point: tuple[float, float] | None, size: tuple[int, int], grid: tuple[int, int], spread: float) -> NDArray[np.float32]:
    """A heat map (h, w) of a point: a Gaussian of height 1 and deviation `spread` pixels, all 0 for None.

    point: (x, y) in pixels of an image of `size` (H, W); the map is taken at the centres of the cells of `grid` (h, w).

    >>> point_map((3.0, 1.0), (2, 4), (2, 4), 1.0).argmax() in (2, 3, 6, 7)
    True
    """
    if point is None:
        return np.zeros(grid, np.float32)
    columns = (np.arange(grid[1]) + 0.5) * size[1] / grid[1] - point[0]
    rows = (np.arange(grid[0]) + 0.5) * size[0] / grid[0] - point[1]
    across, down = (np.exp(-(off**2) / (2 * spread**2)) for off in (columns, rows))
    return np.asarray(down[:, None] * across[None, :], np.float32)


def peak(heat: NDArray[np.floating], size: tuple[int, int], share: float = SPREAD) -> tuple[float, float, float]:
    """(x, y, height) of the highest place of a map (h, w), in pixels of an image of `size` (H, W), finer than a cell.

    >>> x, y, height = peak(point_map((30.0, 11.0), (40, 64), (20, 32), 2.5), (40, 64))
    >>> abs(x - 30) < 0.5, abs(y - 11) < 0.5, height > 0.8
    (True, True, True)
    """
    place = int(np.argmax(heat))
    return (*centroid(heat, place, size, share), float(heat.flat[place]))


def centroid(heat: NDArray[np.floating], place: int, size: tuple[int, int], share: float = SPREAD) -> tuple[float, float]:
    """(x, y) near the cell of number `place`: the centre of what stands above half of that cell's height around it.

    A flat or negative map has its centre at the cell itself.
    """
    height, width = heat.shape
    row, column = divmod(place, width)
    reach = max(_REACH, _REACH * spread_of((height, width), share))
    far = math.floor(reach)
    rows = np.arange(max(0, row - far), min(height, row + far + 1))
    columns = np.arange(max(0, column - far), min(width, column + far + 1))
    near = np.hypot(rows[:, None] - row, columns[None, :] - column) <= reach
    above = np.clip(heat[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] - 0.5 * heat[row, column], 0, None) * near
    total = float(above.sum())
    if total > 0:
        row_at, column_at = float((above.sum(1) * rows).sum()) / total, float((above.sum(0) * columns).sum()) / total
    else:
        row_at, column_at = float(row), float(column)
    return (column_at + 0.5) * size[1] / width, (row_at + 0.5) * size[0] / height


def probability(height: float, even: float = EVEN) -> float:
    """The probability that a peak of that height is a visible point; `even` is the height of even odds.

    The odds are the cube of height over even, so that twice the height of even odds is 8 to 1.

    >>> probability(0.25), probability(-0.1), round(probability(0.5), 2)
    (0.5, 0.0, 0.89)
    """
    return 1 / (1 + (even / height) ** 3) if height > 0 else 0.0
