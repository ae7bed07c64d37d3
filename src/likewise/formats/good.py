"""Good images: a folder of images without any label, of which nothing is wrong.

    good/1.jpg, good/2.jpg      or      good/images/1.jpg

One class, `unlike` unless dataset.json beside them names another, is tagged as absent in each. No folder is recognised as this, since one whose labels were
forgotten looks the same: the format must be named, or the method be one that learns from good images (`likewise.methods.base.Method.from_good`).
"""

from __future__ import annotations

from pathlib import Path

from likewise.data import ClassTable, Example
from likewise.errors import InputError
from likewise.formats.dataset import Dataset, name_images
from likewise.formats.dataset_json import read_beside
from likewise.formats.scan import is_image, walk

NAME = "good"
UNLIKE = "unlike"  # the class of whatever good images do not show


def found(path: Path) -> str | None:
    """None for every path: see the top of the file."""
    del path
    return None


def opened(path: Path) -> Dataset:
    """The data set of a folder of good images, or of one image. InputError where there is none."""
    if path.is_file() and is_image(path.name):
        root, files = path.parent, [path.name]
    elif path.is_dir():
        root = path / "images" if (path / "images").is_dir() else path
        files = sorted(walk(root, is_image))
    else:
        raise InputError("it is neither a folder nor an image", where=str(path), remedy="Give the folder of the good images")
    if not files:
        raise InputError("there are no images", where=str(root), remedy="Give a folder with PNG, JPEG, TIFF, BMP or WebP files")
    about = read_beside(path if path.is_dir() else path.parent)
    table = about.table() or ClassTable({1: UNLIKE})
    images = name_images(files)

    def example(name: str) -> Example:
        return Example(root / images[name], name, tags=dict.fromkeys(table.names.values(), False))

    return Dataset(NAME, path, root, images, set(images), example, "good images without labels", table, splits=about.split)
