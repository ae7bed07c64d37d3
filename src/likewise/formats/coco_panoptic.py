"""COCO panoptic: a JSON file of segments, and a PNG an image whose colours are their numbers: red + 256 green + 65536 blue.

    panoptic.json + panoptic/a.png      or      annotations/panoptic_train.json + annotations/panoptic_train/a.png

Every segment is an object of its category; 0 and segments with `iscrowd` are ignored, for panoptic labels leave nothing as background. A crowd's
category is tagged as present.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from likewise.data import Example, Instance
from likewise.data.instance import objects_of
from likewise.errors import InputError
from likewise.formats.coco import Category, Image, category_table
from likewise.formats.dataset import Dataset, name_images, without_ending
from likewise.formats.dataset_json import read_beside
from likewise.formats.files import inside, likeliest_root, problems_error, read_json, sniffed, there, validate
from likewise.formats.maps import read_colours, read_index_mask

NAME = "coco-panoptic"
_KEYS = (b'"segments_info"', b'"categories"')
_SNIFF_LIMIT = 1 << 29


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Segment(_Loose):
    """An entry of "segments_info"."""

    id: int
    category_id: int
    iscrowd: int = 0


class Annotation(_Loose):
    """An entry of "annotations": the segments of one image."""

    image_id: int | str
    file_name: str
    segments_info: list[Segment]


class PanopticFile(_Loose):
    """The parts of a panoptic file that are read."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


def found(path: Path) -> str | None:
    """The layout in words, None if this is no panoptic file nor a folder with one."""
    file = _file_of(path)
    return None if file is None else file.name if path.is_file() else file.relative_to(path).as_posix()


def _file_of(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() == ".json" and _is_panoptic(path) else None
    some = [file for where in (path, path / "annotations") if where.is_dir() for file in sorted(where.glob("*.json")) if _is_panoptic(file)]
    return some[0] if len(some) == 1 else None


def _is_panoptic(file: Path) -> bool:
    content = b"" if file.name.startswith(".") else sniffed(file, _SNIFF_LIMIT)
    return all(key in content for key in _KEYS)


def opened(path: Path) -> Dataset:
    """The data set of a panoptic file, or of the folder that holds it; the PNG are read when they are asked for."""
    file = _file_of(path)
    if file is None:
        raise InputError("there is no panoptic file", where=str(path), remedy="Give the folder that holds it, or the JSON file itself")
    content = validate(PanopticFile, read_json(file), file)
    folder = path if path.is_dir() else path.parent
    numbers, classes = category_table(content.categories, file)
    listed = {entry.id: entry.file_name for entry in content.images}
    _check(content, listed, numbers, file)
    where = f"{file}: file_name"
    annotated = {listed[each.image_id]: each for each in content.annotations}
    masks = likeliest_root(
        (file.parent / name for name in (file.stem, "", "masks", "panoptic")), folder, (each.file_name for each in content.annotations), where
    )
    bases = (base / name for base in (folder, file.parent, file.parent.parent) for name in (f"images/{file.stem.removeprefix('panoptic_')}", "images", ""))
    root = likeliest_root(bases, folder, annotated, where)
    names = name_images(annotated)

    def example(name: str) -> Example:
        each = annotated[names[name]]
        return _example(root / names[name], name, inside(masks, each.file_name, where), each, numbers)

    images = {name: there(root, written, where) for name, written in names.items()}
    about = read_beside(folder)
    return Dataset(NAME, folder, root, images, set(names), example, found(path) or "", classes, {}, about.split, about.unlabelled)


def _check(content: PanopticFile, listed: Mapping[int | str, str], numbers: Mapping[int, int], file: Path) -> None:
    """InputError with everything that is wrong with the annotations."""
    problems: list[tuple[str, str]] = []
    seen: set[int | str] = set()
    for place, each in enumerate(content.annotations):
        if each.image_id not in listed or each.image_id in seen:
            problems.append((f"annotations[{place}].image_id", f"there is no image {each.image_id!r}, or it is annotated twice"))
        seen.add(each.image_id)
        counted = Counter(segment.id for segment in each.segments_info)
        problems += [(f"annotations[{place}]", f"segment {number} is there {count} times") for number, count in counted.items() if count > 1]
        strange = sorted({segment.category_id for segment in each.segments_info} - set(numbers))
        problems += [(f"annotations[{place}]", f"there is no category {category}") for category in strange]
    if len({without_ending(name) for name in listed.values()}) < len(content.images):
        problems.append(("images", "two have the same file_name, or the same id"))
    if problems:
        raise problems_error(file, problems)


def _example(image: Path, name: str, png: Path, each: Annotation, numbers: Mapping[int, int]) -> Example:
    drawn = segment_numbers(png)
    base = np.full(drawn.shape, -1, np.int16)
    objects: dict[int | str, list[Instance]] = {}
    numbered = dict(zip((number for number in np.unique(drawn).tolist() if number > 0), objects_of(np.ones_like(drawn), drawn).get(1, ()), strict=True))
    for segment in each.segments_info:
        one = numbered.get(segment.id)
        if one is None:
            raise InputError(f"no pixel is of the segment {segment.id}", where=str(png), remedy="Export the data set again")
        if not segment.iscrowd:
            objects.setdefault(numbers[segment.category_id], []).append(one)
    crowds = {numbers[segment.category_id] for segment in each.segments_info if segment.iscrowd}
    return Example(image, name, label_map=base, instances=objects, tags=dict.fromkeys(crowds - objects.keys(), True))


def segment_numbers(png: Path) -> NDArray[np.int32]:
    """The number (H, W) of the segment that each pixel is of: red + 256 green + 65536 blue, 0 for none."""
    colours = read_colours(png)
    if colours is None:
        return read_index_mask(png)
    return np.asarray((colours.astype(np.int32) << np.array([0, 8, 16], np.int32)).sum(axis=2), np.int32)
