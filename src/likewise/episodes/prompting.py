"""Prompts as a person would give them, made from masks: points, boxes, scribbles, tags. Ours; seeded.

They stand for a person in benches and episodes, so that every method is judged by the same prompts. A person clicks well inside
of a thing, draws a box close around it, and pulls a scribble through its middle: points are drawn with a chance that
grows with the distance to the border, one thing (connected part of a mask) after the other from the largest on; boxes are those of the parts; a
scribble is a walk along the skeleton. How Label Anything's training makes prompts is in `prompted.simulation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from likewise.data import ClassTable, Example, Labels
from likewise.data.image_prompts import spread_along
from likewise.errors import UsageError, close_match

PromptKind = Literal["mask", "box", "point", "scribble", "tag"]
PROMPT_KINDS: tuple[PromptKind, ...] = ("mask", "box", "point", "scribble", "tag")
LEAST = 0.01  # share of a class's largest part below which a part gets no box, nor a point of its own
CORNERS = 12  # of a scribble
AROUND = np.ones((3, 3), bool)


def prompted(
    example: Example, labels: Labels, classes: ClassTable, kind: PromptKind, random: np.random.Generator, *, points: int = 1, negative: int = 0
) -> Example:
    """The example with prompts of a kind in place of its masks; `mask` leaves it as it is.

    labels: of the example, with masks; points: of each class; negative: points outside all classes, each of which is
    said not to be in any class of the image. Boxes are of all parts, so that what is outside of them is background; with points and
    scribbles nothing is known of the rest. Raises UsageError for an unknown kind.
    """
    if kind not in PROMPT_KINDS:
        raise UsageError(f"there are no prompts {kind!r}", where="prompts", remedy=close_match(kind, PROMPT_KINDS))
    if kind == "mask":
        return example
    shown = [number for number in classes if labels.mask(number).any()]
    names = {number: classes.names[number] for number in classes}
    absent = {names[number]: False for number in classes if number not in shown}
    given: dict[str, Any] = {"tags": absent}
    if kind == "tag":
        given["tags"] = {**{names[number]: True for number in shown}, **absent}
    elif kind == "box":
        given["boxes"] = {names[number]: boxes_of(labels.mask(number)) for number in shown}
    elif kind == "scribble":
        given["scribbles"] = {names[number]: [scribble_of(labels.mask(number), random)] for number in shown}
    else:
        outside = negatives(labels, shown, negative, random)
        given["points"] = {names[number]: {"positive": points_of(labels.mask(number), points, random), "negative": outside} for number in shown}
    return Example(example.image, example.name, keypoints=example.keypoints, dense=example.dense, unlabelled=example.unlabelled, **given)


def parts_of(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The connected parts of a mask (H, W), the largest first, without those far smaller than that."""
    numbered, count = ndimage.label(mask, AROUND)
    areas = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    order = [place for place in np.argsort(-areas, kind="stable") if areas[place] >= LEAST * areas.max()]
    return [np.asarray(numbered == place + 1) for place in order]


def boxes_of(mask: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """The box (x0, y0, x1, y1) of every part of a mask."""
    found = []
    for part in parts_of(mask):
        top, left, own = _cropped(part)
        found.append((left, top, left + own.shape[1], top + own.shape[0]))
    return found


def points_of(mask: NDArray[np.bool_], count: int, random: np.random.Generator) -> list[tuple[float, float]]:
    """So many points (x, y) in a mask: one in each part, the largest first, then again from the largest on."""
    parts = parts_of(mask)
    return [_inside(parts[index % len(parts)], random) for index in range(count)]


def negatives(labels: Labels, shown: Sequence[int], count: int, random: np.random.Generator) -> list[tuple[float, float]]:
    """So many points (x, y) outside all classes, where something is known and there is room."""
    free = np.ones(labels.size, bool) if labels.label_map is None else labels.label_map == 0
    for number in shown:
        free &= ~labels.mask(number)
    return [_inside(free, random) for _ in range(count)] if free.any() else []


def scribble_of(mask: NDArray[np.bool_], random: np.random.Generator) -> list[tuple[float, float]]:
    """A polyline [(x, y)] along the middle of the largest part of a mask: the longest way through its skeleton, cut by up to a quarter at both ends."""
    from skimage.morphology import skeletonize

    part = parts_of(mask)[0]
    rows, columns = np.nonzero(skeletonize(part))
    if len(rows) < 2:
        return [_inside(part, random)] * 2
    way = _longest_way(rows, columns)
    cut = random.uniform(0, 0.25, 2) * len(way)
    way = way[int(cut[0]) : max(int(cut[0]) + 2, len(way) - int(cut[1]))]
    return [(float(x), float(y)) for x, y in spread_along(np.stack([columns[way] + 0.5, rows[way] + 0.5], axis=1), CORNERS)]


def _inside(part: NDArray[np.bool_], random: np.random.Generator) -> tuple[float, float]:
    """The middle of a pixel of a part, the more likely the farther it is from the border."""
    top, left, own = _cropped(part)
    distance = cv2.distanceTransform(np.pad(own, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    chance = distance.ravel().astype(np.float64) ** 2
    row, column = divmod(int(random.choice(own.size, p=chance / chance.sum())), own.shape[1])
    return left + column + 0.5, top + row + 0.5


def _cropped(part: NDArray[np.bool_]) -> tuple[int, int, NDArray[np.bool_]]:
    """The first row and column of a part, and the rectangle (h, w) that holds it."""
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _longest_way(rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.integer]:
    """The places, in order, on the longest shortest way between two pixels of a skeleton: from its first pixel as far as one can, twice."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra
    from scipy.spatial import cKDTree

    places = np.stack([rows, columns], axis=1).astype(float)
    pairs = cKDTree(places).query_pairs(1.5, output_type="ndarray")
    lengths = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
    graph = coo_array((lengths, (pairs[:, 0], pairs[:, 1])), shape=(len(rows), len(rows))).tocsr()
    first = _farthest(dijkstra(graph, directed=False, indices=0))
    distance, before = dijkstra(graph, directed=False, indices=first, return_predecessors=True)
    way = [_farthest(distance)]
    while way[-1] != first and before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return np.array(way)


def _farthest(distance: NDArray[np.floating]) -> int:
    return int(np.argmax(np.where(np.isfinite(distance), distance, -1)))
