"""Prompts as tensors: points, boxes and masks of every class in every support image.

Letters: B episodes, M support images, C classes with the background as class 0, P and X slots for points and boxes, filled up
with zeros and the flag 0. Coordinates are pixels of the square that the network sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data.image_prompts import ImagePrompts
from likewise.methods.label_anything.pictures import MASK_SIDE, Frame


@dataclass(frozen=True)
class Prompts:
    """The prompts of episodes.

    points (B, M, C, P, 2) as (x, y), point_flags (B, M, C, P): 1 in the class, -1 not in it, 0 an empty slot;
    boxes (B, M, C, X, 4) as (x0, y0, x1, y1), box_flags (B, M, C, X) of 0 and 1; masks (B, M, C, h, w) of 0 and 1,
    mask_flags (B, M, C). None for a type of which there is nothing; so is a type whose flags are all 0.
    """

    points: Tensor | None = None
    point_flags: Tensor | None = None
    boxes: Tensor | None = None
    box_flags: Tensor | None = None
    masks: Tensor | None = None
    mask_flags: Tensor | None = None

    def given(self) -> Prompts:
        """These, a type whose flags are all 0 left out. ValueError where nothing is left."""
        found = self
        for flags, what in (("point_flags", "points"), ("box_flags", "boxes"), ("mask_flags", "masks")):
            own = getattr(found, flags)
            if own is not None and not bool((own != 0).any()):
                found = replace(found, **{flags: None, what: None})
        if found.points is None and found.boxes is None and found.masks is None:
            raise ValueError("there are no prompts")
        return found

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, M, C)."""
        own = next(tensor for tensor in (self.point_flags, self.box_flags, self.mask_flags) if tensor is not None)
        return own.shape[0], own.shape[1], own.shape[2]

    def some(self) -> Tensor:
        """Which pairs of image and class have a prompt: (B, M, C) bool; the background always counts as one that has."""
        found = torch.zeros(self.shape, dtype=torch.bool)
        for flags in (self.point_flags, self.box_flags):
            if flags is not None:
                found |= (flags != 0).any(dim=-1)
        if self.mask_flags is not None:
            found |= self.mask_flags != 0
        found[..., 0] = True
        return found


def prompts_from(images: Sequence[ImagePrompts], numbers: Sequence[int], frame: Frame, *, official: bool = True) -> Prompts:
    """The prompts of the support images of one episode (B = 1), the classes `numbers` behind the background.

    official: the published positions, in which points stand for pixels by their number and boxes are moved by half a pixel of the
    square, and objects that vanish when a mask is made smaller. Else positions as they are, and no object vanishes.
    """
    shape = (1, len(images), 1 + len(numbers))
    pairs = {(m, c): _Pair.of(image, number, frame, official) for m, image in enumerate(images) for c, number in enumerate(numbers, start=1)}
    slots_of_points = max((len(pair.points) for pair in pairs.values()), default=0)
    slots_of_boxes = max((len(pair.boxes) for pair in pairs.values()), default=0)
    points, point_flags = torch.zeros(*shape, slots_of_points, 2), torch.zeros(*shape, slots_of_points, dtype=torch.int8)
    boxes, box_flags = torch.zeros(*shape, slots_of_boxes, 4), torch.zeros(*shape, slots_of_boxes, dtype=torch.int8)
    masks, mask_flags = torch.zeros(*shape, MASK_SIDE, MASK_SIDE, dtype=torch.uint8), torch.zeros(shape, dtype=torch.int8)
    for (m, c), pair in pairs.items():
        points[0, m, c, : len(pair.points)], point_flags[0, m, c, : len(pair.points)] = torch.from_numpy(pair.points), torch.from_numpy(pair.flags)
        boxes[0, m, c, : len(pair.boxes)], box_flags[0, m, c, : len(pair.boxes)] = torch.from_numpy(pair.boxes), 1
        if pair.mask is not None:
            masks[0, m, c], mask_flags[0, m, c] = torch.from_numpy(pair.mask), int(pair.mask.any())
    return Prompts(points, point_flags, boxes, box_flags, masks, mask_flags)


@dataclass(frozen=True)
class _Pair:
    """The prompts of a class in an image, in pixels of the square."""

    points: NDArray[np.float32]
    flags: NDArray[np.int8]
    boxes: NDArray[np.float32]
    mask: NDArray[np.uint8] | None

    @classmethod
    def of(cls, image: ImagePrompts, number: int, frame: Frame, official: bool) -> _Pair:
        nothing = np.zeros((0, 2))
        positive, negative = image.positive.get(number, nothing), image.negative.get(number, nothing)
        both = np.concatenate([positive, negative])
        # the encoder adds half a pixel of the square: published positions are those of pixels, counted before they are scaled
        points = frame.placed(both - 0.5, image.size) if official else frame.placed(both, image.size) - 0.5
        corners = frame.placed(image.boxes.get(number, np.zeros((0, 4))).reshape(-1, 2), image.size).reshape(-1, 4)
        mask = frame.mask(image.masks[number], official=official) if number in image.masks else None
        flags = np.array([1] * len(positive) + [-1] * len(negative), np.int8)
        return cls(points.astype(np.float32), flags, corners if official else corners - np.float32(0.5), mask)
