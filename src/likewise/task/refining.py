"""Coarse labels turned into masks by a task: what `Task.refine` does.

The task says how likely every class is at each pixel; the labels say what is certain. Outlines move to the edges of the picture that are
near (`functional.outlines`): an answer is as coarse as the patches that it was made of. A class stays inside its boxes, takes at
least a part of each of them, stands at its points and along its scribbles, and leaves the parts that hold a negative point and no
positive one; a class that the labels exclude is nowhere. Pixels that were drawn stay as they were drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from likewise.data import Labels
from likewise.data.geometry import draw_polyline
from likewise.functional.outlines import snapped

LEAST = 0.2  # share of a box that its class takes at least
AROUND = 0.01  # radius of what a point says for certain, as a share of the picture's longer side
_TOUCHING = np.ones((3, 3), bool)


def refined_map(scores: NDArray[np.floating], labels: Labels, numbers: Sequence[int], picture: NDArray[np.uint8] | None = None) -> NDArray[np.int16]:
    """The label map (H, W) of an image: scores (N+1, H, W) of the background and the classes `numbers`, and what is known of it.

    picture: (H, W, 3), to whose edges outlines move; None leaves them. 0 is the background, -1 what was to be ignored.
    """
    allowed = np.stack([np.ones(labels.size, bool), *(_where(labels, number) for number in numbers)])
    best = np.where(allowed, scores, -np.inf).argmax(axis=0)
    if picture is not None:
        best = snapped(picture, best)
        best[~np.take_along_axis(allowed, best[None], axis=0)[0]] = 0
    for place, number in enumerate(numbers, start=1):
        for box in labels.boxes.get(number, ()):
            best[_most_likely_part(scores[place], best == place, box)] = place
        best[_denied(best == place, labels, number)] = 0
        best[_marked(labels, number)] = place
    found = np.array([0, *numbers], np.int16)[best]
    if labels.label_map is None:
        return found
    drawn = labels.label_map != 0 if labels.unlabelled == "unknown" else np.ones(labels.size, bool)
    return np.where(drawn, labels.label_map, found)


def _where(labels: Labels, number: int) -> NDArray[np.bool_]:
    """Where a class may be: (H, W)."""
    if labels.present(number) is False:
        return np.zeros(labels.size, bool)
    said = number in labels.boxes or number in labels.points or number in labels.scribbles or labels.tags.get(number) is True
    if not said and labels.unlabelled == "background":
        return np.zeros(labels.size, bool)
    if number not in labels.boxes or number in labels.points or number in labels.scribbles:
        return np.ones(labels.size, bool)
    inside = np.zeros(labels.size, bool)
    for box in labels.boxes[number]:
        inside[_cut(box)] = True
    return inside


def _cut(box: NDArray[np.floating]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = (float(value) for value in box)
    return slice(int(np.floor(y0)), max(int(np.ceil(y1)), int(np.floor(y0)) + 1)), slice(int(np.floor(x0)), max(int(np.ceil(x1)), int(np.floor(x0)) + 1))


def _most_likely_part(scores: NDArray[np.floating], taken: NDArray[np.bool_], box: NDArray[np.floating]) -> NDArray[np.bool_]:
    """The pixels (H, W) of a box that its class takes besides those that it has: none where it has enough, else the most likely ones."""
    part, found = _cut(box), np.zeros(taken.shape, bool)
    inside = scores[part]
    if inside.size and taken[part].mean() < LEAST:
        found[part] = inside >= np.quantile(inside, 1 - LEAST)
    return found


def _marked(labels: Labels, number: int) -> NDArray[np.bool_]:
    """What points and scribbles of a class cover: (H, W)."""
    return _spots(labels, labels.points[number][0] if number in labels.points else np.zeros((0, 2)), labels.scribbles.get(number, ()))


def _denied(taken: NDArray[np.bool_], labels: Labels, number: int) -> NDArray[np.bool_]:
    """The connected parts (H, W) of a class with a negative point and no positive one or scribble, and what the negative points cover."""
    if number not in labels.points or not len(labels.points[number][1]):
        return np.zeros(taken.shape, bool)
    against, marked = _spots(labels, labels.points[number][1], ()), _marked(labels, number)
    parts, count = ndimage.label(taken, _TOUCHING)
    out = [part for part in range(1, count + 1) if (against & (parts == part)).any() and not (marked & (parts == part)).any()]
    return np.isin(parts, out) | against


def _spots(labels: Labels, points: NDArray[np.floating], lines: Sequence[NDArray[np.floating]]) -> NDArray[np.bool_]:
    """Discs around points, and lines as wide: (H, W)."""
    found = np.zeros(labels.size, bool)
    for x, y in points:
        found[min(int(y), labels.size[0] - 1), min(int(x), labels.size[1] - 1)] = True
    for line in lines:
        found |= draw_polyline(labels.size, np.minimum(line, [labels.size[1] - 1e-6, labels.size[0] - 1e-6]))
    if not found.any():
        return found
    return np.asarray(ndimage.distance_transform_edt(~found) <= AROUND * max(labels.size))
