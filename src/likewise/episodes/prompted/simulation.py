"""Prompts made from annotations, as Label Anything is trained and tested with them.

Source: De Marinis et al. 2024, its code. Chance comes from Python's generator (types of prompts) and from NumPy's legacy
one (noise of boxes, points), both handed in, so that published episodes can be repeated.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from likewise.data.image_prompts import ImagePrompts
from likewise.episodes.prompted.annotations import Annotation

Kind = Literal["point", "bbox", "mask"]
KINDS: tuple[Kind, ...] = ("point", "bbox", "mask")
SUBSETS: tuple[tuple[Kind, ...], ...] = tuple(part for size in (1, 2, 3) for part in combinations(KINDS, size))
NOISE, NOISE_MOST = 0.1, 20.0  # of a box's corners: share of its side, pixels
POINTS_MOST = 10
MASKS_ABOVE = 70  # annotations of a class in an image: then all prompts are masks


@dataclass
class Chance:
    """Both generators."""

    python: random.Random = field(default_factory=random.Random)
    numpy: np.random.RandomState = field(default_factory=np.random.RandomState)

    @classmethod
    def seeded(cls, seed: int) -> Chance:
        """Both from one seed."""
        return cls(random.Random(seed), np.random.RandomState(seed))  # noqa: S311 (episodes, no secrets)


def simulated(
    annotations: Sequence[Annotation],
    categories: Sequence[int],
    size: tuple[int, int],
    kinds: Sequence[Kind],
    chance: Chance,
    *,
    noisy: bool,
    most: int = MASKS_ABOVE,
) -> ImagePrompts:
    """Prompts of every annotation of some categories of an image of `size`, by category.

    kinds: from which each annotation's is drawn; above `most` annotations of a category all are masks; noisy: corners of
    boxes are moved a little.
    """
    points: dict[int, list[NDArray[np.float64]]] = {}
    boxes: dict[int, list[NDArray[np.float64]]] = {}
    masks: dict[int, NDArray[np.bool_]] = {}
    for category in categories:
        own = [each for each in annotations if each.category == category]
        drawn: list[Kind] = ["mask"] * len(own) if len(own) > most else chance.python.choices(list(kinds), k=len(own))
        for each, kind in zip(own, drawn, strict=True):
            if kind == "bbox":
                boxes.setdefault(category, []).append(box_of(each, size, chance.numpy if noisy else None))
            elif kind == "point":
                points.setdefault(category, []).append(points_of(each, size, chance.numpy))
            else:
                mask = each.mask(size)
                masks[category] = masks[category] | mask if category in masks else mask
    return ImagePrompts(
        size,
        positive={category: np.concatenate(listed) for category, listed in points.items()},
        boxes={category: np.stack(listed) for category, listed in boxes.items()},
        masks=masks,
    )


def box_of(annotation: Annotation, size: tuple[int, int], noise: np.random.RandomState | None) -> NDArray[np.float64]:
    """The corners (4,) of an annotation's box, moved a little and kept within the image where noise is asked for."""
    x, y, width, height = annotation.box
    corners = np.array([x, y, x + width, y + height])
    if noise is None:
        return corners
    for place, side in enumerate((width, height, width, height)):
        corners[place] += np.clip(noise.normal(0, NOISE * side), -NOISE_MOST, NOISE_MOST)
    return np.asarray(np.clip(corners, 0, [size[1], size[0], size[1], size[0]]))


def points_of(annotation: Annotation, size: tuple[int, int], noise: np.random.RandomState) -> NDArray[np.float64]:
    """Points (n, 2) in an annotation, one to ten by its share of the image, in the middle of pixels; a pixel may come twice."""
    count = int(np.clip(noise.poisson(10 * math.sqrt(annotation.area / (size[0] * size[1]))) + 1, 1, POINTS_MOST))
    return np.stack([sampled(annotation.mask(size), noise) for _ in range(count)])


def sampled(mask: NDArray[np.bool_], noise: np.random.RandomState) -> NDArray[np.float64]:
    """The middle (2,), (x, y), of a pixel of a mask (H, W), all alike."""
    rows, columns = np.nonzero(mask)
    place = noise.randint(len(rows))
    return np.array([columns[place] + 0.5, rows[place] + 0.5])
