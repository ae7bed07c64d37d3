"""The labels of one image while its shapes are painted one after the other, as the tools in which people draw do it.

What the formats of drawing tools share: shapes of one class are united, shapes of one group are one object, the inside of a
box is ignored in an image that has outlines besides, and points and lines leave the rest unknown.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.data import Example, Instance
from likewise.data.geometry import Box, Point, box_to_pixels, fill_polygons
from likewise.data.images import ImageSource
from likewise.data.instance import union
from likewise.data.limits import Covered

Key = int | str
_AT_ONCE = 1 << 22  # pixels of an ellipse that are drawn together, so that a large image takes no more memory than its mask


@dataclass(frozen=True)
class _Part:
    key: Key
    group: Hashable
    shown: Instance


class Canvas:
    """Shapes of an image of `size` (H, W), painted in their order; `example` is what they say together."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.base = np.zeros(size, np.int16)
        self.boxes: dict[Key, list[Box]] = {}
        self.points: dict[Key, dict[str, list[Point]]] = {}
        self.scribbles: dict[Key, list[list[Point]]] = {}
        self._parts: list[_Part] = []
        self._covered = Covered()

    def paint(self, key: Key, mask: NDArray[np.bool_], group: Hashable = None, *, x: int = 0, y: int = 0) -> None:
        """An object, or a part of the object of a group: a mask (H, W), or a patch of one whose first pixel is (x, y)."""
        self.add(key, Instance.of(mask, x=x, y=y), group)

    def add(self, key: Key, shown: Instance | None, group: Hashable = None) -> None:
        """The same for an object that is made, None for one without a pixel."""
        if shown is not None:
            self._covered.add(shown.patch.size)
            self._parts.append(_Part(key, len(self._parts) if group is None else ("group", group), shown))

    def erase(self, mask: NDArray[np.bool_], value: int) -> None:
        """Take pixels (H, W) from all that was painted, and make them background (0) or ignored (-1)."""
        self.base[mask] = value
        left = [(part, Instance.of(part.shown.patch & ~_window(mask, part.shown), x=part.shown.x, y=part.shown.y)) for part in self._parts]
        self._parts = [_Part(part.key, part.group, shown) for part, shown in left if shown is not None]

    def ignore(self, mask: NDArray[np.bool_]) -> None:
        """Leave pixels (H, W) out, save where something is painted."""
        self.base[mask] = -1

    def box(self, key: Key, box: Box) -> None:
        """A box around an object that has no outline."""
        self.boxes.setdefault(key, []).append(box)

    def point(self, key: Key, point: Point) -> None:
        """A point on a class."""
        self.points.setdefault(key, {"positive": []})["positive"].append(within(point, self.size))

    def line(self, key: Key, points: Sequence[Point]) -> None:
        """A scribble along a class."""
        self.scribbles.setdefault(key, []).append([within(point, self.size) for point in points])

    def keys(self) -> set[Key]:
        """Every class that something was drawn of."""
        return {*(part.key for part in self._parts), *self.boxes, *self.points, *self.scribbles}

    def instances(self) -> dict[Key, list[Instance]]:
        """The objects of each class, the parts of a group as one."""
        groups: dict[tuple[Key, Hashable], list[Instance]] = {}
        for part in self._parts:
            groups.setdefault((part.key, part.group), []).append(part.shown)
        found: dict[Key, list[Instance]] = {}
        for (key, _), parts in groups.items():
            one = parts[0] if len(parts) == 1 else Instance.of(union(parts, self.size))
            found.setdefault(key, []).extend([one] if one is not None else [])
        return found

    def example(self, source: ImageSource, name: str, tags: Mapping[Key, bool] | None = None, keypoints: Mapping[str, Point | None] | None = None) -> Example:
        """What was painted. An image with nothing on it shows none of the classes; one with boxes, points or tags alone says nothing of pixels."""
        if self._parts:
            self._ignore_boxes()
        sparse, ignored = bool(self.points or self.scribbles), bool((self.base < 0).any())
        nothing = not (self.boxes or sparse or tags or keypoints)
        return Example(
            source,
            name,
            label_map=self.base if self._parts or nothing or (ignored and not self.boxes) else None,
            instances=self.instances(),
            boxes=self.boxes,
            points=self.points,
            scribbles=self.scribbles,
            tags=tags,
            keypoints=keypoints,
            unlabelled="unknown" if sparse and not self._parts else "background",
        )

    def _ignore_boxes(self) -> None:
        """Leave out what lies in a box, of which no outline says which pixels belong to it."""
        for boxes in self.boxes.values():
            for box in boxes:
                x0, y0, x1, y1 = box_to_pixels(box, self.size)
                self.base[y0:y1, x0:x1] = -1


def within(point: Sequence[float], size: tuple[int, int]) -> Point:
    """The point (x, y), moved onto the image's edge if a hand slipped beyond it."""
    return min(max(float(point[0]), 0.0), float(size[1])), min(max(float(point[1]), 0.0), float(size[0]))


def box_around(points: Sequence[Sequence[float]], size: tuple[int, int]) -> Box | None:
    """The smallest box around points, inside the image; None if it has no area."""
    kept = [within(point, size) for point in points]
    x0, x1 = min(x for x, _ in kept), max(x for x, _ in kept)
    y0, y1 = min(y for _, y in kept), max(y for _, y in kept)
    return None if x0 == x1 or y0 == y1 else (x0, y0, x1, y1)


def ellipse_mask(size: tuple[int, int], centre: Point, radii: Point, degrees: float = 0.0) -> NDArray[np.bool_]:
    """The pixels (H, W) whose centres lie in an ellipse turned by an angle, clockwise as seen; the pixel of its centre if it is smaller than one."""
    disc = np.zeros(size, bool)
    angle, together = np.deg2rad(degrees), max(1, _AT_ONCE // size[1])
    right = np.arange(size[1])[None] + 0.5 - centre[0]
    for first in range(0, size[0], together):
        down = np.arange(first, min(first + together, size[0]))[:, None] + 0.5 - centre[1]
        along, across = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
        disc[first : first + together] = (along / max(radii[0], 1e-9)) ** 2 + (across / max(radii[1], 1e-9)) ** 2 <= 1
    if not disc.any():
        column, row = (int(min(max(value, 0), side - 1)) for value, side in zip(centre, size[::-1], strict=True))
        disc = np.zeros(size, bool)
        disc[row, column] = True
    return disc


def outlined(size: tuple[int, int], ring: NDArray[np.float64]) -> Instance | None:
    """The pixels inside an outline (K, 2) of (x, y) by the even-odd rule, drawn in its own box alone; None for one outside the image of `size` (H, W)."""
    low = np.clip(np.floor(ring.min(axis=0)), 0, (size[1], size[0])).astype(int)
    high = np.clip(np.floor(ring.max(axis=0)) + 1, 0, (size[1], size[0])).astype(int)
    if (high <= low).any():
        return None
    x, y = (int(value) for value in low)
    return Instance.of(fill_polygons((int(high[1]) - y, int(high[0]) - x), [ring - low]), x=x, y=y)


def grouped(size: tuple[int, int], rings: Sequence[NDArray[np.float64]]) -> Instance | None:
    """The pixels of the outlines of one object: an outline wholly inside another is a hole of it, others are united.

    rings: arrays (K, 2) of (x, y). In a hole an outline is a part again.
    """
    drawn = sorted((one for ring in rings if (one := outlined(size, ring)) is not None), key=lambda one: one.area, reverse=True)
    whole = np.zeros(size, bool)
    for index, one in enumerate(drawn):
        one.mark(whole, sum(_lies_in(one, outer) for outer in drawn[:index]) % 2 == 0)
    return Instance.of(whole)


def _lies_in(inner: Instance, outer: Instance) -> bool:
    """Whether every pixel of an object is one of another."""
    x0, y0, x1, y1 = inner.box
    left, top, right, bottom = outer.box
    if x0 < left or y0 < top or x1 > right or y1 > bottom:
        return False
    return bool(outer.patch[y0 - top : y1 - top, x0 - left : x1 - left][inner.patch].all())


def _window(mask: NDArray[np.bool_], shown: Instance) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = shown.box
    return mask[y0:y1, x0:x1]
