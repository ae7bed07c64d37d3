"""Pascal VOC: JPEGImages/, SegmentationClass/, SegmentationObject/, Annotations/, ImageSets/, labelmap.txt.

Masks are palette or grey PNG in their index values, or colours that labelmap.txt (else VOC's own colours) lists; 255 is ignored.
Boxes stand in Annotations/NAME.xml, as VOC has them: whole pixels counted from 1, the last one included. Where a set has a 0, or
writes all of them as 2.0, they are edges counted from 0. A box in which the mask shows its class says nothing more and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Example, Instance
from likewise.data.geometry import Box, box_to_pixels
from likewise.data.images import image_size
from likewise.data.instance import objects_of
from likewise.data.limits import check_pixels
from likewise.errors import InputError
from likewise.formats.dataset import Dataset, name_images, without_ending
from likewise.formats.dataset_json import read_dataset_file
from likewise.formats.files import for_each, inside, problems_error, read_text, sniffed
from likewise.formats.scan import has_ending, is_image, walk
from likewise.formats.spread import plain_names
from likewise.formats.voc_colours import LABELMAP, Colours, coloured_mask, read_labelmap, standard_names
from likewise.formats.xml_files import MAX_XML, Element, read_xml

NAME = "voc"
MASKS, OBJECTS, BOXES, IMAGES, LISTS = "SegmentationClass", "SegmentationObject", "Annotations", "JPEGImages", "ImageSets"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def found(path: Path) -> str | None:
    """The layout in words, None if this is no VOC folder."""
    parts = [name for name in (MASKS, BOXES) if (path / name).is_dir()]
    if not parts or not ((path / IMAGES).is_dir() or (path / MASKS).is_dir() or _has_boxes(path / BOXES)):
        return None
    return " + ".join(f"{name}/" for name in parts)


def _has_boxes(folder: Path) -> bool:
    first = min(walk(folder, has_ending(".xml")), default=None)
    return first is not None and b"<annotation" in sniffed(folder / first, MAX_XML, 4096)


@dataclass(frozen=True)
class _Boxes:
    """Annotations/NAME.xml: the image that it names and its size (H, W), if it says so, each object's class and corners, and how those are written."""

    image: str
    size: tuple[int, int] | None
    objects: Sequence[tuple[str, tuple[float, float, float, float]]]
    written: frozenset[str]


def opened(path: Path) -> Dataset:
    """The data set of a folder; annotations are checked now, masks are read when they are asked for."""
    if not path.is_dir() or found(path) is None:
        raise InputError(f"there is no {MASKS}/ and no {BOXES}/", where=str(path), remedy="Give the folder that holds them, such as VOCdevkit/VOC2012")
    masks, objects = (_files(path / name, ".png") for name in (MASKS, OBJECTS))
    annotations = _files(path / BOXES, ".xml")
    listed = for_each(annotations, lambda name: _read_boxes(path / BOXES / annotations[name]))
    root = path / IMAGES if (path / IMAGES).is_dir() else path
    there = name_images(file for file in walk(root, is_image) if root != path or not file.startswith((f"{MASKS}/", f"{OBJECTS}/")))
    images = there | {name: _image_of(name, listed, there, path) for name in {*masks, *listed} if name not in there}
    about = read_dataset_file(path)
    colours = read_labelmap(path / LABELMAP) if (path / LABELMAP).is_file() else None
    classes = about.table() or _table(colours, listed, masks)
    if classes is not None:
        _check_names(path, listed, classes)
    from_zero = _counts_from_zero(listed.values())

    def example(name: str) -> Example:
        label_map = None if name not in masks else coloured_mask(path / MASKS / masks[name], colours)
        numbers = path / OBJECTS / objects[name] if name in masks and name in objects else None
        boxes = _boxes(listed[name], classes, from_zero=from_zero) if name in listed and classes is not None else {}
        image = root / (images[name] or name)
        if label_map is None and not boxes:
            label_map = np.zeros(listed[name].size or image_size(image), np.int16)
        return _example(image, name, label_map, numbers, boxes)

    splits = {**_splits(path / LISTS / "Main"), **_splits(path / LISTS / "Segmentation"), **about.split}
    labelled = {name for name in images if name in masks or name in listed}
    return Dataset(NAME, path, root, images, labelled, example, found(path) or "", classes, {}, splits, about.unlabelled)


def _files(folder: Path, ending: str) -> dict[str, str]:
    """Name -> file of those with an ending below a folder."""
    return plain_names(list(walk(folder, has_ending(ending)))) if folder.is_dir() else {}


def _image_of(name: str, listed: Mapping[str, _Boxes], there: Mapping[str, str], path: Path) -> str:
    """The image of a name that no image has: the one that its annotation names, "" where there is none."""
    written = listed[name].image if name in listed else ""
    if not written:
        return ""
    inside(path / IMAGES, written, f"{path / BOXES / name}.xml: filename")
    return there.get(without_ending(written), "")


def _read_boxes(file: Path) -> _Boxes:
    """What an annotation says. InputError lists every object that cannot be used."""
    root = read_xml(file)
    if root.tag != "annotation":
        raise InputError(f"it begins with <{root.tag}>, not <annotation>", where=str(file), remedy="Check that it is an annotation of VOC")
    objects: list[tuple[str, tuple[float, float, float, float]]] = []
    problems: list[tuple[str, str]] = []
    for each in root.all("object"):
        name, box = each.say("name"), each.find("bndbox")
        corners = [] if box is None else [_number(box, corner) for corner in _CORNERS]
        if not name or len(corners) < 4 or not all(map(math.isfinite, corners)):
            problems.append((f"line {each.line}", "the object has no name" if not name else "the box has not four numbers xmin, ymin, xmax, ymax"))
        elif corners[2] <= corners[0] - 1 or corners[3] <= corners[1] - 1 or max(map(abs, corners)) > 1e7:
            problems.append((f"line {each.line}", f"the box {corners} is empty or far outside"))
        else:
            objects.append((name, (corners[0], corners[1], corners[2], corners[3])))
    if problems:
        raise problems_error(file, problems)
    written = {each.say("bndbox", corner) for each in root.all("object") for corner in _CORNERS}
    return _Boxes(root.say("filename"), _size(root, file), objects, frozenset(written))


def _size(root: Element, file: Path) -> tuple[int, int] | None:
    """The (height, width) that an annotation gives, None where it gives none."""
    height, width = root.say("size", "height"), root.say("size", "width")
    if not (height.isascii() and height.isdigit() and width.isascii() and width.isdigit()) or max(len(height), len(width)) > 9:
        return None
    check_pixels((int(height), int(width)), f"{file}: size")
    return (int(height), int(width)) if int(height) and int(width) else None


def _number(box: Element, corner: str) -> float:
    try:
        return float(box.say(corner))
    except ValueError:
        return math.nan


def _table(colours: Colours | None, listed: Mapping[str, _Boxes], masks: Mapping[str, str]) -> ClassTable | None:
    """The classes of labelmap.txt, else VOC's own if nothing else is named, else those of the boxes; None where the masks alone number them."""
    if colours is not None:
        return colours.classes
    names = {name for boxes in listed.values() for name, _ in boxes.objects}
    own = standard_names()
    if names and names <= set(own):
        return ClassTable.of(own)
    if masks and names:
        raise InputError(
            f"nothing says which number in the masks is {min(names)!r}",
            where=LABELMAP,
            remedy="Add labelmap.txt (a line a class, name:r,g,b::) or classes.json",
        )
    return ClassTable.named_by(sorted(names)) if not masks else None


def _check_names(path: Path, listed: Mapping[str, _Boxes], classes: ClassTable) -> None:
    known = set(classes.names.values())
    for name, boxes in listed.items():
        strange = [each for each, _ in boxes.objects if each not in known]
        if strange:
            raise InputError(f"{strange[0]!r} is no class of {LABELMAP}", where=f"{path / BOXES / name}.xml", remedy=f"Classes are {', '.join(sorted(known))}")


def _counts_from_zero(listed: Iterable[_Boxes]) -> bool:
    """Whether boxes are edges counted from 0, as some tools write them: some edge is 0, or all are written with a point and some as 2.0."""
    annotations = list(listed)
    if any(min(corners[:2]) < 1 for boxes in annotations for _, corners in boxes.objects):
        return True
    written = {text for boxes in annotations for text in boxes.written}
    return all("." in text for text in written) and any(text.endswith(".0") for text in written)


def _boxes(boxes: _Boxes, classes: ClassTable, *, from_zero: bool) -> dict[int | str, list[Box]]:
    """Half-open boxes by class: of whole pixels counted from 1 the first begins one lower."""
    lower = 0.0 if from_zero else 1.0
    made: dict[int | str, list[Box]] = {}
    for name, (x0, y0, x1, y1) in boxes.objects:
        made.setdefault(classes.number(name), []).append((x0 - lower, y0 - lower, x1, y1))
    return made


def _example(image: Path, name: str, label_map: NDArray[np.int16] | None, numbers: Path | None, boxes: Mapping[int | str, Sequence[Box]]) -> Example:
    """An example with a mask, with boxes, or with both: then the background in a box that the mask does not know is ignored."""
    if label_map is None:
        return Example(image, name, boxes=boxes)
    size = (int(label_map.shape[0]), int(label_map.shape[1]))
    instances: Mapping[int | str, Sequence[Instance]] | None = (
        None if numbers is None else dict(objects_of(label_map, _object_numbers(numbers, label_map)).items())
    )
    kept: dict[int | str, list[Box]] = {}
    for number, box in ((number, box) for number, listed in boxes.items() for box in listed):
        x0, y0, x1, y1 = box_to_pixels(box, size)
        inner = label_map[y0:y1, x0:x1]
        if not (inner == number).any():
            kept.setdefault(number, []).append(box)
            inner[inner == 0] = -1
    return Example(image, name, label_map=label_map, instances=instances, boxes=kept)


def _object_numbers(path: Path, label_map: NDArray[np.int16]) -> NDArray[np.int32]:
    numbers = coloured_mask(path, None).astype(np.int32)
    if numbers.shape != label_map.shape:
        told = f"it is {numbers.shape[1]}x{numbers.shape[0]}, the mask of classes {label_map.shape[1]}x{label_map.shape[0]}"
        raise InputError(told, where=str(path), remedy="Give both the size of the image")
    return numbers


def _splits(folder: Path) -> dict[str, list[str]]:
    """Split -> names, of ImageSets; lists of one class (cat_train.txt) are left alone."""
    if not folder.is_dir():
        return {}
    files = {without_ending(file): folder / file for file in walk(folder, has_ending(".txt"), recursive=False)}
    plain = {split: file for split, file in files.items() if split.rpartition("_")[2] not in files or "_" not in split}
    return {split: [line.split()[0] for line in read_text(file).splitlines() if line.split()] for split, file in plain.items()}
