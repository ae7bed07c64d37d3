"""The outlines of a mask along the edges of its pixels, so that filling them gives back every pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
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


def parts(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """The parts of a mask (H, W), joined by edges and not by corners: the place (x, y) and the patch of each."""
    count, labelled, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    for part in range(1, count):
        x, y, width, height, _ = (int(value) for value in boxes[part])
        yield x, y, np.asarray(labelled[y : y + height, x : x + width] == part)


def has_hole(mask: NDArray[np.bool_]) -> bool:
    """Whether some background of a mask (H, W) is shut in by it."""
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    return int(cv2.connectedComponents(outside, connectivity=8)[0]) > 2


def rings(mask: NDArray[np.bool_]) -> list[list[Corner]]:
    """Outlines (x, y) of a mask (H, W), around its parts and around their holes: filled by the even-odd rule they are the mask.

    >>> import numpy as np
    >>> ring = np.ones((3, 3), bool)
    >>> ring[1, 1] = False
    >>> rings(ring)
    [[(3, 0), (3, 3), (0, 3), (0, 0)], [(2, 1), (2, 2), (1, 2), (1, 1)]]
    """
    found: list[list[Corner]] = []
    for x, y, patch in parts(mask):
        found.append([(column + x, row + y) for column, row in outline(patch)])
        if has_hole(patch):
            holes = parts(_shut_in(patch))
            found += [[(column + left + x, row + top + y) for column, row in outline(hole)] for left, top, hole in holes]
    return found


def bridged(found: Sequence[Sequence[Corner]]) -> list[Corner]:
    """One ring of several, for formats whose outlines are single rings: from the first ring's first corner to each other ring and back.

    The way there and back shuts in nothing, so that filled by the even-odd rule the ring is what the rings were.

    >>> bridged([[(0, 0), (4, 0), (4, 4)], [(2, 1), (3, 1), (3, 2)]])
    [(0, 0), (4, 0), (4, 4), (0, 0), (2, 1), (3, 1), (3, 2), (2, 1)]
    """
    first, *others = found
    ring = list(first)
    for other in others:
        ring += [first[0], *other, other[0]]
    return ring


def _shut_in(patch: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The background of a patch that no way, also over corners, joins to the outside."""
    _, labelled = cv2.connectedComponents(np.pad(~patch, 1, constant_values=True).astype(np.uint8), connectivity=8)
    return np.asarray(~patch & (labelled[1:-1, 1:-1] != labelled[0, 0]))


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
