"""Class-agnostic episodes: every picture is a class of its own, its views are the images of that class.

From pictures with one mask of what stands out and no class (salient objects), a method can learn to find "the same thing again".
Ours; the idea of training by two alterations of one picture is that of contrastive learning (Chen et al. 2020).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from likewise.data.images import ImageSource
from likewise.episodes.benchmark import Part
from likewise.episodes.items import VOID
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.lists import ImageList
from likewise.errors import InputError, UsageError

VIEWS = 4  # of each picture
MARK = "@"  # between the name of a picture and the number of its view
_TRIES = 20
_KEPT = 0.6  # of the object's pixels, at least, lie in a view

_T = TypeVar("_T", bound=np.generic)


class ViewsBenchmark:
    """The views of the pictures of another benchmark, one fold. See `Benchmark`.

    A view is cropped to between a half and all of each side, mirrored or not, in another light and colour, by chance that hangs on its
    name alone; view 0 is the picture as it is. What any class covers is the object. Parts are the splits of images that
    the data set says ("train", "val", "test"); without any, all pictures are in every part.
    """

    folds = 1

    def __init__(self, pictures: LabelledBenchmark, views: int = VIEWS) -> None:
        if views < 2:
            raise UsageError(f"{views} views of a picture", where="views", remedy="A query and a support need two at least")
        self.name = f"{pictures.name}-views"
        self._pictures, self._views = pictures, views
        names = pictures.every_image
        free = (number for number in range(1, len(names) + 2) if number != VOID)
        self._numbers = dict(zip(names, free, strict=False))

    @property
    def class_names(self) -> Mapping[int, str]:
        """The names of the pictures by number."""
        return {number: name for name, number in self._numbers.items()}

    def images(self, part: Part, fold: int) -> ImageList:
        """The names of the views of each picture of a part."""
        if fold != 0:
            raise UsageError(f"there is no fold {fold}", where=self.name, remedy="Class-agnostic episodes have fold 0 alone")
        names = self._pictures.split(part)
        if not names:
            raise InputError(f"split {part!r} has no picture", where=self.name, remedy="Name pictures in the split of dataset.json")
        return ImageList({self._numbers[name]: [f"{name}{MARK}{view}" for view in range(self._views)] for name in names if name in self._numbers})

    def classes_in(self, names: Sequence[str]) -> list[str]:
        """The names of the classes that the pictures of these views show, where those have any."""
        return self._pictures.classes_in([_parted(name)[0] for name in names])

    def source(self, name: str) -> ImageSource:
        """The pixels of a view; of view 0 the path of the picture."""
        picture, view = _parted(name)
        return self._pictures.source(picture) if view == 0 else self.image(name)

    def image(self, name: str) -> NDArray[np.uint8]:
        """A view (H, W, 3), of the size of its crop."""
        picture, view = _parted(name)
        pixels = self._pictures.image(picture)
        if view == 0:
            return pixels
        random = _random(name)
        rows, columns = _crop(self._objects(picture), random)
        return _coloured(_mirrored(pixels[rows, columns], random), random)

    def labels(self, name: str) -> NDArray[np.integer]:
        """The number of the picture on its object, 255 for void, (H, W) of the view."""
        picture, view = _parted(name)
        objects = self._objects(picture) * np.int16(self._numbers[picture])
        labels = np.where(self._pictures.labels(picture) == VOID, np.int16(VOID), objects)
        if view == 0:
            return labels
        random = _random(name)
        rows, columns = _crop(self._objects(picture), random)
        return np.ascontiguousarray(_mirrored(labels[rows, columns], random))

    def check(self, names: Sequence[str]) -> None:
        """InputError for a picture that is gone."""
        self._pictures.check([_parted(name)[0] for name in names])

    def _objects(self, picture: str) -> NDArray[np.bool_]:
        labels = self._pictures.labels(picture)
        return np.asarray((labels > 0) & (labels != VOID))


def _parted(name: str) -> tuple[str, int]:
    picture, _, view = name.rpartition(MARK)
    return picture, int(view)


def _random(name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def _crop(objects: NDArray[np.bool_], random: np.random.Generator) -> tuple[slice, slice]:
    """A rectangle with most of the object, all of the picture where chance finds none."""
    height, width = objects.shape
    found = slice(0, height), slice(0, width)
    shares = random.uniform(0.5, 1.0, (_TRIES, 2))
    places = random.uniform(0.0, 1.0, (_TRIES, 2))
    for (tall, wide), (down, right) in zip(shares, places, strict=True):
        rows, columns = max(1, round(height * tall)), max(1, round(width * wide))
        top, left = round((height - rows) * down), round((width - columns) * right)
        tried = slice(top, top + rows), slice(left, left + columns)
        if objects[tried].sum() >= _KEPT * objects.sum():
            return tried
    return found


def _mirrored(plane: NDArray[_T], random: np.random.Generator) -> NDArray[_T]:
    return plane[:, ::-1] if random.random() < 0.5 else plane


def _coloured(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (H, W, 3) with another exposure, contrast, cast and saturation."""
    gain, contrast, saturation = random.uniform([0.7, 0.7, 0.5], [1.3, 1.3, 1.5])
    cast = random.uniform(0.9, 1.1, 3)
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)[:, :, None].astype(np.float32)
    values = grey + saturation * (pixels - grey)
    values = gain * cast * (contrast * (values - 127.5) + 127.5)
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
