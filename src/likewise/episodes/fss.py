"""FSS-1000 (Li et al. 2020) in the folders of its authors: CLASS/1.jpg to 10.jpg, each with a mask CLASS/1.png."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from likewise.data import ClassTable
from likewise.data.images import ImageSource, read_image
from likewise.episodes.benchmark import Part
from likewise.episodes.folders import check_pair
from likewise.episodes.folding import Folding
from likewise.episodes.items import VOID
from likewise.episodes.lists import ImageList
from likewise.errors import InputError
from likewise.formats.files import read_bytes

_DATA = ("fewshot_data/fewshot_data", "fewshot_data", "FSS-1000", ".")
_LISTS = ("splits/fss", "splits/fss-1000", ".")
_TEST_ONLY = "fss_test_set.txt"  # the list of the authors


class FssBenchmark:
    """FSS-1000. See `Benchmark`: one fold; its parts by trn.txt, val.txt and test.txt, or by the authors' list of test classes.

    With that list alone all other classes are "train"; without any list, all classes are "test". Masks are white on black.
    """

    name = "fss-1000"
    folds = 1

    def __init__(self, root: Path) -> None:
        self.root = next((root / place for place in _DATA if next((root / place).glob("*/*.jpg"), None) is not None), root)
        folders = sorted(path.name for path in self.root.iterdir() if path.is_dir() and next(path.glob("*.jpg"), None)) if self.root.is_dir() else []
        if not folders:
            raise InputError("there are no folders of classes with pictures", where=str(root), remedy="Put CLASS/1.jpg and CLASS/1.png into it")
        numbers = [number for number in range(1, len(folders) + 2) if number != VOID][: len(folders)]
        self._table = ClassTable(dict(zip(numbers, folders, strict=True)))
        self.folding = _folding(root, self.root, self._table)

    @property
    def class_names(self) -> Mapping[int, str]:
        """The names of the folders, numbered in order."""
        return self._table.names

    def images(self, part: Part, fold: int) -> ImageList:
        """The pictures of a part by class, in the order of their names."""
        classes = self.folding.classes(part, fold, f"{self.name}, {part}")
        return ImageList({number: self._names[number] for number in classes})

    def source(self, name: str) -> ImageSource:
        """The path of a picture."""
        return self.root / f"{name}.jpg"

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3)."""
        return read_image(self.source(name))

    def labels(self, name: str) -> NDArray[np.integer]:
        """The number of the picture's class where its mask is white, 0 elsewhere."""
        path = self.root / f"{name}.png"
        try:
            with Image.open(path) as image:
                white = np.asarray(image.convert("L")) > 127
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise InputError(f"the mask cannot be read ({error})", where=str(path), remedy="Fetch it again") from error
        return white * np.int16(self._table.number(name.rpartition("/")[0]))

    def check(self, names: Sequence[str]) -> None:
        """InputError for the first picture or mask that is missing, or whose sizes differ."""
        for name in names:
            check_pair(self.root / f"{name}.jpg", self.root / f"{name}.png")

    @cached_property
    def _names(self) -> dict[int, list[str]]:
        return {number: sorted(f"{folder}/{path.stem}" for path in (self.root / folder).glob("*.jpg")) for number, folder in self._table.names.items()}


def _folding(root: Path, data: Path, table: ClassTable) -> Folding:
    listed = {part: _listed(root, f"{file}.txt", table) for part, file in (("train", "trn"), ("val", "val"), ("test", "test"))}
    if listed["test"] is not None:
        return Folding([{part: numbers for part, numbers in listed.items() if numbers}], "trn.txt, val.txt and test.txt")  # type: ignore[misc]
    test = _listed(root, _TEST_ONLY, table) or _listed(data.parent, _TEST_ONLY, table)
    if test is None:
        return Folding([{"test": table.numbers}], "no list: all classes are test classes")
    return Folding([{"train": tuple(number for number in table if number not in test), "val": test, "test": test}], _TEST_ONLY)


def _listed(root: Path, file: str, table: ClassTable) -> tuple[int, ...] | None:
    path = next((root / place / file for place in _LISTS if (root / place / file).is_file()), None)
    if path is None:
        return None
    try:
        return tuple(table.number(name) for name in read_bytes(path).decode("utf-8-sig").split())
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f"it names a class without a folder ({error})", where=str(path), remedy="Fetch the data set again, or correct the list") from error
