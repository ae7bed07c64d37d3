"""CVAT for images 1.1: one annotations.xml whose images hold shapes.

polygon, ellipse, mask -> masks; box -> box (of a turned one the box around it); points -> positive points; polyline -> scribble;
tag -> tag; skeleton -> keypoints, where no image has two. Shapes of one `group_id` and label are one object. Attributes are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Example
from likewise.data.geometry import Point
from likewise.data.limits import check_pixels
from likewise.errors import InputError, close_match
from likewise.formats.canvas import Canvas, box_around, ellipse_mask, outlined, within
from likewise.formats.dataset import Dataset, name_images
from likewise.formats.dataset_json import read_beside
from likewise.formats.files import likeliest_root, problems_error, sniffed, there
from likewise.formats.scan import has_ending, walk
from likewise.formats.xml_files import MAX_XML, Element, read_xml

NAME = "cvat"
FILE = "annotations.xml"
SHAPES = ("polygon", "box", "points", "polyline", "mask", "ellipse", "tag", "skeleton")
_SNIFFED = 1 << 16
_FEWEST = {"polygon": 3, "points": 1, "polyline": 1}
_NUMBERS = {"box": ("xtl", "ytl", "xbr", "ybr"), "ellipse": ("cx", "cy", "rx", "ry"), "mask": ("left", "top", "width", "height")}
_FARTHEST = 1e7


def found(path: Path) -> str | None:
    """The layout in words, None if this is no CVAT file nor a folder with one."""
    file = _file_of(path)
    return None if file is None else file.name


def _file_of(path: Path) -> Path | None:
    """annotations.xml of a folder, else its only file of that kind; or the file itself."""
    if path.is_file():
        return path if path.suffix.lower() == ".xml" and _is_cvat(path) else None
    if not path.is_dir():
        return None
    if (path / FILE).is_file() and _is_cvat(path / FILE):
        return path / FILE
    some = [path / file for file in sorted(walk(path, has_ending(".xml"), recursive=False)) if _is_cvat(path / file)]
    return some[0] if len(some) == 1 else None


def _is_cvat(file: Path) -> bool:
    return b"<annotations" in sniffed(file, MAX_XML, _SNIFFED)


@dataclass(frozen=True)
class _Shape:
    """A shape after checking: its kind, class, group, points (K, 2), numbers by attribute, run lengths of a mask, and points of a skeleton by name."""

    kind: str
    label: str
    group: str | None
    points: NDArray[np.float64]
    numbers: Mapping[str, float]
    runs: NDArray[np.int64]
    named: Mapping[str, Point | None]
    line: int


@dataclass(frozen=True)
class _Image:
    name: str
    size: tuple[int, int]
    shapes: list[_Shape]


def opened(path: Path) -> Dataset:
    """The data set of a CVAT file, or of the folder that holds it; everything is checked now, shapes are drawn when asked for."""
    file = _file_of(path)
    if file is None:
        raise InputError("there is no CVAT file", where=str(path), remedy=f"Give the folder with {FILE} of an export 'CVAT for images 1.1', or the file itself")
    root_element = read_xml(file)
    folder = path if path.is_dir() else path.parent
    listed = _images(root_element, file)
    classes = _table(root_element, listed, file)
    root = likeliest_root([folder / "images", folder], folder, listed, f"{file}: image")
    by_name = {name: listed[written] for name, written in name_images(listed).items()}
    images = {name: there(root, image.name, f"{file}: image") for name, image in by_name.items()}
    skeletons = max((sum(shape.kind == "skeleton" for shape in image.shapes) for image in by_name.values()), default=0)
    points = tuple(dict.fromkeys(each for image in by_name.values() for shape in image.shapes for each in shape.named)) if skeletons == 1 else ()

    def example(name: str) -> Example:
        return _example(root / (images[name] or by_name[name].name), name, by_name[name], keypoints=bool(points), where=str(file))

    about = read_beside(folder)
    return Dataset(NAME, folder, root, images, set(by_name), example, file.name, classes, {}, about.split, about.unlabelled, keypoints=points)


def _images(root: Element, file: Path) -> dict[str, _Image]:
    """The images by the name that the file gives. InputError lists everything that cannot be used."""
    found_images: dict[str, _Image] = {}
    problems: list[tuple[str, str]] = []
    for element in root.all("image"):
        name, size = element.attributes.get("name", "").replace("\\", "/"), _size(element)
        if not name or name in found_images or size is None:
            told = (
                "the image has no name" if not name else f"the image {name!r} is there twice" if name in found_images else "its width and height are no sizes"
            )
            problems.append((f"line {element.line}", told))
            continue
        check_pixels(size, f"{file}: line {element.line}")
        shapes: list[_Shape] = []
        for each in sorted(element.children, key=_height):
            shape, reason = _shape(each, size)
            problems += [(f"line {each.line}", reason)] if reason else []
            shapes += [shape] if shape is not None else []
        found_images[name] = _Image(name, size, shapes)
    if problems:
        raise problems_error(file, problems)
    return found_images


def _height(element: Element) -> int:
    """The height at which a shape lies over others."""
    try:
        return int(element.attributes.get("z_order", "0"))
    except ValueError:
        return 0


def _size(element: Element) -> tuple[int, int] | None:
    height, width = (element.attributes.get(side, "") for side in ("height", "width"))
    whole = height.isascii() and height.isdigit() and width.isascii() and width.isdigit() and max(len(height), len(width)) < 10
    return (int(height), int(width)) if whole and int(height) and int(width) else None


def _shape(element: Element, size: tuple[int, int]) -> tuple[_Shape | None, str]:
    """A shape, or what is wrong with it."""
    kind, label = element.tag, element.attributes.get("label", "").strip()
    if kind not in SHAPES:
        return None, f"a {kind} cannot be read; {close_match(kind, SHAPES)}"
    if not label:
        return None, f"the {kind} has no label"
    try:
        points = _points(element.attributes.get("points", "")) if kind in _FEWEST else np.zeros((0, 2))
        numbers = {name: float(element.attributes[name]) for name in _NUMBERS.get(kind, ())} | {"rotation": float(element.attributes.get("rotation", "0"))}
        runs = np.array([int(run) for run in element.attributes["rle"].split(",")], np.int64) if kind == "mask" else np.zeros(0, np.int64)
        named = {each.attributes["label"]: _visible(each) for each in element.all("points")} if kind == "skeleton" else {}
    except (KeyError, ValueError, OverflowError) as error:
        return None, f"the {kind} lacks a number, or has one that cannot be read ({error})"
    values = [*points.ravel().tolist(), *numbers.values(), *(value for point in named.values() if point for value in point)]
    if not all(math.isfinite(value) and abs(value) <= _FARTHEST for value in values):
        return None, f"the {kind} has a number that is not finite, or lies far outside the image"
    if len(points) < _FEWEST.get(kind, 0):
        return None, f"a {kind} needs at least {_FEWEST[kind]} points, there are {len(points)}"
    reason = _problem_of_mask(numbers, runs, size) if kind == "mask" else ""
    if reason:
        return None, reason
    return _Shape(kind, label, element.attributes.get("group_id"), points, numbers, runs, named, element.line), ""


def _problem_of_mask(numbers: Mapping[str, float], runs: NDArray[np.int64], size: tuple[int, int]) -> str:
    """What is wrong with a mask in a clause, "" if it fills its box and the box lies in the image of `size` (H, W)."""
    left, top, width, height = (int(numbers[name]) for name in _NUMBERS["mask"])
    if min(left, top) < 0 or min(width, height) < 1 or left + width > size[1] or top + height > size[0]:
        return f"the mask of {width}x{height} at ({left}, {top}) does not fit the image of {size[1]}x{size[0]}"
    if runs.min() < 0 or runs.max() > width * height or runs.sum() != width * height:
        return f"the run lengths do not add up to {width}x{height} = {width * height} pixels"
    return ""


def _points(text: str) -> NDArray[np.float64]:
    return np.array([[float(number) for number in point.split(",")] for point in text.split(";")], np.float64).reshape(-1, 2)


def _visible(element: Element) -> Point | None:
    """The place of a skeleton's point, None for one that is not in the picture."""
    if element.attributes.get("outside") == "1":
        return None
    ((x, y),) = _points(element.attributes["points"])
    return float(x), float(y)


def _table(root: Element, listed: Mapping[str, _Image], file: Path) -> ClassTable:
    """The labels of the task in their order, but those of skeletons and their points; else all that shapes name."""
    holders = (root.find("meta", where, "labels") for where in ("task", "project", "job"))
    labels = next((holder for holder in holders if holder is not None), None)
    named = {shape.label for image in listed.values() for shape in image.shapes if shape.kind != "skeleton"}
    if labels is None:
        return ClassTable.named_by(sorted(named))
    plain = [each.say("name") for each in labels.all("label") if each.say("type") != "skeleton" and each.find("parent") is None]
    try:
        return ClassTable.named_by(dict.fromkeys([*plain, *sorted(named - set(plain))]))
    except InputError as error:
        raise InputError(error.what, where=f"{file}: labels", remedy=error.remedy) from error


def _example(image: Path, name: str, entry: _Image, *, keypoints: bool, where: str) -> Example:
    canvas = Canvas(entry.size)
    tags: dict[int | str, bool] = {}
    points: dict[str, Point | None] = {}
    for shape in entry.shapes:
        if shape.kind == "tag":
            tags[shape.label] = True
        elif shape.kind == "skeleton":
            points |= {each: None if place is None else within(place, entry.size) for each, place in shape.named.items()} if keypoints else {}
        else:
            _paint(canvas, shape, f"{where}: line {shape.line}")
    drawn = canvas.keys()
    return canvas.example(image, name, {key: value for key, value in tags.items() if key not in drawn}, points)


def _paint(canvas: Canvas, shape: _Shape, where: str) -> None:
    """Paint one shape on the labels of its image."""
    numbers, size = shape.numbers, canvas.size
    if shape.kind == "box":
        box = box_around(_corners(numbers), size)
        if box is None:
            raise InputError("the box is empty, or outside the image", where=where, remedy="Draw it again or delete it")
        canvas.box(shape.label, box)
    elif shape.kind == "points":
        for x, y in shape.points.tolist():
            canvas.point(shape.label, (x, y))
    elif shape.kind == "polyline":
        canvas.line(shape.label, [(x, y) for x, y in shape.points.tolist()])
    elif shape.kind == "polygon":
        canvas.add(shape.label, outlined(size, shape.points), shape.group)
    elif shape.kind == "ellipse":
        canvas.paint(shape.label, ellipse_mask(size, (numbers["cx"], numbers["cy"]), (numbers["rx"], numbers["ry"]), numbers["rotation"]), shape.group)
    else:
        height, width = int(numbers["height"]), int(numbers["width"])
        patch = np.repeat(np.arange(len(shape.runs)) % 2 == 1, shape.runs).reshape(height, width)
        canvas.paint(shape.label, patch, shape.group, x=int(numbers["left"]), y=int(numbers["top"]))


def _corners(numbers: Mapping[str, float]) -> list[Point]:
    """The corners of a box, turned about its centre by its rotation in degrees, clockwise as seen."""
    x0, y0, x1, y1 = (numbers[side] for side in _NUMBERS["box"])
    angle, centre = math.radians(numbers["rotation"]), ((x0 + x1) / 2, (y0 + y1) / 2)
    offsets = [(x - centre[0], y - centre[1]) for x in (x0, x1) for y in (y0, y1)]
    cosine, sine = (1.0, 0.0) if not angle else (math.cos(angle), math.sin(angle))
    return [(centre[0] + x * cosine - y * sine, centre[1] + x * sine + y * cosine) for x, y in offsets]
