"""COCO annotations as Label Anything uses them: which are kept, folds, masks, label maps.

Source: De Marinis et al. 2024, its code. Annotations of crowds are left out, and small ones if that is asked for: they are then
neither prompts nor truth. Categories stand in the order of the file, images and annotations too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import InputError
from likewise.formats.rle import decode_mask, polygon_mask

SMALL = 2 * 32 * 32  # square pixels: published
FOLDS = 4


@dataclass(frozen=True)
class Annotation:
    """One object: its image, box (x, y, w, h), area in square pixels as the file says, polygons or run-lengths, or its pixels (H, W) bool."""

    image: int
    category: int
    box: tuple[float, float, float, float]
    area: float
    shape: Any

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Its pixels (H, W); of an outline without any, the one of its first corner."""
        if isinstance(self.shape, np.ndarray):
            return self.shape
        if isinstance(self.shape, Mapping):
            found = decode_mask(self.shape["counts"], size)
            column, row = 0, 0
        else:
            found = polygon_mask(self.shape, size)
            column, row = (int(value) for value in self.shape[0][:2])
        if not found.any():
            found[min(max(row, 0), size[0] - 1), min(max(column, 0), size[1] - 1)] = True
        return found


@dataclass(frozen=True)
class Annotated:
    """Images with annotations of some categories, which stand in order: sizes (H, W) by image number, annotations as the file lists them."""

    categories: tuple[int, ...]
    sizes: Mapping[int, tuple[int, int]]
    listed: tuple[Annotation, ...]

    @cached_property
    def annotations(self) -> Mapping[int, tuple[Annotation, ...]]:
        """Those of each image."""
        found: dict[int, list[Annotation]] = {image: [] for image in self.sizes}
        for each in self.listed:
            found[each.image].append(each)
        return {image: tuple(own) for image, own in found.items()}

    @cached_property
    def walked(self) -> Mapping[int, tuple[int, ...]]:
        """The images of each category in the order in which CPython walks their set, made in the order of the file."""
        found: dict[int, set[int]] = {number: set() for number in self.categories}
        for each in self.listed:
            found[each.category].add(each.image)
        return {number: tuple(images) for number, images in found.items()}

    def of(self, image: int) -> list[int]:
        """The categories in an image, in the order of its annotations, each once."""
        return list(dict.fromkeys(each.category for each in self.annotations[image]))

    def labels(self, image: int, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """The label map (H, W) of an image: place + 1 of each category in `numbers`; later annotations cover earlier ones."""
        found = np.zeros(self.sizes[image], np.uint8)
        for each in self.annotations[image]:
            if each.category in numbers:
                found[each.mask(self.sizes[image])] = list(numbers).index(each.category) + 1
        return found


def held_out(categories: Sequence[int], fold: int) -> tuple[int, ...]:
    """The categories of a fold: every fourth, from the fold's number on."""
    return tuple(categories[fold::FOLDS])


def annotated(content: Mapping[str, Any], categories: Sequence[int] | None = None, *, smallest: float = SMALL) -> Annotated:
    """The annotations of some categories (None: all) in the content of a COCO file; images without any are left out.

    smallest: area in square pixels below which an annotation is left out. InputError where nothing is left.
    """
    every = [int(each["id"]) for each in content["categories"]]
    chosen = tuple(every if categories is None else [number for number in every if number in categories])
    sizes = {int(each["id"]): (int(each["height"]), int(each["width"])) for each in content["images"]}
    kept = []
    for each in content["annotations"]:
        if not each.get("iscrowd") and float(each["area"]) >= smallest and int(each["category_id"]) in chosen:
            x, y, width, height = (float(value) for value in each["bbox"])
            kept.append(Annotation(int(each["image_id"]), int(each["category_id"]), (x, y, width, height), float(each["area"]), each["segmentation"]))
    if not kept:
        raise InputError("no annotation is left", where="annotations", remedy="Keep small ones, or ask for other categories")
    shown = {each.image for each in kept}
    return Annotated(chosen, {image: size for image, size in sizes.items() if image in shown}, tuple(kept))
