"""The outline of a mask along the edges of its pixels, so that filling it gives back every pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Corner = tuple[int, int]


def outline(mask: NDArray[np.bool_]) -> list[Corner]:
    """The corners (x, y) of the outer outline of a mask (H, W) that is one part, joined by edges; clockwise.

    Walks with the mask on the right hand. Where two pixels meet at a corner only it keeps to the right, so that the
    outline may touch itself but never crosses.

    >>> import numpy as np
    >>> outline(np.array([[True, True, True]]))
    [(3, 0), (3, 1), (0, 1), (0, 0)]
    """
    padded = np.pad(mask, 1).tolist()
    start_y, start_x = y, x = _first(mask)
    heading = (1, 0)
    corners: list[Corner] = []
    while not (corners and (x, y) == (start_x, start_y) and heading == (1, 0)):
        x, y = x + heading[0], y + heading[1]
        turned = _turned(padded, x, y, heading)
        if turned != heading:
            corners.append((x, y))
        heading = turned
    return corners


def _turned(padded: list[list[bool]], x: int, y: int, heading: Corner) -> Corner:
    """The heading after a corner: right where the mask ends, left where it begins on the other hand, else straight on."""
    step_x, step_y = heading
    column, row = _pixel(x, y, heading, right=True)
    if not padded[row + 1][column + 1]:
        return (-step_y, step_x)
    column, row = _pixel(x, y, heading, right=False)
    return (step_y, -step_x) if padded[row + 1][column + 1] else heading


def _first(mask: NDArray[np.bool_]) -> tuple[int, int]:
    row, column = np.unravel_index(int(np.argmax(mask)), mask.shape)
    return int(row), int(column)


def _pixel(x: int, y: int, heading: Corner, *, right: bool) -> Corner:
    """The pixel (column, row) ahead of a corner, to the right or to the left of the heading."""
    step_x, step_y = heading
    side_x, side_y = (-step_y, step_x) if right else (step_y, -step_x)
    return x + (step_x + side_x - 1) // 2, y + (step_y + side_y - 1) // 2
