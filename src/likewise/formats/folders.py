"""A folder a class: examples/cat/1.jpg shows a cat.

    cat/, dog/ (, _none/)      or      images/cat/, images/dog/ beside a dataset.json of kind "classification"

The folder's name is the class's; what lies deeper belongs to the class too. `_none` holds images that show none of the classes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from likewise.data import ClassTable, Example
from likewise.data.prediction import NONE_WORD
from likewise.errors import InputError, close_match
from likewise.formats.class_files import check_classes, class_example, class_name, image_splits
from likewise.formats.dataset import Dataset, name_images
from likewise.formats.dataset_json import read_beside
from likewise.formats.files import read_json
from likewise.formats.scan import is_image, walk

NAME = "folders"
_OTHERS = frozenset({"images", "masks", "depth", "normals", "annotations", "labels", "overlays"})  # names of folders of other layouts
_LEAST = 2  # classes by which a folder is recognised; with one it must be named


def found(path: Path) -> str | None:
    """The layout in words, None if this is no folder with a folder a class."""
    if not path.is_dir():
        return None
    if _declared(path):
        return "images/CLASS/ by dataset.json"
    names = _subfolders(path)
    if len(names) < _LEAST or _OTHERS & {name.casefold() for name in names}:
        return None
    return "a folder a class" if sum(any(True for _ in walk(path / name, is_image)) for name in names) >= _LEAST else None


def opened(path: Path) -> Dataset:
    """The data set of a folder with a folder a class. InputError for a class without images, and for images that lie in no class."""
    if not path.is_dir():
        raise InputError("it is not a folder", where=str(path), remedy="Give the folder that holds a folder a class")
    root = path / "images" if _declared(path) else path
    about = read_beside(path)
    names = _subfolders(root)
    check_classes(names, root)
    files = sorted(walk(root, is_image))
    _check_places(root, names, files)
    images = name_images(files)
    labels = {name: class_name(file.partition("/")[0]) for name, file in images.items()}
    given = [class_name(name) for name in names if name != NONE_WORD]
    table = about.table() or ClassTable.named_by(given)
    strange = [name for name in given if name not in table.names.values()]
    if strange:
        raise InputError(
            f"the folder {strange[0]!r} is no class of dataset.json", where=str(root / strange[0]), remedy=close_match(strange[0], table.names.values())
        )

    def example(name: str) -> Example:
        return class_example(root / images[name], name, labels[name], table)

    layout = "images/CLASS/" if root != path else "a folder a class"
    return Dataset(NAME, path, root, images, set(images), example, layout, table, splits=image_splits(about.split, labels))


def _declared(path: Path) -> bool:
    """Whether dataset.json says that classes are folders of images/."""
    if not (path / "dataset.json").is_file() or not (path / "images").is_dir():
        return False
    data = read_json(path / "dataset.json")
    return isinstance(data, dict) and data.get("kind") == "classification"


def _subfolders(path: Path) -> list[str]:
    """The folders in a folder by name, but hidden ones."""
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _check_places(root: Path, names: Iterable[str], files: Iterable[str]) -> None:
    listed = list(files)
    loose = [file for file in listed if "/" not in file]
    if loose:
        raise InputError(
            f"{len(loose)} images lie in no class, {loose[0]!r} for one",
            where=str(root),
            remedy=f"Move them into the folder of their class, or into {NONE_WORD}",
        )
    filled = {file.partition("/")[0] for file in listed}
    empty = [name for name in names if name not in filled]
    if empty:
        raise InputError(f"the class {empty[0]!r} has no image", where=str(root / empty[0]), remedy="Put one into it, or remove the folder")
