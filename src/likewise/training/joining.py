"""Pictures joined of windows of others, in tokens and labels, so that pictures with one class each make one with several. Ours.

The tokens of a window are those of its whole picture: a joined picture costs no pass of the backbone, and at its seams tokens know
nothing of their new neighbours. Objects keep their size. Joining in pixels would cost a pass for every new picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

KEPT = 0.6  # of what the best window keeps of an object, at least, one that is drawn keeps
EVEN = 0.35, 0.65  # shares at which a picture is cut in two


@dataclass(frozen=True)
class Rectangle:
    """Cells of a grid."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Of rows and of columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def scaled(self, factor: int) -> Rectangle:
        """The same in cells that are so many times smaller."""
        return Rectangle(self.top * factor, self.left * factor, self.height * factor, self.width * factor)


def divided(whole: Rectangle, count: int, random: np.random.Generator) -> list[Rectangle]:
    """A rectangle cut into so many, the longer side first, sides of equal length by chance."""
    if count == 1:
        return [whole]
    tall = whole.height > whole.width or (whole.height == whole.width and random.random() < 0.5)
    side = whole.height if tall else whole.width
    at = min(max(1, round(side * random.uniform(*EVEN))), side - 1)
    if tall:
        first, second = Rectangle(whole.top, whole.left, at, whole.width), Rectangle(whole.top + at, whole.left, side - at, whole.width)
    else:
        first, second = Rectangle(whole.top, whole.left, whole.height, at), Rectangle(whole.top, whole.left + at, whole.height, side - at)
    return [*divided(first, count // 2, random), *divided(second, count - count // 2, random)]


def window(objects: NDArray[np.integer], height: int, width: int, random: np.random.Generator) -> Rectangle:
    """A window of a grid with numbers of pixels of an object (E, E) that keeps much of the object."""
    sums = np.pad(objects.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    rows, columns = np.nonzero(inside >= KEPT * inside.max())
    place = int(random.integers(len(rows)))
    return Rectangle(int(rows[place]), int(columns[place]), height, width)


def joined(pictures: Sequence[tuple[Tensor, Tensor]], random: np.random.Generator, *, void: int = 255, mirrored: float = 0.0) -> tuple[Tensor, Tensor]:
    """Tokens (E, E, F) and labels (E*s, E*s) of a picture of one window of each of these; a single one is taken whole.

    mirrored: chance that a picture is mirrored first, its tokens by their places alone.
    """
    turned = [(tokens.flip(1), labels.flip(1)) if random.random() < mirrored else (tokens, labels) for tokens, labels in pictures]
    if len(turned) == 1:
        return turned[0]
    grid = turned[0][0].shape[0]
    cell = turned[0][1].shape[0] // grid
    whole_tokens, whole_labels = torch.empty_like(turned[0][0]), torch.empty_like(turned[0][1])
    places = divided(Rectangle(0, 0, grid, grid), len(turned), random)
    for (tokens, labels), place in zip(turned, places, strict=True):
        objects = ((labels > 0) & (labels != void)).reshape(grid, cell, grid, cell).sum(dim=(1, 3)).numpy()
        own = window(objects, place.height, place.width, random)
        whole_tokens[place.slices] = tokens[own.slices]
        whole_labels[place.scaled(cell).slices] = labels[own.scaled(cell).slices]
    return whole_tokens, whole_labels
