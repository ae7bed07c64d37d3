"""Label Studio: the JSON export, a list of tasks with their annotations.

brushlabels, polygonlabels, ellipselabels -> masks; rectanglelabels -> box (of a turned one the box around it); keypointlabels -> positive
points; choices -> tags. Coordinates are per cent of the image. Of several annotations of a task the one marked as ground truth counts, else the
last that was not cancelled. Where no task has an annotation, predictions are read in their place. Other results are left alone.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from likewise.data import ClassTable, Example
from likewise.data.geometry import Point
from likewise.data.images import image_size
from likewise.data.limits import check_pixels
from likewise.errors import InputError
from likewise.formats.brush_rle import decode_brush
from likewise.formats.canvas import Canvas, box_around, ellipse_mask, outlined
from likewise.formats.dataset import Dataset, name_images
from likewise.formats.dataset_json import read_beside
from likewise.formats.files import ends_of, inside, problems_error, read_json, sniffed, validate
from likewise.formats.scan import has_ending, is_image, walk
from likewise.formats.xml_files import read_xml

NAME = "label-studio"
CONFIG = "label_config.xml"  # the labelling configuration, if it lies beside: it says the order of the classes
SHAPES = ("brushlabels", "polygonlabels", "ellipselabels", "rectanglelabels", "keypointlabels")
CHOICES = "choices"
_KEYS = (b'"data"', b'"result"')
_SNIFF_LIMIT = 1 << 29
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the name of an uploaded file
_NUMBERS = {"rectanglelabels": ("x", "y", "width", "height"), "ellipselabels": ("x", "y", "radiusX", "radiusY"), "keypointlabels": ("x", "y")}


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Result(_Loose):
    """An entry of "result"."""

    type: str = ""
    value: dict[str, Any] = {}
    original_width: int | None = Field(default=None, gt=0)
    original_height: int | None = Field(default=None, gt=0)
    image_rotation: float = 0

    def labels(self) -> list[str]:
        """The classes that it names."""
        named = self.value.get(self.type)
        return [each.strip() for each in named if isinstance(each, str) and each.strip()] if isinstance(named, list) else []


class Answer(_Loose):
    """An entry of "annotations" or "predictions"."""

    result: list[Result] = []
    was_cancelled: bool = False
    ground_truth: bool = False


class TaskEntry(_Loose):
    """A task: its data and what was said of it."""

    data: dict[str, Any]
    annotations: list[Answer] = []
    predictions: list[Answer] = []

    def answer(self, *, predicted: bool) -> Answer | None:
        """What counts of a task, None where nothing was said."""
        answers = [each for each in (self.predictions if predicted else self.annotations) if not each.was_cancelled]
        return next((each for each in reversed(answers) if each.ground_truth), answers[-1] if answers else None)


class TasksFile(_Loose):
    """The whole file, whose list is put under a name for messages."""

    tasks: list[TaskEntry]


def found(path: Path) -> str | None:
    """The layout in words, None if this is no export of Label Studio nor a folder with one."""
    file = _file_of(path)
    return None if file is None else file.name


def _file_of(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() == ".json" and _is_export(path) else None
    if not path.is_dir():
        return None
    some = [path / file for file in sorted(walk(path, has_ending(".json"), recursive=False)) if _is_export(path / file)]
    return some[0] if len(some) == 1 else None


def _is_export(file: Path) -> bool:
    """Whether a file begins a list and the keys of every export occur; a search through the bytes."""
    content = sniffed(file, _SNIFF_LIMIT)
    return content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[" and all(key in content for key in _KEYS)


@dataclass(frozen=True)
class _Labelled:
    """A task that was labelled: the number of its entry, and the results that say something of the image."""

    place: int
    results: Sequence[Result]


def opened(path: Path) -> Dataset:
    """The data set of an export, or of the folder that holds it; everything but brush strokes is checked now."""
    file = _file_of(path)
    if file is None:
        raise InputError("there is no export of Label Studio", where=str(path), remedy="Give the JSON file of an export, or the folder with one")
    tasks = validate(TasksFile, {"tasks": read_json(file)}, file).tasks
    folder = path if path.is_dir() else path.parent
    root = folder / "images" if (folder / "images").is_dir() else folder
    written = [_image_of(task, f"{file}: tasks[{place}].data") for place, task in enumerate(tasks)]
    placed = _placed(written, root, file)
    predicted = not any(task.annotations for task in tasks)
    labelled: dict[str, _Labelled] = {}
    problems: list[tuple[str, str]] = []
    for place, (name, task) in enumerate(zip(placed, tasks, strict=True)):
        answer = task.answer(predicted=predicted)
        if answer is None:
            continue
        kept = [each for each in answer.result if (each.type in SHAPES or each.type == CHOICES) and each.labels()]
        problems += [(f"tasks[{place}]: {each.type}", reason) for each in kept for reason in [_problem(each, f"{file}: tasks[{place}]")] if reason]
        labelled[name] = _Labelled(place, kept)
    if problems:
        raise problems_error(file, problems)
    about = read_beside(folder)
    named = sorted({label for each in labelled.values() for result in each.results for label in result.labels()})
    classes = about.table() or ClassTable.named_by(dict.fromkeys([*_configured(file.parent / CONFIG), *named]))

    def example(name: str) -> Example:
        return _example(root / placed[name] if placed[name] else None, name, labelled[name].results, f"{file}: tasks[{labelled[name].place}]")

    return Dataset(NAME, folder, root, placed, set(labelled), example, file.name, classes, {}, about.split, about.unlabelled)


def _configured(file: Path) -> Iterator[str]:
    """The classes of a labelling configuration in their order; none where there is no such file."""
    pending = [read_xml(file)] if file.is_file() else []
    while pending:
        element = pending.pop(0)
        value = element.attributes.get("value", "").strip()
        if element.tag in ("Label", "Choice") and value:
            yield value
        pending = element.children + pending


def _image_of(task: TaskEntry, where: str) -> str:
    """The path of a task's image as far as it can be known: an address without host and key, the part after ?d= of a local file."""
    listed = {key: value for key, value in task.data.items() if isinstance(value, str)}
    text = listed.get("image") or next((value for value in listed.values() if is_image(value.partition("?")[0]) or is_image(value)), "")
    try:
        parts = urlsplit(text)
        told = parse_qs(parts.query, errors="surrogateescape").get("d", [unquote(parts.path, errors="surrogateescape")])[0].replace("\\", "/")
    except ValueError:
        told = ""
    steps = [step for step in told.split("/") if step not in ("", ".", "..")]
    if not steps or "\0" in told or not ends_of(told):
        raise InputError(f"{text[:80]!r} names no image", where=where, remedy="Export tasks whose data has the address of an image")
    return "/".join(steps)


def _placed(written: Sequence[str], root: Path, file: Path) -> dict[str, str]:
    """Name -> file ("" where it is not there) of the images in the order of the tasks; InputError for two tasks of one image."""
    found_files = [_found(root, each, f"{file}: data") or _without_upload(each) for each in written]
    twice = next((each for each, count in Counter(found_files).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"two tasks have the image {twice!r}", where=str(file), remedy="Export each image once")
    names = {each: name for name, each in name_images(found_files).items()}
    return {names[each]: each if inside(root, each, str(file)).is_file() else "" for each in found_files}


def _found(root: Path, written: str, where: str) -> str:
    """The file that an address means: the longest of its ends that is there, also without what an upload puts before the name."""
    for end in [*ends_of(written), _without_upload(written.rpartition("/")[2])]:
        if inside(root, end, where).is_file():
            return end
    return ""


def _without_upload(written: str) -> str:
    """A path without what an upload puts before the name."""
    folder, slash, name = written.rpartition("/")
    return folder + slash + (_UPLOADED.sub("", name) or name)


def _problem(result: Result, where: str) -> str:
    """What is wrong with a result in a clause, "" if nothing is; InputError for an image beyond the limit."""
    if result.type == CHOICES:
        return ""
    if result.image_rotation % 360:
        return "the image was turned while it was labelled; turn it back, or label it as it is"
    if result.original_height is not None and result.original_width is not None:
        check_pixels((result.original_height, result.original_width), f"{where}: {result.type}")
    value = result.value
    if result.type == "brushlabels":
        known = value.get("format") == "rle" and isinstance(value.get("rle"), list)
        return "" if known and result.original_width and result.original_height else "it has no run lengths, or no original_width and original_height"
    numbers = _listed(value, result.type)
    if any(isinstance(each, bool) or not isinstance(each, int | float) or abs(each) > 1e6 or math.isnan(each) for each in numbers):
        return "a number is missing, not finite or far outside the image"
    return "a polygon needs at least three (x, y)" if result.type == "polygonlabels" and len(numbers) < 6 else ""


def _listed(value: Mapping[str, Any], kind: str) -> list[Any]:
    """The numbers that a shape needs."""
    if kind != "polygonlabels":
        return [*(value.get(name) for name in _NUMBERS[kind]), value.get("rotation", 0)]
    points = value.get("points")
    pairs = points if isinstance(points, list) else []
    return [number for pair in pairs for number in (pair if isinstance(pair, list) and len(pair) == 2 else [None])]


def _example(image: Path | None, name: str, results: Sequence[Result], where: str) -> Example:
    sizes = {(each.original_height, each.original_width) for each in results if each.original_height and each.original_width}
    if len(sizes) > 1:
        raise InputError(f"its results are of images of {len(sizes)} sizes", where=where, remedy="Label it again")
    height, width = next(iter(sizes), (None, None))
    if height is None or width is None:
        if image is None:
            raise InputError("its image is not there, and nothing says how large it is", where=where, remedy="Put the image into images/")
        height, width = image_size(image)
    canvas = Canvas((height, width))
    tags: dict[int | str, bool] = {}
    for result in results:
        for label in result.labels():
            if result.type == CHOICES:
                tags[label] = True
            else:
                _paint(canvas, result, label, f"{where}: {result.type}")
    drawn = canvas.keys()
    return canvas.example(image or Path(name), name, {key: value for key, value in tags.items() if key not in drawn})


def _paint(canvas: Canvas, result: Result, label: str, where: str) -> None:
    """Paint one shape on the labels of its image."""
    height, width = canvas.size
    if result.type == "brushlabels":
        try:
            canvas.paint(label, decode_brush(result.value["rle"], canvas.size))
        except ValueError as error:
            raise InputError(str(error), where=where, remedy="Export the annotation again") from error
        return
    numbers = [float(each) for each in _listed(result.value, result.type)]
    if result.type == "polygonlabels":
        canvas.add(label, outlined(canvas.size, np.reshape(numbers, (-1, 2)) * (width / 100, height / 100)))
    elif result.type == "keypointlabels":
        canvas.point(label, (numbers[0] * width / 100, numbers[1] * height / 100))
    elif result.type == "ellipselabels":
        x, y, across, down, degrees = numbers
        canvas.paint(label, ellipse_mask(canvas.size, (x * width / 100, y * height / 100), (across * width / 100, down * height / 100), degrees))
    else:
        box = box_around(list(_corners(numbers, canvas.size)), canvas.size)
        if box is None:
            raise InputError("the rectangle is empty, or outside the image", where=where, remedy="Draw it again or delete it")
        canvas.box(label, box)


def _corners(numbers: Sequence[float], size: tuple[int, int]) -> Iterator[Point]:
    """The corners of a rectangle in pixels, turned about its upper left corner by its rotation in degrees, clockwise as seen."""
    x, y, across, down, degrees = numbers
    left, top, width, height = x * size[1] / 100, y * size[0] / 100, across * size[1] / 100, down * size[0] / 100
    cosine, sine = (1.0, 0.0) if not degrees else (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    for right, below in ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height)):
        yield left + right * cosine - below * sine, top + right * sine + below * cosine
