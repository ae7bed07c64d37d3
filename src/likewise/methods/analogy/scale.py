"""The working scale: from how thick the labelled parts are and how large the images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.data import LabelledImage, Support

COARSE, FINE, TILED = 448, 896, 1792
TILE = 896  # no more than this goes through the network at once
PICTURES = (512, 768, 1024, 1536, 2048)  # longer sides at which a pixel read-out may see the picture
_LARGE = 60.0  # pixels at 448: parts as thick as this need no finer look
_FAINT = 14.0  # pixels at 896: parts thinner than this are lost there, if the image has more to show
_PIXELS = 2.0  # of the picture that the thinnest class should measure across
_GAIN = 1.3  # by how much the image itself must be larger than a working size for the next one to show more


@dataclass(frozen=True)
class Scale:
    """Working sizes to choose from, the longer side of the picture for a pixel read-out, and why."""

    sides: tuple[int, ...]
    pixels: int
    because: str


def working_scale(support: Support) -> Scale:
    """The scale for a support.

    The thickness of a class is twice its area over its outline, in shares of the image's side: the width of a line,
    half the diameter of a disc, half the side of a square. The thinnest class counts, and the largest image.
    """
    if not support.classes.names:
        return Scale((COARSE,), PICTURES[0], "there is no class")
    thickness = [value for number in support.classes if (value := _thickness(support, number)) is not None]
    side = max(float(np.sqrt(example.labels.size[0] * example.labels.size[1])) for example in support.examples)
    if not thickness:
        return Scale((COARSE, FINE), PICTURES[0], "no class has an outline to measure")
    thin = min(thickness)
    told = f"the thinnest class is {100 * thin:.1f} % of the image's side across"
    pixels = next((longer for longer in PICTURES if thin * longer >= _PIXELS), PICTURES[-1])
    if thin * COARSE >= _LARGE:
        return Scale((COARSE,), PICTURES[0], f"{told}: one coarse pass shows it")
    if thin * FINE < _FAINT and side >= _GAIN * FINE:
        return Scale((FINE, TILED), pixels, f"{told}, and images of {side:.0f} pixels have more to show than {FINE}")
    return Scale((COARSE, FINE), pixels, f"{told}: tried at both")


def _thickness(support: Support, number: int) -> float | None:
    area, outline = 0.0, 0.0
    for example in support.examples:
        side = float(np.sqrt(example.labels.size[0] * example.labels.size[1]))
        for part_area, part_outline in _parts(example, number):
            area += part_area / side**2
            outline += part_outline / side
    return 2 * area / outline if outline else None


def _parts(example: LabelledImage, number: int) -> Iterator[tuple[float, float]]:
    """Area and outline in pixels of a class's mask and boxes in an example."""
    mask = example.labels.mask(number)
    if mask.any():
        yield float(mask.sum()), _outline(mask)
    for x0, y0, x1, y1 in example.labels.boxes.get(number, ()):
        yield float((x1 - x0) * (y1 - y0)), float(2 * (x1 - x0 + y1 - y0))


def _outline(mask: NDArray[np.bool_]) -> float:
    """The number of pixel edges between inside and outside, the image's border not counted, at least 1.

    Edges overrate slanted outlines by up to 1.4: near enough to choose a working size by.
    """
    return float(max(1, (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()))
