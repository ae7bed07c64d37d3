"""COCO instances and keypoints: polygons, run lengths in both forms, crowd regions and boxes.

Category ids are kept as class numbers, gaps and all; where they cannot be (0, 255, beyond 32766) the categories are numbered
from 1 in the order of their ids. The parts of one annotation are united; each annotation is an object of its class. A crowd
region is ignored, and so is the inside of a box without outline in an image that has outlines besides. An image that
lists `neg_category_ids` (LVIS) was searched for these and the annotated categories alone: they are absent, and what is
not labelled in it is unknown.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from likewise.data import ClassTable, Example, Instance
from likewise.data.classes import MAX_CLASSES
from likewise.data.geometry import Box, Point, box_to_pixels, fill_polygons
from likewise.data.limits import Covered, check_pixels
from likewise.errors import InputError
from likewise.formats import coco_keypoints
from likewise.formats.dataset import Dataset, without_ending
from likewise.formats.dataset_json import read_beside
from likewise.formats.files import likeliest_root, problems_error, read_json, sniffed, there, validate
from likewise.formats.rle import decode_mask, polygon_mask

NAME = "coco"
_USUAL = ("instances.json", "annotations.json", "_annotations.coco.json", "annotations/instances.json", "annotations/instances_default.json")
_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_PANOPTIC = b'"segments_info"'  # those are files of coco_panoptic
_SNIFF_LIMIT = 1 << 29
_LONGEST_OUTLINE = 5_000_000


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class RunLengths(_Loose):
    """A mask as run lengths, packed or not."""

    size: tuple[int, int]
    counts: str | list[int]


class Image(_Loose):
    """An entry of "images"."""

    id: int | str
    file_name: str
    height: int
    width: int
    neg_category_ids: list[int] | None = None


class Annotation(_Loose):
    """An entry of "annotations"."""

    image_id: int | str
    category_id: int
    segmentation: list[list[float]] | RunLengths | None = None
    bbox: list[float] | None = None
    iscrowd: int = 0
    keypoints: list[float] | None = None


class Category(_Loose):
    """An entry of "categories"; keypoints: the names of its points."""

    id: int
    name: str
    keypoints: list[str] = []


class CocoFile(_Loose):
    """The parts of a COCO file that are read."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


def found(path: Path) -> str | None:
    """The layout in words, None if this is no COCO file nor a folder with one."""
    file = _json_of(path)
    return None if file is None else (file.name if path.is_file() else file.relative_to(path).as_posix())


def opened(path: Path) -> Dataset:
    """The data set of a COCO file, or of the folder that holds it; outlines are drawn one image at a time."""
    file = _json_of(path)
    if file is None:
        raise InputError("there is no COCO file", where=str(path), remedy="Give a folder with instances.json or annotations.json, or the JSON file itself")
    data = read_json(file)
    content = validate(CocoFile, data, file)
    folder = path if path.is_dir() else path.parent
    numbers, classes = category_table(content.categories, file)
    entries = _by_name(content.images, file)
    drawn = _by_image(content, numbers, file)
    sizes = {entry.id: (entry.height, entry.width) for entry in content.images}
    points = coco_keypoints.by_image(content.annotations, {each.id: each.keypoints for each in content.categories}, sizes)
    root, images = _find_images(folder, file, content.images, entries)

    def example(name: str) -> Example:
        entry = entries[name]
        absent = [numbers[each] for each in entry.neg_category_ids or () if each in numbers]
        return _example(root / (images[name] or entry.file_name), name, entry, drawn[entry.id], absent, points.get(entry.id), f"{file}: {entry.file_name}")

    about = read_beside(folder if (folder / "dataset.json").is_file() else file.parent)
    layout = file.relative_to(folder).as_posix()
    kinds = tuple(dict.fromkeys(name for each in content.categories for name in each.keypoints)) if points else ()
    return Dataset(NAME, folder, root, images, set(entries), example, layout, classes, {}, about.split, about.unlabelled, keypoints=kinds)


def _json_of(path: Path) -> Path | None:
    """The COCO file that a path is or holds: one of the usual names, else the only one of its kind in the folder or in annotations/."""
    if path.is_file():
        return path if path.suffix.lower() == ".json" and _is_coco(path) else None
    if not path.is_dir():
        return None
    for name in _USUAL:
        if (path / name).is_file() and _is_coco(path / name):
            return path / name
    some = [file for where in (path, path / "annotations") if where.is_dir() for file in sorted(where.glob("*.json")) if _is_coco(file)]
    if len(some) > 1:
        raise InputError(
            f"there are {len(some)} COCO files: {', '.join(file.name for file in some[:5])}", where=str(path), remedy="Give the file instead of the folder"
        )
    return some[0] if some else None


def _is_coco(file: Path) -> bool:
    """Whether the three keys occur; a search through the bytes, since parsing takes a hundred times as long."""
    content = b"" if file.name.startswith(".") else sniffed(file, _SNIFF_LIMIT)
    return all(key in content for key in _KEYS) and _PANOPTIC not in content


def category_table(categories: Sequence[Category], file: Path) -> tuple[dict[int, int], ClassTable]:
    """Category id -> class number, and the table; equal names get their id behind them."""
    ids = sorted(each.id for each in categories)
    twice = sorted(each for each, count in Counter(ids).items() if count > 1)
    if twice:
        raise problems_error(file, [("categories", f"id {each} is there twice") for each in twice])
    kept = all(1 <= each <= MAX_CLASSES and each != 255 for each in ids)
    free = [number for number in range(1, len(ids) + 2) if number != 255]
    numbers = {each: each for each in ids} if kept else dict(zip(ids, free, strict=False))
    names = Counter(each.name.strip() for each in categories)
    return numbers, ClassTable({numbers[each.id]: each.name if names[each.name.strip()] == 1 else f"{each.name} ({each.id})" for each in categories})


def _by_name(images: Sequence[Image], file: Path) -> dict[str, Image]:
    problems: list[tuple[str, str]] = []
    entries: dict[str, Image] = {}
    ids: set[int | str] = set()
    for place, entry in enumerate(images):
        bare = without_ending(entry.file_name.replace("\\", "/"))
        name = entry.file_name if bare in entries else bare
        if entry.id in ids or name in entries:
            problems.append((f"images[{place}]", f"id {entry.id} or file {entry.file_name!r} is there twice"))
        if entry.height < 1 or entry.width < 1:
            problems.append((f"images[{place}]", f"its size is {entry.width}x{entry.height}"))
        else:
            check_pixels((entry.height, entry.width), f"{file}: images[{place}]")
        ids.add(entry.id)
        entries[name] = entry
    if problems:
        raise problems_error(file, problems)
    return entries


@dataclass(frozen=True)
class _Drawn:
    """One annotation after checking."""

    number: int
    shape: list[list[float]] | RunLengths | None
    box: Box | None
    crowd: bool
    place: int


def _by_image(content: CocoFile, numbers: Mapping[int, int], file: Path) -> dict[int | str, list[_Drawn]]:
    sizes = {entry.id: (entry.height, entry.width) for entry in content.images}
    names = {each.id: each.keypoints for each in content.categories}
    drawn: dict[int | str, list[_Drawn]] = {key: [] for key in sizes}
    problems: list[tuple[str, str]] = []
    for place, each in enumerate(content.annotations):
        reason = _problem(each, sizes, numbers) or coco_keypoints.problem(each, names)
        if reason:
            problems.append((f"annotations[{place}]", reason))
            continue
        height, width = sizes[each.image_id]
        box = None
        if each.bbox:
            x, y, w, h = each.bbox
            box = (max(x, 0.0), max(y, 0.0), min(x + w, float(width)), min(y + h, float(height)))
        drawn[each.image_id].append(_Drawn(numbers[each.category_id], each.segmentation or None, box, bool(each.iscrowd), place))
    for place, entry in enumerate(content.images):
        there = {each.number for each in drawn[entry.id]}
        both = [each for each in entry.neg_category_ids or () if numbers.get(each) in there]
        problems += [(f"images[{place}].neg_category_ids", f"category {each} is there by an annotation") for each in both]
    if problems:
        raise problems_error(file, problems)
    return drawn


def _problem(each: Annotation, sizes: Mapping[int | str, tuple[int, int]], numbers: Mapping[int, int]) -> str:
    """What is wrong with an annotation in a clause, "" if nothing is."""
    if each.image_id not in sizes:
        return f"there is no image {each.image_id!r}"
    if each.category_id not in numbers:
        return f"there is no category {each.category_id}"
    height, width = sizes[each.image_id]
    if isinstance(each.segmentation, RunLengths) and tuple(each.segmentation.size) != (height, width):
        return f"segmentation.size is {list(each.segmentation.size)}, the image [{height}, {width}]"
    if isinstance(each.segmentation, list):
        if any(len(ring) < 6 or len(ring) % 2 for ring in each.segmentation):
            return "a polygon needs at least three (x, y)"
        if any(max(map(abs, ring)) > 1e7 for ring in each.segmentation):
            return "a polygon lies far outside the image"
        if any(len(ring) * max(map(abs, ring)) > _LONGEST_OUTLINE and _length(ring) > _LONGEST_OUTLINE for ring in each.segmentation):
            return f"a polygon is more than {_LONGEST_OUTLINE:,} pixels long"
    if each.bbox:
        if len(each.bbox) != 4:
            return f"bbox has {len(each.bbox)} numbers, not four (x, y, width, height)"
        x, y, w, h = each.bbox
        if not each.segmentation and (w <= 0 or h <= 0 or x >= width or y >= height or x + w <= 0 or y + h <= 0):
            return f"bbox {each.bbox} is empty or outside the image"
    return "" if each.segmentation or each.bbox or each.keypoints else "it has neither segmentation nor bbox nor keypoints"


def _length(ring: list[float]) -> float:
    """How far it is around a polygon in pixels, along rows or columns: pycocotools takes memory for each of them."""
    corners = np.reshape(ring, (-1, 2))
    return float(np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum())


def _find_images(folder: Path, file: Path, listed: Sequence[Image], entries: Mapping[str, Image]) -> tuple[Path, dict[str, str]]:
    """The folder that the file names are relative to, and name -> file ("" where it is missing), never outside the data set."""
    subset = file.stem.rpartition("_")[2]  # "train2017" of annotations/instances_train2017.json
    places = ("", "images", file.stem, "../images", subset, f"../{subset}", f"images/{subset}", f"../images/{subset}")
    bases = (Path(os.path.normpath(start / place)) for start in (file.parent, folder) for place in places)
    where = f"{file}: file_name"
    root = likeliest_root(bases, folder, (entry.file_name for entry in listed), where)
    return root, {name: there(root, entry.file_name, where) for name, entry in entries.items()}


def _example(
    path: Path, name: str, entry: Image, annotations: Sequence[_Drawn], absent: Sequence[int], points: Mapping[str, Point] | None, where: str
) -> Example:
    size = (entry.height, entry.width)
    objects: dict[int | str, list[Instance]] = {}
    boxes: dict[int | str, list[Box]] = {}
    ignored = np.zeros(size, bool)
    covered = Covered(where)
    for each in annotations:
        if each.shape is not None:
            mask = _mask(each.shape, size, f"{where}: annotations[{each.place}]")
            if each.crowd:
                ignored |= mask
            else:
                one = Instance.of(mask)
                covered.add(one.patch.size if one is not None else 0)
                objects.setdefault(each.number, []).extend([one] if one is not None else [])
        elif each.box is not None:
            if not each.crowd:
                boxes.setdefault(each.number, []).append(each.box)
            x0, y0, x1, y1 = box_to_pixels(each.box, size)
            ignored[y0:y1, x0:x1] = True
    only_boxes = bool(boxes or points) and not objects
    label_map = None if only_boxes else np.where(ignored, -1, 0).astype(np.int16)
    searched_for_all = entry.neg_category_ids is None
    return Example(
        path,
        name,
        label_map=label_map,
        instances=objects,
        boxes=boxes,
        tags=dict.fromkeys(absent, False),
        keypoints=points,
        unlabelled="background" if searched_for_all else "unknown",
    )


def _mask(shape: list[list[float]] | RunLengths, size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """The mask (H, W) as pycocotools draws it; a polygon too thin to hold a pixel marks those that its outline passes."""
    if isinstance(shape, RunLengths):
        try:
            return decode_mask(shape.counts, size)
        except ValueError as error:
            raise InputError(str(error), where=where, remedy="Export the annotation again") from error
    mask = polygon_mask(shape, size)
    return mask if mask.any() else fill_polygons(size, [np.reshape(ring, (-1, 2)) for ring in shape])
