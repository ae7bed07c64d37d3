"""The keypoints of COCO's annotations: x, y, v a point in the order of the category's names; v 0 is unknown, any other a known point.

Our keypoints are those of an image, COCO's those of an object: they are read where no image has two objects with keypoints. Coordinates
are numbers of pixels, so half a pixel is added (as Detectron2 does), since pixel i covers [i, i + 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from likewise.data.geometry import Point
from likewise.formats.canvas import within


class Pointed(Protocol):
    """An annotation, as far as its keypoints go."""

    image_id: int | str
    category_id: int
    keypoints: list[float] | None


def problem(each: Pointed, names: Mapping[int, Sequence[str]]) -> str:
    """What is wrong with the keypoints of an annotation in a clause, "" if nothing is."""
    if each.keypoints is None:
        return ""
    wanted = 3 * len(names.get(each.category_id, ()))
    if len(each.keypoints) != wanted:
        return f"keypoints has {len(each.keypoints)} numbers, its category's names ask for {wanted}"
    return "" if all(map(math.isfinite, each.keypoints)) else "a keypoint is not finite"


def by_image(
    annotations: Iterable[Pointed], names: Mapping[int, Sequence[str]], sizes: Mapping[int | str, tuple[int, int]]
) -> dict[int | str, dict[str, Point]]:
    """Image -> its known points by name, of annotations without a problem; nothing at all where some image has two objects with points."""
    found: dict[int | str, dict[str, Point]] = {}
    for each in annotations:
        values = each.keypoints or []
        known = zip(names.get(each.category_id, ()), values[::3], values[1::3], values[2::3], strict=False)
        points = {name: within((x + 0.5, y + 0.5), sizes[each.image_id]) for name, x, y, v in known if v > 0}
        if points and each.image_id in found:
            return {}
        found |= {each.image_id: points} if points else {}
    return found
