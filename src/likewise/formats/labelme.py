"""labelme: a JSON file an image, with shapes and flags.

polygon, circle, mask -> masks; rectangle -> box; point -> positive point; line, linestrip -> scribble; flags -> tags.
Shapes are painted in their order, each an object of its own unless a `group_id` joins those of one label: then a polygon inside
another of the group is a hole. `__ignore__` marks pixels that do not count, `_background_` gives pixels back to the
background. Rectangles are boxes, since that is what they are drawn for: an outline that happens to be one is a polygon.
"""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from likewise.data import ClassTable, Example
from likewise.data.geometry import Box, draw_polyline, fill_polygons
from likewise.data.images import FORMATS, ImageSource, image_size
from likewise.data.limits import check_pixels
from likewise.errors import InputError
from likewise.formats.canvas import Canvas, box_around, ellipse_mask, grouped
from likewise.formats.dataset import Dataset, name_images
from likewise.formats.dataset_json import read_dataset_file
from likewise.formats.files import for_each, inside, is_file, problems_error, read_json, read_text, sniffed, validate
from likewise.formats.maps import decode_index_mask
from likewise.formats.scan import has_ending, is_image, walk
from likewise.formats.spread import plain_names

NAME = "labelme"
IGNORE, BACKGROUND = "__ignore__", "_background_"
_KEY = b'"shapes"'
_LARGEST = 1 << 28  # bytes, with the image embedded
_SNIFFED = 8  # JSON files of a folder that are looked into
_FEWEST = {"polygon": 3, "rectangle": 2, "circle": 2, "mask": 2, "point": 1, "points": 1, "line": 2, "linestrip": 2}


class Shape(BaseModel):
    """An entry of "shapes"."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)
    label: str
    points: list[tuple[float, float]]
    shape_type: Literal["polygon", "rectangle", "circle", "mask", "point", "points", "line", "linestrip"] = "polygon"
    group_id: int | None = None
    mask: str | None = None


class LabelmeFile(BaseModel):
    """The fields of a labelme file that are read."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)
    shapes: list[Shape]
    flags: dict[str, bool] | None = None
    image_path: str = Field(default="", alias="imagePath")
    image_data: str | None = Field(default=None, alias="imageData")
    image_height: int | None = Field(default=None, alias="imageHeight", ge=0)
    image_width: int | None = Field(default=None, alias="imageWidth", ge=0)


def found(path: Path) -> str | None:
    """The layout in words, None if this is no labelme file nor a folder with some."""
    if path.is_file():
        return path.name if path.suffix.lower() == ".json" and _is_labelme(path) else None
    if not path.is_dir():
        return None
    files = sorted(walk(path, has_ending(".json")))
    return "a JSON file an image" if any(_is_labelme(path / file) for file in files[:_SNIFFED]) else None


def _is_labelme(file: Path) -> bool:
    """Whether the key occurs that every labelme file has; a search through the bytes, since images may be embedded."""
    return _KEY in sniffed(file, _LARGEST)


def opened(path: Path) -> Dataset:
    """The data set of a folder of labelme files or of one file; files are checked now, shapes drawn when asked for."""
    folder = path if path.is_dir() else path.parent
    files = [path.name] if path.is_file() else [file for file in sorted(walk(path, has_ending(".json"))) if _is_labelme(path / file)]
    if not files:
        raise InputError("there are no labelme files", where=str(path), remedy="Give the folder with the JSON files that labelme wrote")
    read = for_each(files, lambda file: _read(folder / file))
    contents = {name: read[file] for name, file in plain_names(files).items()}
    about = read_dataset_file(folder)
    placed = {name: _image_path(folder, name, content) for name, content in contents.items()}
    images = {name: file or "" for name, file in placed.items()}
    if path.is_dir():
        taken = set(images.values())
        others = [file for file in walk(folder, is_image) if file not in taken]
        images |= {name if name not in images else file: file for name, file in name_images(others).items()}

    def example(name: str) -> Example:
        content = contents[name]
        source: ImageSource = folder / (images[name] or name)
        if not images[name] and content.image_data:
            source = _embedded(content.image_data, f"{folder / name}.json: imageData")
        return _example(source, name, content, f"{folder / name}.json")

    embedded = {name for name, content in contents.items() if content.image_data}
    return Dataset(
        NAME,
        folder,
        folder,
        images,
        set(contents),
        example,
        "a JSON file an image",
        _table(about.table(), contents, folder),
        {},
        about.split,
        about.unlabelled,
        embedded,
    )


def _read(path: Path) -> LabelmeFile:
    content = validate(LabelmeFile, read_json(path), path)
    problems = []
    for place, shape in enumerate(content.shapes):
        fewest = _FEWEST[shape.shape_type]
        if len(shape.points) < fewest:
            problems.append((f"shapes[{place}].points", f"a {shape.shape_type} needs at least {fewest}, there are {len(shape.points)}"))
        if any(max(abs(x), abs(y)) > 1e7 for x, y in shape.points):
            problems.append((f"shapes[{place}].points", "a point lies far outside the image"))
        if shape.shape_type == "mask" and not shape.mask:
            problems.append((f"shapes[{place}].mask", "it is missing"))
        if not shape.label.strip():
            problems.append((f"shapes[{place}].label", "it is empty"))
    if problems:
        raise problems_error(path, problems)
    return content


def _table(declared: ClassTable | None, contents: Mapping[str, LabelmeFile], folder: Path) -> ClassTable:
    """The declared classes, those of labels.txt, or the labels and flags in order of their names."""
    if declared is not None:
        return declared
    listed = folder / "labels.txt"
    if listed.is_file():
        names = [line.strip() for line in read_text(listed).splitlines()]
    else:
        names = sorted(
            {shape.label.strip() for content in contents.values() for shape in content.shapes}
            | {flag.strip() for content in contents.values() for flag in content.flags or {}}
        )
    kept = [name for name in dict.fromkeys(names) if name and name != BACKGROUND and not name.startswith("__")]
    return ClassTable(dict(zip((number for number in range(1, len(kept) + 2) if number != 255), kept, strict=False)))


def _image_path(folder: Path, name: str, content: LabelmeFile) -> str | None:
    """The image relative to the folder: as imagePath says, else a file of that name, or of the JSON's, beside the JSON."""
    beside = (folder / name).parent
    where = f"{folder / name}.json: imagePath"
    written = content.image_path.replace("\\", "/")
    bare = written.rpartition("/")[2]
    if bare and is_file(beside / bare):
        return (beside / bare).relative_to(folder).as_posix()
    if written and (content.image_data is None or not written.startswith(("/", ".."))):
        path = inside(folder, (Path(name).parent / written).as_posix() if not written.startswith("/") else written, where)
        if path.is_file():
            return path.resolve().relative_to(folder.resolve()).as_posix()
    same = sorted(file for file in beside.glob(f"{_escaped(Path(name).name)}.*") if is_image(file.name))
    return same[0].relative_to(folder).as_posix() if same else None


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _embedded(text: str, where: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata
            image = Image.open(io.BytesIO(_decoded(text, where)), formats=FORMATS)
    except InputError:
        raise
    except Exception as error:  # Pillow's plugins raise many kinds while reading a header
        raise InputError("it is not an image that can be read", where=where, remedy="Put the image beside the JSON file") from error
    check_pixels((image.height, image.width), where)
    return image


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"it is not base64 ({error})", where=where, remedy="Save the file again in labelme") from error


def _example(source: ImageSource, name: str, content: LabelmeFile, where: str) -> Example:
    if content.image_height and content.image_width:
        size = (content.image_height, content.image_width)
        check_pixels(size, f"{where}: imageHeight")
    else:
        size = image_size(source)
    canvas = Canvas(size)
    groups: dict[tuple[str, int], list[Shape]] = {}
    for shape in content.shapes:
        if shape.shape_type == "polygon" and shape.group_id is not None:
            groups.setdefault((shape.label.strip(), shape.group_id), []).append(shape)
    for place, shape in enumerate(content.shapes):
        grouped = groups.get((shape.label.strip(), shape.group_id), []) if shape.group_id is not None and shape.shape_type == "polygon" else []
        if not grouped or grouped[0] is shape or shape.label.strip() in (IGNORE, BACKGROUND):
            _paint(canvas, shape, grouped[1:], f"{where}: shapes[{place}]")
    drawn = canvas.keys()
    flags: dict[int | str, bool] = {flag.strip(): value for flag, value in (content.flags or {}).items() if flag.strip() and not flag.startswith("_")}
    return canvas.example(source, name, {flag: value for flag, value in flags.items() if flag not in drawn})


def _paint(canvas: Canvas, shape: Shape, rest: Sequence[Shape], where: str) -> None:
    """Paint one shape, and with the first polygon of a group all the others, of which those inside another are holes."""
    label, size = shape.label.strip(), canvas.size
    if label in (IGNORE, BACKGROUND):
        canvas.erase(_shape_mask(shape, size, where), -1 if label == IGNORE else 0)
    elif shape.shape_type == "rectangle":
        canvas.box(label, _box(shape, size, where))
    elif shape.shape_type in ("point", "points"):
        for point in shape.points:
            canvas.point(label, point)
    elif shape.shape_type in ("line", "linestrip"):
        canvas.line(label, shape.points)
    elif shape.shape_type == "polygon":
        canvas.add(label, grouped(size, [np.asarray(each.points, np.float64) for each in (shape, *rest)]), shape.group_id)
    else:
        canvas.paint(label, _shape_mask(shape, size, where), shape.group_id)


def _box(shape: Shape, size: tuple[int, int], where: str) -> Box:
    """The smallest box around the corners (two, or four in newer files), inside the image."""
    box = box_around(shape.points, size)
    if box is None:
        raise InputError("the rectangle is empty, or outside the image", where=where, remedy="Draw it again or delete it")
    return box


def _shape_mask(shape: Shape, size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """The pixels (H, W) of a shape of any kind."""
    points = np.asarray(shape.points, np.float64)
    if shape.shape_type == "mask":
        return _pasted(shape, size, where)
    if shape.shape_type == "circle":
        radius = float(np.hypot(*(points[1] - points[0])))
        return ellipse_mask(size, shape.points[0], (radius, radius))
    if shape.shape_type == "rectangle":
        x0, y0, x1, y1 = _box(shape, size, where)
        return fill_polygons(size, [np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])])
    if shape.shape_type == "polygon":
        return fill_polygons(size, [points])
    return draw_polyline(size, points)


def _pasted(shape: Shape, size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """A "mask" shape: a PNG that covers the box from the first point to the second, both pixels included."""
    patch = decode_index_mask(_decoded(shape.mask or "", f"{where}.mask"), f"{where}.mask", size) > 0
    x, y = (round(value) for value in np.min(shape.points, axis=0))
    height, width = patch.shape
    if x < 0 or y < 0 or y + height > size[0] or x + width > size[1]:
        raise InputError(
            f"the mask of {width}x{height} at ({x}, {y}) does not fit the image of {size[1]}x{size[0]}", where=where, remedy="Save the file again in labelme"
        )
    whole = np.zeros(size, bool)
    whole[y : y + height, x : x + width] = patch
    return whole
