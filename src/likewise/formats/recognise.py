"""Which format a path is in, and the table of formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from likewise.errors import InputError, UsageError, close_match
from likewise.formats import class_table, class_vectors, coco, coco_panoptic, cvat, examples_json, folders, good, index_png, label_studio, labelme, voc, yolo
from likewise.formats.dataset import Dataset
from likewise.formats.files import ProblemsError

Read = TypeVar("Read")


@dataclass(frozen=True)
class Format:
    """A format: whether it is read and written, and what it is in a line; `found` answers for a path in words.

    looked_for: by what it is recognised, "" for one that must be named.
    """

    name: str
    reads: bool
    writes: bool
    line: str
    looked_for: str
    found: Callable[[Path], str | None]
    opened: Callable[[Path], Dataset]


# The order is the order of recognition: what a person must have made for us comes first.
FORMATS: tuple[Format, ...] = (
    Format("examples", True, True, "our own examples.json: labels of every kind", "examples.json", examples_json.found, examples_json.opened),
    Format(
        "index-png",
        True,
        True,
        "an index PNG a picture: 0 background, 1.. classes, 255 ignore; dense maps, keypoints",
        "images/ + masks/, images/ + depth/, images/ + keypoints.json, or x.jpg next to x.png",
        index_png.found,
        index_png.opened,
    ),
    Format(
        "coco",
        True,
        True,
        "COCO instances: polygons, run lengths, crowds, boxes",
        "a JSON file with images, annotations and categories",
        coco.found,
        coco.opened,
    ),
    Format(
        "coco-panoptic",
        True,
        False,
        "COCO panoptic: a PNG a picture with the number of the segment of each pixel",
        "a JSON file with segments_info",
        coco_panoptic.found,
        coco_panoptic.opened,
    ),
    Format("labelme", True, True, "labelme: a JSON file a picture", "JSON files with shapes", labelme.found, labelme.opened),
    Format(
        "voc",
        True,
        True,
        "Pascal VOC: SegmentationClass, SegmentationObject, boxes in Annotations",
        "SegmentationClass/ or Annotations/",
        voc.found,
        voc.opened,
    ),
    Format("yolo", True, True, "YOLO: a text file a picture, boxes and outlines", "data.yaml, or images/ + labels/", yolo.found, yolo.opened),
    Format("cvat", True, True, "CVAT for images 1.1: one XML file", "annotations.xml", cvat.found, cvat.opened),
    Format(
        "label-studio",
        True,
        True,
        "Label Studio: tasks with brush strokes, outlines, boxes, points, choices",
        "a JSON file with a list of tasks",
        label_studio.found,
        label_studio.opened,
    ),
    Format("geotiff", False, True, "a label map as TIFF with the georeference of its image", "images/ + masks/", index_png.found, index_png.opened),
    Format(
        "vectors",
        True,
        False,
        "numbers for each class, no image: a table whose first column is class, or an .npz with classes and vectors",
        "a CSV file that begins with the column class, or a .npz file",
        class_vectors.found,
        class_vectors.opened,
    ),
    Format("csv", True, True, "a table with a class an image: columns image, class", "labels.csv", class_table.found, class_table.opened),
    Format("folders", True, True, "a folder a class", "two or more folders of images, one a class", folders.found, folders.opened),
    Format(good.NAME, True, False, "good images without any label, for methods that learn from these", "", good.found, good.opened),
)


def format_named(name: str) -> Format:
    """The format of a name; UsageError with the closest match."""
    for known in FORMATS:
        if known.name == name:
            return known
    raise UsageError(f"there is no format {name!r}", where="format", remedy=close_match(name, [known.name for known in FORMATS]))


def found_format(path: Path) -> Format | None:
    """The format that a path is in, None if it is in none of them."""
    return next((known for known in FORMATS if known.reads and known.found(path)), None)


def recognise(path: str | Path) -> str:
    """The name of the format that a file or folder is in; InputError lists what was looked for."""
    return recognised(Path(path)).name


def recognised(path: Path) -> Format:
    """The format that a file or folder is in; InputError lists what was looked for."""
    if not path.exists():
        raise InputError("there is no such file or folder", where=str(path), remedy="Check the path")
    known = found_format(path)
    if known is None:
        looked = "; ".join(f"{known.looked_for} ({known.name})" for known in FORMATS if known.reads and known.looked_for)
        raise InputError(f"no labels were found; looked for {looked}", where=str(path), remedy="Check the folder, or name its format with --as")
    return known


def open_dataset(path: str | Path, format: str | None = None, otherwise: str | None = None) -> Dataset:
    """The data set of a file or folder, in the format that is named or recognised; otherwise: the format where none is recognised."""
    place = Path(path)
    named = None if format is None else format_named(format)
    if not place.exists():
        raise InputError("there is no such file or folder", where=str(place), remedy="Check the path")
    if named is None and otherwise is not None and found_format(place) is None:
        named = format_named(otherwise)
    known = named or recognised(place)
    dataset = _placed(place, lambda: known.opened(place))
    return replace(dataset, example=lambda name: _placed(name, lambda: dataset.example(name)))


def _placed(place: Path | str, read: Callable[[], Read]) -> Read:
    """What is read; an InputError that does not say of which file it speaks says so now."""
    try:
        return read()
    except InputError as error:
        if str(place) in error.where or isinstance(error, ProblemsError):
            raise
        raise type(error)(error.what, where=f"{place}: {error.where}" if error.where else str(place), remedy=error.remedy) from error
