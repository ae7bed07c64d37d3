"""A benchmark from labelled images in any format that `likewise.formats` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Labels
from likewise.data.images import ImageSource, read_image
from likewise.data.resolve import resolve
from likewise.episodes.benchmark import Part
from likewise.episodes.folding import FOLDS, PARTS, Folding, cut, declared, read_folds
from likewise.episodes.items import VOID
from likewise.episodes.lists import ImageList
from likewise.errors import InputError
from likewise.formats.dataset import Dataset
from likewise.formats.recognise import open_dataset


class LabelledBenchmark:
    """Every labelled image of a data set, whatever its split of images. See `Benchmark`.

    Where several classes cover a pixel, the smaller lies on top, as everywhere in `formats`. All labels are read when it is opened, so
    that each mask is known to fit its image; of each image only the classes that it shows are kept.
    """

    def __init__(self, dataset: Dataset, folds: int | Path | None = None, least: int = 1) -> None:
        """A benchmark of a data set that was opened.

        folds: how many, or a file that says them; None for what the data set says, else as many as `folding.FOLDS`, at most one
        a class. least: classes with fewer images are left out. Raises InputError for labels that do not fit.
        """
        self.name = dataset.folder.resolve().name if dataset.folder.is_dir() else dataset.folder.stem
        self._dataset = dataset
        names = sorted(dataset.labelled)
        dataset.check_images(names)
        self._table = dataset.classes or ClassTable.named_by(key for name in names for key in dataset.example(name).class_keys())
        found: dict[int, list[str]] = {number: [] for number in self._table}
        for name in names:
            for number in _shown(self.labels(name)):
                found[number].append(name)
        self._by_class = {number: listed for number, listed in found.items() if len(listed) >= max(least, 1)}
        self.folding = self._folded(folds)

    @classmethod
    def open(cls, path: Path, format: str | None = None, folds: int | Path | None = None, least: int = 1) -> LabelledBenchmark:
        """The benchmark of a folder or file; InputError where it is in no known format."""
        return cls(open_dataset(path, format), folds, least)

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return len(self.folding.parts)

    @property
    def class_names(self) -> Mapping[int, str]:
        """Class names by number, those without images too."""
        return self._table.names

    def images(self, part: Part, fold: int) -> ImageList:
        """The images of a part by class, sorted by name."""
        where = f"{self.name}, fold {fold}, {part}"
        classes = self.folding.classes(part, fold, where)
        bare = [self._table[number] for number in classes if number not in self._by_class]
        if bare:
            raise InputError(
                f"no (or too few) images show {', '.join(bare[:5])}", where=where, remedy="Leave the class out of the folds, or label images of it"
            )
        return ImageList({number: self._by_class[number] for number in classes})

    @property
    def every_image(self) -> list[str]:
        """The names of the images that show any class, sorted."""
        return sorted({name for names in self._by_class.values() for name in names})

    def classes_in(self, names: Sequence[str]) -> list[str]:
        """The names of the classes that any of these images shows."""
        asked = set(names)
        return [self._table[number] for number, listed in self._by_class.items() if not asked.isdisjoint(listed)]

    def split(self, part: Part) -> list[str]:
        """The images of a split that is called as the part, those of its classes where it lists classes; all images where no split is called as any part."""
        if not any(name in self._dataset.splits for name in PARTS):
            return self.every_image
        by_class = declared(self._table, self._dataset.splits)
        if by_class is not None:
            return sorted({name for number in by_class.parts[0].get(part, ()) for name in self._by_class.get(number, ())})
        return self._dataset.support_names(part)[0] if part in self._dataset.splits else []

    def source(self, name: str) -> ImageSource:
        """The path of a picture, or its pixels where the label file holds them."""
        return self._dataset.example(name).image

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3)."""
        return read_image(self.source(name))

    def labels(self, name: str) -> NDArray[np.integer]:
        """Class numbers (H, W); 255 where labels are to be ignored or where nothing is said."""
        example = self._dataset.example(name)
        labels = resolve(example, name, example.size(), self._table, self._dataset.targets, self._dataset.unlabelled)
        return _plain(labels, name)

    def check(self, names: Sequence[str]) -> None:
        """InputError for a picture that is gone since; labels were read, with the sizes of their pictures, when this was opened."""
        for name in names:
            path = self._dataset.root / self._dataset.images[name]
            if name not in self._dataset.embedded and not path.is_file():
                raise InputError("the image is not there any more", where=str(path), remedy="Put it back, or open the benchmark again")

    def _folded(self, folds: int | Path | None) -> Folding:
        if isinstance(folds, Path):
            return read_folds(folds, self._table)
        if not self._by_class:
            raise InputError(
                "no image shows any class", where=str(self._dataset.folder), remedy="Label pixels of at least one class, or ask for fewer images a class"
            )
        said = declared(self._table, self._dataset.splits) if folds is None else None
        return said or cut(list(self._by_class), min(FOLDS, len(self._by_class)) if folds is None else folds)


def _plain(labels: Labels, name: str) -> NDArray[np.integer]:
    if labels.label_map is None:
        if labels.boxes or labels.points or labels.scribbles:
            raise InputError("its labels are boxes, points or lines, not pixels", where=name, remedy="A truth needs masks: leave the image out, or draw them")
        return np.full(labels.size, VOID, np.uint8)
    found = np.where(labels.label_map < 0, VOID, labels.label_map)
    return np.where(found == 0, VOID, found) if labels.unlabelled == "unknown" else found


def _shown(labels: NDArray[np.integer]) -> list[int]:
    return [int(number) for number in np.unique(labels) if number not in (0, VOID)]
