"""What is given of one image by prompts: points, boxes and masks of classes, which may overlap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from likewise.data.resolve import Labels


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
        """The prompts that labels hold as they are: classes of the map as masks, points, boxes; scribbles as points along them."""
        masks = {}
        if labels.label_map is not None:
            masks = {int(number): labels.mask(int(number)) for number in np.unique(labels.label_map) if number > 0}
        positive = {number: points[0] for number, points in labels.points.items() if len(points[0])}
        negative = {number: points[1] for number, points in labels.points.items() if len(points[1])}
        return cls(labels.size, positive, negative, dict(labels.boxes), masks)

    def numbers(self) -> set[int]:
        """The classes that have a prompt."""
        return {*self.positive, *self.negative, *self.boxes, *self.masks}
