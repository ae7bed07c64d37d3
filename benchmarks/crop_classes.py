"""Crops by class of the sets with masks, and scikit-learn's digits, as a folder a class: other data for learners trained on characters or photographs.

    python benchmarks/crop_classes.py

bench/crop_classes/things/CLASS     objects of photographs, classes of the same name of several sets together, one crop a picture
bench/crop_classes/surfaces/CLASS   defects of steel and tiles, cracks of roads, plants of a field, up to three crops a picture
bench/crop_classes/digits/CLASS     handwritten digits of 8 x 8 pixels, dark on bright

A crop is the square around the box of a connected part of a mask, as far as the picture reaches. Classes with too few crops are left out, and so are
things by the names of Caltech classes. Nothing here is committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from common import BENCH, DATA, classes, need_shared, picture, truth
from likewise.files import replacing

OUT = BENCH / "crop_classes"
LEAST, MOST = 10, 40  # crops of a class
SMALL, MARGIN = 16, 0.1  # sides of boxes that are left out, and how much wider than its box a crop is on each side
DIGIT_SIDE = 32
WHOLE = "whole"  # written when a family is complete


class Box(NamedTuple):
    """Rows and columns from ... to before."""

    top: int
    left: int
    bottom: int
    right: int


class Family(NamedTuple):
    """Sets whose crops are classes of one benchmark, how many crops a picture gives of a class at most, and names that are left out."""

    sets: tuple[str, ...]
    each: int
    apart: tuple[str, ...] = ()


CALTECH_NAMES = tuple(path.name for path in sorted((DATA / "caltech_mini" / "images").glob("*")))
FAMILIES: Mapping[str, Family] = {
    "things": Family(("objects", "classes_mini", "classes_train", "coco_mini"), 1, CALTECH_NAMES),
    "surfaces": Family(("steel_defects", "tile_defects", "cracks", "crops"), 3),
}


def boxes(mask: NDArray[np.bool_], most: int, small: int = SMALL) -> list[Box]:
    """The boxes of the largest connected parts of a mask (H, W), at most so many, none with a side below `small`; larger parts first."""
    parts, count = ndimage.label(mask, structure=np.ones((3, 3)))
    areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    slices = ndimage.find_objects(parts)
    found = [Box(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in (slices[place] for place in np.argsort(-areas, kind="stable"))]
    return [box for box in found if min(box.bottom - box.top, box.right - box.left) >= small][:most]


def squared(box: Box, height: int, width: int, margin: float = MARGIN) -> Box:
    """The square around the middle of a box with a margin, moved into a picture (height, width) and cut where it is larger than the picture.

    >>> squared(Box(0, 10, 10, 30), 100, 100, margin=0.0)
    Box(top=0, left=10, bottom=20, right=30)
    """
    side = round(max(box.bottom - box.top, box.right - box.left) * (1 + 2 * margin))
    top, bottom = _placed((box.top + box.bottom - side) // 2, side, height)
    left, right = _placed((box.left + box.right - side) // 2, side, width)
    return Box(top, left, bottom, right)


def _placed(begin: int, side: int, length: int) -> tuple[int, int]:
    """A stretch moved into 0..length."""
    side = min(side, length)
    begin = min(max(begin, 0), length - side)
    return begin, begin + side


def crops_of(family: Family) -> dict[str, list[NDArray[np.uint8]]]:
    """The crops (h, w, 3) of each class that has enough of them, pictures in the order of sets and names."""
    found: dict[str, list[NDArray[np.uint8]]] = {}
    for name in family.sets:
        for title, crop in _crops(name, family.each):
            found.setdefault(title, []).append(crop)
    return {title: crops[:MOST] for title, crops in sorted(found.items()) if len(crops) >= LEAST and title not in family.apart}


def _crops(name: str, each: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for path in sorted((DATA / name / "masks").glob("*.png")):
        labels, pixels = truth(name, path.stem), np.asarray(Image.open(picture(name, path.stem)).convert("RGB"))
        for number, title in classes(name).items():
            for box in boxes(labels == number, each):
                cut = squared(box, *labels.shape)
                yield title.replace("/", " "), pixels[cut.top : cut.bottom, cut.left : cut.right]


def digits() -> dict[str, list[NDArray[np.uint8]]]:
    """Pictures (32, 32, 3) of the ten digits, dark on bright, the first of each class in the order of the set."""
    from sklearn.datasets import load_digits

    found: dict[str, list[NDArray[np.uint8]]] = {}
    data = load_digits()
    for plane, label in zip(data.images, data.target, strict=True):
        grey = Image.fromarray((255 - plane / 16 * 255).astype(np.uint8)).resize((DIGIT_SIDE, DIGIT_SIDE), Image.Resampling.BICUBIC)
        found.setdefault(str(label), []).append(np.asarray(grey.convert("RGB")))
    return {title: found[title][:MOST] for title in sorted(found)}


def made(name: str) -> Path:
    """The folder of a family, or of the digits, made where it is not there."""
    folder = OUT / name
    if not (folder / WHOLE).is_file():
        found = digits() if name == "digits" else crops_of(FAMILIES[name])
        for title, crops in found.items():
            (folder / title).mkdir(parents=True, exist_ok=True)
            for place, crop in enumerate(crops):
                Image.fromarray(crop).save(folder / title / f"{place:03}.png")
        with replacing(folder / WHOLE) as draft:
            draft.write_text("\n".join(f"{title}: {len(crops)}" for title, crops in found.items()))
    return folder


def main() -> None:
    """Make all families."""
    need_shared()
    for name in (*FAMILIES, "digits"):
        print(f"{name}: {(made(name) / WHOLE).read_text().splitlines()}")


if __name__ == "__main__":
    main()
