"""What is given of one image by prompts: points, boxes and masks of classes, which may overlap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from likewise.data.resolve import Labels

ALONG = 5  # points that stand for a scribble


@dataclass(frozen=True)
class ImagePrompts:
    """The prompts of an image by class number, in its pixels (pixel i covers [i, i+1)).

    size: (H, W); positive, negative: points (n, 2) as (x, y) in a class and not in it; boxes: (n, 4) as (x0, y0, x1, y1);
    masks: (H, W) bool.
    """

    size: tuple[int, int]
    positive: Mapping[int, NDArray[np.floating]] = field(default_factory=dict)
    negative: Mapping[int, NDArray[np.floating]] = field(default_factory=dict)
    boxes: Mapping[int, NDArray[np.floating]] = field(default_factory=dict)
    masks: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)

    @classmethod
    def of(cls, labels: Labels) -> ImagePrompts:
        """The prompts that labels hold: classes of the map as masks, points, boxes; scribbles as points along them."""
        drawn = set() if labels.label_map is None else {int(number) for number in np.unique(labels.label_map) if number > 0}
        masks = {number: labels.mask(number) for number in drawn | labels.masks.keys()}
        positive = {number: points[0] for number, points in labels.points.items() if len(points[0])}
        for number, lines in labels.scribbles.items():
            along = np.concatenate([spread_along(line, ALONG) for line in lines])
            positive[number] = np.concatenate([positive[number], along]) if number in positive else along
        negative = {number: points[1] for number, points in labels.points.items() if len(points[1])}
        return cls(labels.size, positive, negative, dict(labels.boxes), masks)

    def numbers(self) -> set[int]:
        """The classes that have a prompt."""
        return {*self.positive, *self.negative, *self.boxes, *self.masks}


def spread_along(line: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    """So many points (count, 2) at even distances along a polyline (K, 2), its ends among them; one for a line without length.

    >>> spread_along(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]]), 3).tolist()
    [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]]
    """
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    walked = np.concatenate([[0.0], np.cumsum(steps)])
    if walked[-1] == 0:
        return np.asarray(line[:1], np.float64)
    places = np.linspace(0, walked[-1], count)
    return np.stack([np.interp(places, walked, line[:, axis]) for axis in (0, 1)], axis=1)
