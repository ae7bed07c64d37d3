"""YOLO: a text file an image, a line an object: class, then a box (centre, width, height) or an outline, as shares of the image.

    data.yaml + images/ + labels/      or      train/images/ + train/labels/, ...      or      x.jpg next to x.txt with obj.names

An outline that crosses to another part or a hole and back (the bridge of other tools, and of our writer) is filled by the even-odd
rule, so that parts and holes come back. An empty file shows none of the classes; an image without a file is not labelled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from likewise.data import ClassTable, Example
from likewise.data.images import image_size
from likewise.errors import InputError
from likewise.formats.canvas import Canvas, box_around, outlined
from likewise.formats.dataset import Dataset, name_images, without_ending
from likewise.formats.dataset_json import read_beside
from likewise.formats.files import for_each, problems_error, read_text, sniffed
from likewise.formats.scan import has_ending, is_image, walk
from likewise.formats.spread import plain_names, spread
from likewise.formats.yolo_names import FILES, LISTS, Description, description_file, number_of, read_description, split_files

NAME = "yolo"
_LARGEST = 1 << 26
_BEYOND = 0.01  # of the image, by which a coordinate may lie outside: tools round, and hands slip
_BOX, _BOX_AND_SCORE, _FEWEST_OF_OUTLINE = 5, 6, 7  # numbers in a line
Row = tuple[int, tuple[float, ...]]  # YOLO's class, and the shares


def found(path: Path) -> str | None:
    """The layout in words, None if this is no YOLO data set."""
    if path.is_file():
        return path.name if path.suffix.lower() in (".yaml", ".yml") and description_file(path.parent) is not None else None
    if not path.is_dir():
        return None
    file = description_file(path)
    if file is not None and (file.name in FILES or any(True for _ in walk(path, has_ending(".txt")))):
        return file.name if file.name not in LISTS or _labels_of(path) else None
    return "images/ + labels/" if (path / "images").is_dir() and (path / "labels").is_dir() and _labels_of(path) else None


def opened(path: Path) -> Dataset:
    """The data set of a folder or of its data.yaml; every line is checked now, outlines are drawn when they are asked for."""
    folder = path if path.is_dir() else path.parent
    file = path if path.is_file() else description_file(folder)
    about = read_description(file) if file is not None else Description()
    root = folder / "images" if (folder / "images").is_dir() else folder
    images = name_images(walk(root, is_image))
    labels = _by_image(folder, root, images)
    if not labels:
        raise InputError("there are no labels", where=str(folder), remedy="Put images into images/ and a text file for each into labels/")
    rows = for_each(labels, lambda name: _rows(labels[name], about.classes, points=about.points))
    table = about.classes or ClassTable.named_by(sorted({number_of(index) for each in rows.values() for index, _ in each}))
    images = images | {name: "" for name in labels if name not in images}

    def example(name: str) -> Example:
        return _example(root / images[name] if images[name] else None, name, rows[name], str(labels[name]))

    beside = read_beside(folder)
    splits = {split: sorted({*split_files(folder, entries, images, root)} & labels.keys()) for split, entries in about.splits.items()}
    return Dataset(
        NAME, folder, root, images, set(labels), example, file.name if file else "images/ + labels/", table, {}, splits | beside.split, beside.unlabelled
    )


def _labels_of(folder: Path) -> list[str]:
    """Text files of a folder that may hold labels."""
    return [file for file in walk(folder, has_ending(".txt")) if file not in LISTS and (file.startswith("labels/") or "/" in file or _numeric(folder / file))]


def _numeric(file: Path) -> bool:
    """Whether the first line of a text file is made of numbers, or there is none."""
    words = sniffed(file, _LARGEST, 4096).partition(b"\n")[0].split()
    try:
        return all(math.isfinite(float(word)) for word in words)
    except ValueError:
        return False


def _by_image(folder: Path, root: Path, images: Mapping[str, str]) -> dict[str, Path]:
    """The file of labels of each image by its name: in labels/ where the image is in images/, else beside it; and those without an image."""
    there = set(walk(folder, has_ending(".txt")))
    prefix = "images/" if root != folder else ""
    found: dict[str, Path] = {}
    for name, file in images.items():
        for candidate in _places(prefix + file):
            if candidate in there:
                found[name] = folder / candidate
                there.discard(candidate)
                break
    alone = plain_names(sorted(file.removeprefix("labels/") for file in there if file.startswith("labels/")))
    return found | {name: folder / "labels" / file for name, file in alone.items() if name not in images}


def _places(image: str) -> list[str]:
    """Where the labels of an image may be, likeliest first."""
    bare = without_ending(image)
    head, middle, tail = f"/{bare}".rpartition("/images/")
    full = f"/{image}".rpartition("/images/")[2]
    moved = [f"{head}/labels/{name}.txt".lstrip("/") for name in (tail, full, spread(tail), spread(full))] if middle else []
    return [*moved, f"{bare}.txt", f"labels/{bare}.txt"]


def _rows(file: Path, classes: ClassTable | None, *, points: bool) -> list[Row]:
    """The lines of a file of labels. InputError lists every line that cannot be used."""
    lines = read_text(file, _LARGEST).splitlines()
    rows: list[Row] = []
    problems: list[tuple[str, str]] = []
    for place, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        try:
            index, shares = _index(words[0]), tuple(float(word) for word in words[1:])
        except ValueError:
            problems.append((f"line {place}", "it is not made of numbers"))
            continue
        reason = _problem(index, shares, classes, points=points)
        if reason:
            problems.append((f"line {place}", reason))
        else:
            rows.append((index, shares[:4] if points or len(words) in (_BOX, _BOX_AND_SCORE) else shares))
    if problems:
        raise problems_error(file, problems, "Correct these lines")
    return rows


def _index(word: str) -> int:
    """YOLO's class; some tools write it as 0.0."""
    value = float(word)
    if not value.is_integer():
        raise ValueError(word)
    return int(value)


def _problem(index: int, shares: Sequence[float], classes: ClassTable | None, *, points: bool) -> str:
    """What is wrong with a line in a clause, "" if nothing is."""
    known = number_of(index) in classes if classes is not None else 0 <= index < 32_000
    if index < 0 or not known:
        return f"there is no class {index}"
    count = len(shares) + 1
    if count not in (_BOX, _BOX_AND_SCORE) and not points and (count < _FEWEST_OF_OUTLINE or count % 2 == 0):
        return f"it has {count} numbers; a box has {_BOX}, an outline of n corners 1 + 2 n"
    if count < _BOX or not all(map(math.isfinite, shares)):
        return "a number is missing or not finite"
    kept = shares[:4] if points or count in (_BOX, _BOX_AND_SCORE) else shares
    if min(kept) < -_BEYOND or max(kept) > 1 + _BEYOND:
        return "a coordinate lies outside 0..1; they are shares of the width and the height"
    return "the box has no area" if len(kept) == 4 and min(kept[2:]) <= 0 else ""


def _example(image: Path | None, name: str, rows: Sequence[Row], where: str) -> Example:
    if image is None:
        raise InputError("its image is not there, and coordinates are shares of its size", where=where, remedy="Put the image into images/")
    height, width = image_size(image)
    canvas = Canvas((height, width))
    for place, (index, shares) in enumerate(rows):
        if len(shares) == 4:
            x, y, w, h = shares
            corners = [((x - w / 2) * width, (y - h / 2) * height), ((x + w / 2) * width, (y + h / 2) * height)]
            box = box_around(corners, (height, width))
            if box is None:
                raise InputError("the box lies outside the image", where=f"{where}: object {place + 1}", remedy="Draw it again or delete it")
            canvas.box(number_of(index), box)
        else:
            ring = np.reshape(np.asarray(shares, np.float64), (-1, 2)) * (width, height)
            canvas.add(number_of(index), outlined((height, width), ring))
    return canvas.example(image, name)
