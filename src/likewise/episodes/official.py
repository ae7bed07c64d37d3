"""Pascal-5i and COCO-20i as benchmarks: the published lists, and pictures and masks in the folders that their authors use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data.images import ImageSource
from likewise.episodes.benchmark import Part
from likewise.episodes.folders import CocoFolder, PascalFolder, check_pair
from likewise.episodes.folds import FOLDS, OfficialName, class_names
from likewise.episodes.lists import SOURCE, ImageList, read_list
from likewise.errors import InputError

_LISTS = {"pascal-5i": ("splits/pascal", "splits/pascal-5i", "pascal-5i", "."), "coco-20i": ("splits/coco", "splits/coco-20i", "coco-20i", ".")}
_DATA = {"pascal-5i": ("VOC2012", "VOCdevkit/VOC2012", "."), "coco-20i": ("COCO2014", "coco", ".")}
_TELLING = {"pascal-5i": ("JPEGImages", "SegmentationClassAug"), "coco-20i": ("annotations", "val2014")}


@dataclass(frozen=True)
class OfficialBenchmark:
    """One of the two published benchmarks. See `Benchmark`; "val" and "test" are the same, as they were published.

    root: holds the data, and the lists unless `lists` names their folder; own_lists: lists that are not the published ones are taken too.
    """

    name: OfficialName
    root: Path
    lists: Path | None = None
    own_lists: bool = False
    folds: int = FOLDS
    _read: dict[tuple[Part, int], ImageList] = field(default_factory=dict, compare=False, repr=False)

    @property
    def class_names(self) -> Mapping[int, str]:
        """Class names by number."""
        return class_names(self.name)

    def images(self, part: Part, fold: int) -> ImageList:
        """The list of a fold, read once."""
        if (part, fold) not in self._read:
            folder = self.lists or list_folder(self.name, self.root)
            self._read[part, fold] = read_list(self.name, folder, fold, "trn" if part == "train" else "val", official=not self.own_lists)
        return self._read[part, fold]

    def source(self, name: str) -> ImageSource:
        """The path of a picture."""
        return self.pictures.image_path(name)

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3)."""
        return self.pictures.image(name)

    def labels(self, name: str) -> NDArray[np.integer]:
        """Class numbers (H, W), 255 for void."""
        return self.pictures.labels(name)

    def check(self, names: Sequence[str]) -> None:
        """InputError for the first picture or mask that is missing, or whose sizes differ."""
        for name in names:
            check_pair(self.pictures.image_path(name), self.pictures.mask_path(name))

    @property
    def pictures(self) -> PascalFolder | CocoFolder:
        """Where pixels come from."""
        data = data_folder(self.name, self.root)
        return PascalFolder(data) if self.name == "pascal-5i" else CocoFolder(data)


def list_folder(name: OfficialName, root: Path) -> Path:
    """The folder below `root` that holds the lists, by any of the usual names; InputError where there is none."""
    for place in _LISTS[name]:
        if any((root / place / known).exists() for known in ("val", "val.json.gz")):
            return root / place
    raise InputError("there are no lists of folds", where=str(root), remedy=f"Put trn and val into {root / _LISTS[name][0]}. {SOURCE}")


def data_folder(name: OfficialName, root: Path) -> Path:
    """The folder at or below `root` that holds pictures and masks, by any of the usual names; `root` where none does."""
    return next((root / place for place in _DATA[name] if any((root / place / known).is_dir() for known in _TELLING[name])), root)
