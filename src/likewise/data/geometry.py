"""Geometry, once and for all: pixel i covers [i, i+1), so resizing scales coordinates and nothing else.

x runs right, y down; points are (x, y); boxes (x0, y0, x1, y1), half open; arrays (H, W).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.errors import InputError

Box = tuple[float, float, float, float]
Point = tuple[float, float]
MOST_STEPS = 100_000_000  # rows that the edges of one outline may cross, or places along a line: seconds
_TOGETHER = 1 << 20


def working_grid(size: tuple[int, int], side: int, patch: int, *, step: int = 2, largest_ratio: float = 8.0) -> tuple[int, int]:
    """The (rows, columns) of patches for an image of `size` (H, W), about (side / patch)^2 of them.

    The area is fixed and the aspect ratio kept; both numbers are multiples of `step`, so that images of all shapes
    share few grids (each costs a compilation on some engines) and are distorted by a few per cent at most. Ratios
    beyond `largest_ratio` are squeezed to it.

    >>> working_grid((480, 640), 448, 14)
    (28, 36)
    """
    ratio = min(max(size[1] / size[0], 1 / largest_ratio), largest_ratio)
    cells = (side / patch) ** 2
    rows = max(step, round(math.sqrt(cells / ratio) / step) * step)
    columns = max(step, round(cells / rows / step) * step)
    return rows, columns


def fitted_size(size: tuple[int, int], longest: int, *, shortest: int = 256) -> tuple[int, int]:
    """The (height, width) of a picture of `size` (H, W) whose longer side is at most `longest` pixels, its shape kept.

    Nothing is enlarged, but for a longer side below `shortest`, which becomes that (or `longest`, if that is less).

    >>> fitted_size((480, 640), 512), fitted_size((300, 200), 512), fitted_size((60, 90), 512)
    ((384, 512), (300, 200), (171, 256))
    """
    longer = max(size)
    factor = min(max(longer, shortest), longest) / longer
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def by_longer_side(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The (height, width) of a picture of `size` (H, W) whose longer side becomes `side` pixels, a half rounded up, as Segment Anything does.

    >>> by_longer_side((60, 100), 64), by_longer_side((1, 9000), 64)
    ((38, 64), (1, 64))
    """
    scale = side / max(size)
    return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))


def short_side(size: tuple[int, int], side: int, nearly: float = 1.0, *, largest_ratio: float = 8.0) -> tuple[int, int]:
    """The (height, width) of a picture of `size` (H, W) whose shorter side becomes `side` pixels, its shape kept.

    A picture whose longer side is at most `nearly` times the shorter becomes a square; one beyond `largest_ratio` times is
    squeezed to that.

    >>> short_side((480, 640), 224), short_side((480, 640), 224, 1.5), short_side((10, 1000), 224)
    ((224, 299), (224, 224), (224, 1792))
    """
    ratio = max(size) / min(size)
    longer = side if ratio <= nearly else round(side * min(ratio, largest_ratio))
    return (side, longer) if size[0] <= size[1] else (longer, side)


def area_resize(plane: NDArray[np.generic], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Mean of a (H, W) plane over each cell of a (h, w) grid, in float32; exact for sizes that do not divide.

    Cells and pixels are intervals that cover the same rectangle; each pixel counts by the area that it shares with
    the cell. Works upwards too (a cell inside a pixel has its value).
    """
    rows = _overlap(plane.shape[0], grid[0])
    columns = _overlap(plane.shape[1], grid[1])
    if plane.shape[0] >= grid[0] and plane.shape[1] >= grid[1]:
        return np.asarray(cv2.resize(np.ascontiguousarray(plane, dtype=np.float32), (grid[1], grid[0]), interpolation=cv2.INTER_AREA))
    return np.asarray(rows @ np.asarray(plane, np.float32) @ columns.T, np.float32)


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An RGB image (H, W, 3) at another (height, width): by area when shrinking, cubic when growing."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC), np.uint8)


def squash_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An RGB image (H, W, 3) at another (height, width) by PIL's bilinear filter, which averages when it shrinks.

    Published methods that squash images to a square were trained with it.
    """
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def fill_polygons(size: tuple[int, int], rings: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
    """The pixels (H, W) whose centres lie inside the rings by the even-odd rule, so that rings may be holes or parts.

    rings: arrays (K, 2) of (x, y). A ring too thin to hold any centre marks the pixels that its outline passes,
    so that nothing a person drew vanishes. InputError for an outline that would take minutes: `MOST_STEPS` crossings.
    """
    height, width = size
    inside = np.zeros(size, bool)
    for ring in rings:
        inside ^= _fill_ring(size, np.asarray(ring, np.float64))
    if not inside.any():
        for ring in rings:
            inside |= draw_polyline((height, width), np.vstack([ring, ring[:1]]))
    return inside


def draw_polyline(size: tuple[int, int], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The pixels (H, W) that a line through the points (K, 2) of (x, y) passes; parts outside the image are dropped. InputError as in `fill_polygons`."""
    marked = np.zeros(size, bool)
    points = np.asarray(points, np.float64).reshape(-1, 2)
    if len(points) == 1:
        _mark(marked, points)
        return marked
    start, step = points[:-1], np.diff(points, axis=0)
    counts = (np.minimum(np.abs(step).max(axis=1, initial=0), 4 * max(size)) * 2).astype(np.int64) + 2
    for edge, place in _steps(counts):
        share = place * (1.0 / (counts[edge] - 1))
        share[place == counts[edge] - 1] = 1.0  # the last place of an edge is its end, to the last bit
        _mark(marked, start[edge] + share[:, None] * step[edge])
    return marked


def box_to_pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A half-open box in whole pixels (x0, y0, x1, y1), inside the image and at least one pixel wide and high."""
    height, width = size
    x0, y0 = min(max(math.floor(box[0]), 0), width - 1), min(max(math.floor(box[1]), 0), height - 1)
    x1, y1 = min(max(math.ceil(box[2]), x0 + 1), width), min(max(math.ceil(box[3]), y0 + 1), height)
    return x0, y0, x1, y1


def scale_points(points: NDArray[np.float64], old: tuple[int, int], new: tuple[int, int]) -> NDArray[np.float64]:
    """Points (..., 2) or boxes (..., 4) of (x, y) from an image of size `old` (H, W) to the same image at `new`."""
    factor = np.array([new[1] / old[1], new[0] / old[0]] * (points.shape[-1] // 2))
    return np.asarray(points, np.float64) * factor


def _overlap(pixels: int, cells: int) -> NDArray[np.float32]:
    """Row c holds the share of cell c that each pixel covers: (cells, pixels), rows sum to 1."""
    edges = np.linspace(0, pixels, cells + 1)
    low, high = edges[:-1, None], edges[1:, None]
    position = np.arange(pixels)[None, :]
    shared = np.clip(np.minimum(high, position + 1) - np.maximum(low, position), 0, None)
    return np.asarray(shared / (high - low), np.float32)


def _fill_ring(size: tuple[int, int], ring: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Even-odd fill by scan lines through the pixel centres: toggles everything right of each crossing."""
    height, width = size
    toggles = np.zeros((height, width + 1), np.uint8)  # only whether a number is odd counts, so that it may run over
    flat = toggles.reshape(-1)
    ends = np.roll(ring, -1, axis=0)
    falls = (ring[:, 1] < ends[:, 1])[:, None]
    top, bottom = np.where(falls, ring, ends), np.where(falls, ends, ring)
    first, last = (np.clip(np.ceil(corner[:, 1] - 0.5), 0, height).astype(np.int64) for corner in (top, bottom))
    for edge, place in _steps(np.maximum(last - first, 0)):
        rows, (high, low) = first[edge] + place, (top[edge], bottom[edge])
        crossing = high[:, 0] + (rows + 0.5 - high[:, 1]) * (low[:, 0] - high[:, 0]) / (low[:, 1] - high[:, 1])
        columns = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
        np.add.at(flat, rows * (width + 1) + columns, np.uint8(1))
    return np.asarray(np.cumsum(toggles, axis=1, dtype=np.uint8)[:, :width] & 1 == 1)


def _steps(counts: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(edge, place along it) of `counts` (K,) places along each of K edges, in parts that fit into memory. InputError for too many."""
    ends = np.cumsum(counts)
    if len(ends) and ends[-1] > MOST_STEPS:
        told = f"an outline of {len(counts):,} corners crosses the image in {ends[-1]:,} places, at most {MOST_STEPS:,} are drawn"
        raise InputError(told, remedy="Draw it with fewer corners, or as a mask")
    place = 0
    while place < len(counts):
        stop = max(place + 1, int(np.searchsorted(ends, ends[place] + _TOGETHER)))
        edge = np.repeat(np.arange(place, stop), counts[place:stop])
        yield edge, np.arange(len(edge)) - (ends - counts)[edge] + ends[place] - counts[place]
        place = stop


def _mark(marked: NDArray[np.bool_], points: NDArray[np.float64]) -> None:
    columns, rows = np.floor(points).astype(np.int64).T
    kept = (rows >= 0) & (rows < marked.shape[0]) & (columns >= 0) & (columns < marked.shape[1])
    marked[rows[kept], columns[kept]] = True
