"""The doors of reading: a support, a list of images, a truth."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from likewise.data import ClassTable, Labels, Support, Target
from likewise.data.channels import Channels
from likewise.data.example import Unlabelled
from likewise.data.resolve import resolve
from likewise.errors import InputError
from likewise.formats import good, index_png
from likewise.formats.choosing import choose
from likewise.formats.dataset import Dataset, by_stem, match
from likewise.formats.files import read_text
from likewise.formats.name_list import STANDARD_INPUT, listed_names, sorted_names
from likewise.formats.recognise import found_format, open_dataset
from likewise.formats.scan import is_image, walk

PLAIN = "images"  # the format of a folder that is to be read as images and nothing else
_TELLING = ("dataset.json", "examples.json", "images", "JPEGImages", "data.yaml", "annotations.xml")
_TELLING_ENDINGS = (".json", ".xml", ".yaml", ".yml")
_LIST_ENDINGS = (".txt", ".lst", ".list")


@dataclass(frozen=True)
class ReadSupport:
    """A support and where it is from; `sentence` says what was recognised."""

    support: Support
    format: str
    sentence: str
    folder: Path
    split: str | None


@dataclass(frozen=True)
class ImageEntry:
    """An image to label: its name is the posix path relative to the list's root, with its ending."""

    name: str
    path: Path


class _Entries(Sequence[ImageEntry]):
    """Entries made when they are asked for: a million of them take the memory of their names."""

    def __init__(self, names: Sequence[str], root: Path) -> None:
        self._names, self._root = names, root

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> ImageEntry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ImageEntry]: ...
    def __getitem__(self, index: int | slice) -> ImageEntry | Sequence[ImageEntry]:
        if isinstance(index, slice):
            return _Entries(self._names[index], self._root)
        return ImageEntry(self._names[index], self._root / self._names[index])

    def __iter__(self) -> Iterator[ImageEntry]:
        return (ImageEntry(name, self._root / name) for name in self._names)


@dataclass(frozen=True)
class ImageList:
    """Images to label, sorted by name; `sentence` says what was found."""

    names: Sequence[str]
    root: Path
    sentence: str

    @property
    def entries(self) -> Sequence[ImageEntry]:
        """The images by name and path."""
        return _Entries(self.names, self.root)

    def __len__(self) -> int:
        return len(self.names)


class Truth:
    """Reference labels, read one image at a time.

    classes: the truth's own table, whose numbers may differ from a task's: compare by name; targets and keypoints likewise.
    """

    def __init__(self, dataset: Dataset, names: Sequence[str], sentence: str) -> None:
        self._dataset = dataset
        self._names = frozenset(names)
        self._stems = by_stem(names)
        self.sentence = sentence
        self.classes = dataset.classes if dataset.classes is not None else named_classes(dataset, names)
        self.targets: dict[str, Target] = dict(dataset.targets)
        self.keypoints = tuple(dataset.keypoints)

    def labels(self, name: str, size: tuple[int, int]) -> Labels | None:
        """The labels of an image of `size` (H, W), None if there are none.

        The image is found by its relative path without ending, else by its file name alone if that is unique.
        Raises InputError for labels that cannot be read or do not fit the size.
        """
        known = match(name, self._names, self._stems)
        if known is None:
            return None
        return resolve(self._dataset.example(known), known, size, self.classes, self.targets, self._dataset.unlabelled)

    def __len__(self) -> int:
        return len(self._names)


def read_support(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    split: str | None = None,
    unlabelled: Unlabelled | None = None,
    targets: Collection[str] | None = None,
    most: int | None = None,
    channels: Channels | None = None,
    otherwise: str | None = None,
) -> ReadSupport:
    """The labelled examples of a folder or file, with a sentence that says what was recognised.

    format: a name of `FORMATS`, recognised if None; split: a split of `dataset.json`, "all", or None for "support" where
    there is one; unlabelled: whether unlabelled pixels are "background" or "unknown" in all of them, None for what the
    files say; targets, most: which labels and how many examples, see `formats.choosing`; channels: which of a TIFF's channels are
    shown, None for pictures of one or three; otherwise: the format where none is recognised. Raises InputError (file, field, reason,
    remedy) for what cannot be used.
    """
    place = Path(path)
    dataset = open_dataset(place, format, otherwise).shown_as(channels)
    names, chosen = dataset.support_names(split)
    if not names and not dataset.vectors:
        raise InputError(f"there are no labelled images ({dataset.layout})", where=str(place), remedy="Label at least one image")
    dataset.check_images(names)
    examples, classes, about = choose(dataset, names, targets, most)
    support = Support(examples, classes, about, unlabelled or dataset.unlabelled, dataset.vectors)
    held = (
        _count(len(dataset.vectors), "class vector")
        if dataset.vectors
        else _count(len(support), "good image" if dataset.format == good.NAME else "labelled image")
    )
    sentence = f"{place.resolve().name}: {dataset.format} ({dataset.describe(chosen)}), {held}{_content(support)}"
    return ReadSupport(support, dataset.format, sentence, dataset.folder, chosen)


def list_images(path: str | os.PathLike[str], *, format: str | None = None, split: str | None = None, recursive: bool = True) -> ImageList:
    """The images to label: of a folder, a text file of paths, a single image, or a labelled data set.

    Of a data set with a split the "query" images are taken, or all but its "support"; `split` names another, or "all".
    format="images" reads a folder as images and nothing else. Hidden files are left out, links to folders not followed.
    """
    place = Path(path)
    if not place.exists():
        raise InputError("there is no such file or folder", where=str(place), remedy="Check the path")
    known = None if format == PLAIN else format or _declared_format(place, split)
    if known is not None:
        return _listed_dataset(open_dataset(place, known), place, split)
    if split is not None:
        raise InputError(f"there is no split {split!r} here", where=str(place), remedy="Splits stand in dataset.json: give the folder that holds it")
    if place.is_file():
        return _listed_file(place)
    return _listed_folder(place, recursive=recursive, plain=format == PLAIN)


def list_paths(source: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> ImageList:
    """The images that a text file names, or with "-" standard input, a path a line, however many they are.

    root: the folder that paths are relative to and that holds all images, by default that of the file, or the current one. The list is sorted, each path
    once, and kept on disk. Nothing is left out: no line is a comment. InputError for a path outside of `root`, with its line, and for an empty list.
    """
    place = Path(source)
    base = Path(root) if root is not None else Path() if place == STANDARD_INPUT else place.parent
    names = listed_names(place, base)
    where = "standard input" if place == STANDARD_INPUT else str(place)
    if not names:
        raise InputError("the list names no image", where=where, remedy="Write a path a line")
    return ImageList(names, base, f"{where}: a list of {_count(len(names), 'image')}")


def read_truth(path: str | os.PathLike[str], *, format: str | None = None, split: str | None = None) -> Truth:
    """Reference labels to compare with, opened but not read: every image that has labels, or those of a split."""
    dataset = open_dataset(Path(path), format)
    names = dataset.support_names(split)[0] if split is not None else sorted(dataset.labelled)
    if not names:
        raise InputError(f"there are no labelled images ({dataset.layout})", where=str(path), remedy="Give the folder that holds the labels")
    return Truth(dataset, names, f"{Path(path).resolve().name}: {dataset.format} ({dataset.describe(split)}), {_count(len(names), 'labelled image')}")


def _declared_format(place: Path, split: str | None) -> str | None:
    """The format of a file or folder in which something says which files are images."""
    telling = place.suffix.lower() in _TELLING_ENDINGS if place.is_file() else split or any((place / name).exists() for name in _TELLING)
    known = found_format(place) if telling else None
    return known.name if known else None


def _listed_folder(place: Path, *, recursive: bool, plain: bool) -> ImageList:
    """Every image of a folder, save those that are labels of others."""
    files = sorted_names(walk(place, lambda name: is_image(name) or name.endswith(".json"), recursive=recursive))
    if not plain and index_png.may_hold_labels(files) and index_png.found(place):
        return _listed_dataset(open_dataset(place, index_png.NAME), place, None)
    names = sorted_names(file for file in files if not file.endswith(".json"))
    if not names:
        raise InputError("there are no images", where=str(place), remedy="Give a folder with PNG, JPEG, TIFF, BMP or WebP files")
    return ImageList(names, place, f"{place.resolve().name}: {_count(len(names), 'image')}")


def _listed_dataset(dataset: Dataset, place: Path, split: str | None) -> ImageList:
    names, chosen = dataset.query_names(split)
    files = sorted(dataset.images[name] for name in names if dataset.images[name])
    if not files:
        raise InputError(f"there are no images ({dataset.describe(chosen)})", where=str(place), remedy="Add images, or choose another split with --split")
    return ImageList(files, dataset.root, f"{place.resolve().name}: {dataset.format} ({dataset.describe(chosen)}), {_count(len(files), 'image')}")


def _listed_file(place: Path) -> ImageList:
    if is_image(place.name):
        return ImageList([place.name], place.parent, f"{place.name}: one image")
    if place.suffix.lower() not in _LIST_ENDINGS:
        raise InputError(
            "it is neither an image nor a list of images", where=str(place), remedy="Give an image, a folder, or a text file (.txt) with a path a line"
        )
    lines = read_text(place).splitlines()
    written = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    base = place.parent.absolute()
    paths = sorted({os.path.normpath(base / line) for line in written})
    if not paths:
        raise InputError("the list names no image", where=str(place), remedy="Write a path a line")
    root = os.path.commonpath([Path(each).parent for each in paths])
    names = sorted(Path(os.path.relpath(each, root)).as_posix() for each in paths)
    return ImageList(names, Path(root), f"{place.name}: a list of {_count(len(names), 'image')}")


def named_classes(dataset: Dataset, names: Sequence[str]) -> ClassTable:
    """The classes that a truth without a table names, by looking through its labels once."""
    return ClassTable.named_by(key for name in names for key in dataset.example(name).class_keys())


def _content(support: Support) -> str:
    classes = list(support.classes.names.values())
    shown = ", ".join(classes[:6]) + (f" and {len(classes) - 6} more" if len(classes) > 6 else "")
    targets = ", ".join(name + (f" ({target.unit})" if target.unit else "") for name, target in support.targets.items())
    points = f"; keypoints: {', '.join(support.keypoints)}" if support.keypoints else ""
    return (f"; {'classes' if len(classes) > 1 else 'class'}: {shown}" if classes else "") + (f"; dense: {targets}" if targets else "") + points


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number != 1 else ''}"
