"""COCO-20i from COCO's own instances files, as Label Anything reads it: folds interleaved, classes in the order of the file.

Source: De Marinis et al. 2024, its code: annotations of 2014, the file of validation for the classes that are tested, pictures of either release.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.data.images import ImageSource, image_size, read_image
from likewise.episodes.benchmark import Part
from likewise.episodes.lists import ImageList
from likewise.episodes.prompted.annotations import FOLDS, Annotated, Annotation, annotated, held_out
from likewise.errors import InputError, UsageError
from likewise.formats.files import read_json

SOURCE = "Get it from https://cocodataset.org/#download (2014 train/val annotations and pictures)"
_DATA = ("COCO2014", "coco", ".")
_ANNOTATIONS = ("annotations", ".")
_PICTURES = ("train2014", "val2014", "train2017", "val2017", "images")


@dataclass(frozen=True)
class _File:
    """One instances file. listed: without small objects, which says what images show; shown: what is truth and prompt; titles: names of pictures."""

    listed: Annotated
    shown: Annotated
    names: tuple[str, ...]
    titles: Mapping[int, str]


class InstancesBenchmark:
    """See `Benchmark` and `truth.Annotating`. "val" and "test" are the same; images are called train/NUMBER and val/NUMBER.

    Crowds are left out. Images are listed for a class by its objects of `SMALL` square pixels at least. official: smaller objects are
    background; else they are labelled as all others.
    """

    name = "coco-20i"
    folds = FOLDS

    def __init__(self, root: Path, *, official: bool = False) -> None:
        """root: holds annotations/instances_val2014.json (and train, for the part "train") and folders of pictures. InputError where it does not."""
        self._root = next((root / place for place in _DATA if (root / place / "annotations").is_dir()), root)
        self._official = official
        self._files: dict[str, _File] = {"val": self._read("val")}

    @cached_property
    def class_names(self) -> Mapping[int, str]:
        """Class names by their place in the file, from 1."""
        return dict(enumerate(self._files["val"].names, start=1))

    def images(self, part: Part, fold: int) -> ImageList:
        """The images of a part by class, in the order of the published code; only objects of the part's classes count."""
        if not 0 <= fold < FOLDS:
            raise UsageError(f"there is no fold {fold}", where=self.name, remedy=f"Folds are 0 to {FOLDS - 1}")
        file = "train" if part == "train" else "val"
        listed = self._file(file).listed
        tested = held_out(listed.categories, fold)
        numbers = {category: number for number, category in enumerate(listed.categories, start=1) if (category in tested) == (file == "val")}
        bare = [self.class_names[number] for category, number in numbers.items() if not listed.walked[category]]
        if bare:
            raise InputError(f"no image shows {', '.join(bare[:5])}", where=f"{self.name}, fold {fold}, {part}", remedy=SOURCE)
        counts: dict[str, Counter[int]] = {}
        for each in listed.listed:
            if each.category in numbers:
                counts.setdefault(f"{file}/{each.image}", Counter())[numbers[each.category]] += 1
        return ImageList({number: [f"{file}/{image}" for image in listed.walked[category]] for category, number in numbers.items()}, objects=counts)

    def source(self, name: str) -> ImageSource:
        """The path of a picture in any of the usual folders, by its name in the file or what stands behind the last underscore. InputError where it is not."""
        file, image = self._parted(name)
        title = file.titles[image]
        places = [self._root / folder / each for folder in _PICTURES for each in (title, title.rpartition("_")[2])]
        found = next((path for path in places if path.is_file()), None)
        if found is None:
            raise InputError("the picture is not there", where=str(self._root / title), remedy=f"Put it into a folder {', '.join(_PICTURES)}. {SOURCE}")
        return found

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3)."""
        return read_image(self.source(name))

    def labels(self, name: str) -> NDArray[np.integer]:
        """Class numbers (H, W) of all classes; where objects overlap the later in the file lies on top."""
        return self.labels_among(name, list(self.class_names))

    def labels_among(self, name: str, classes: Sequence[int]) -> NDArray[np.uint8]:
        """The label map (H, W) of some classes alone: place + 1 of each."""
        file, image = self._parted(name)
        return file.shown.labels(image, [file.shown.categories[number - 1] for number in classes])

    def objects(self, name: str, classes: Sequence[int]) -> list[Annotation]:
        """The objects of some classes, with place + 1 of each for its category."""
        file, image = self._parted(name)
        places = {file.shown.categories[number - 1]: place for place, number in enumerate(classes, start=1)}
        listed = [each for each in file.shown.annotations[image] if each.category in places]
        return [Annotation(image, places[each.category], each.box, each.area, each.shape) for each in listed]

    def check(self, names: Sequence[str]) -> None:
        """InputError for the first picture that is missing, or of another size than its annotations."""
        for name in names:
            source, (file, image) = self.source(name), self._parted(name)
            size, told = image_size(source), file.shown.sizes[image]
            if size != told:
                raise InputError(f"it is {size[1]}x{size[0]}, its annotations {told[1]}x{told[0]}", where=str(source), remedy=SOURCE)

    def _parted(self, name: str) -> tuple[_File, int]:
        file, _, image = name.partition("/")
        return self._file(file), int(image)

    def _file(self, name: str) -> _File:
        if name not in self._files:
            self._files[name] = self._read(name)
        return self._files[name]

    def _read(self, name: str) -> _File:
        title = f"instances_{name}2014.json"
        path = next((self._root / folder / title for folder in _ANNOTATIONS if (self._root / folder / title).is_file()), None)
        if path is None:
            raise InputError(f"{title} is not there", where=str(self._root / _ANNOTATIONS[0]), remedy=SOURCE)
        return _opened(read_json(path), path, official=self._official)


def _opened(content: Any, path: Path, *, official: bool) -> _File:
    try:
        listed = annotated(content)
        shown = listed if official else annotated(content, smallest=0)
        titles = {int(each["id"]): str(each["file_name"]) for each in content["images"]}
        return _File(listed, shown, tuple(str(each["name"]) for each in content["categories"]), titles)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"it is no instances file of COCO ({type(error).__name__}: {error})", where=str(path), remedy=SOURCE) from error
