"""What a run measures: how many there are of each class in each image, and how large; measurements.csv, and objects.csv where objects are told apart.

What is measured of an image stands in its line of the manifest, so that the tables, made line by line at the end of a run, are the same after a stop and
after shards were joined, and no run of any length holds them in memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from likewise.data import ClassTable, Instance, Prediction
from likewise.errors import UsageError
from likewise.formats.class_table import safe_cell, table_line
from likewise.formats.files import atomic_file
from likewise.labelling.lines import rounded

FILE, OBJECTS = "measurements.csv", "objects.csv"
COLUMNS = ("image", "class", "count", "area", "share", "confidence")
LOOK = "look"  # 1 where an image is to be looked at for a class, in runs that were told what may be missed
OBJECT_COLUMNS = ("image", "class", "object", "area", "x", "y", "x0", "y0", "x1", "y1", "confidence", "diameter")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z\u00b5\u03bc]{1,12})\s*")


@dataclass(frozen=True)
class PixelSize:
    """How long a pixel is, in a unit."""

    length: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> PixelSize:
        """A length with its unit; UsageError for anything else.

        >>> PixelSize.parse("0.5um")
        PixelSize(length=0.5, unit='um')
        """
        found = _SIZE.fullmatch(text)
        if found is None or float(found[1]) <= 0:
            raise UsageError(f"{text!r} is no length with a unit", where="--pixel-size", remedy="Write for example 0.5um or 30cm")
        return cls(float(found[1]), found[2])

    def __str__(self) -> str:
        return f"{self.length!r}{self.unit}"


def measured(prediction: Prediction) -> dict[str, Any]:
    """What the line of an image says of its classes: measured {class: [pixels, confidence]} of those that have any.

    Where objects are told apart also objects {class: [[pixels, x, y, x0, y0, x1, y1, confidence], ...]}. Nothing of classes of whole images.
    """
    if not prediction.classes.names or prediction.probabilities:
        return {}
    areas = np.bincount(prediction.labels[prediction.labels > 0].astype(np.int64))
    shown = [(int(number), prediction.classes[int(number)]) for number in np.flatnonzero(areas) if int(number) in prediction.classes]
    found: dict[str, Any] = {
        "measured": {name: [int(areas[number]), rounded(prediction.class_confidence.get(name, prediction.confidence))] for number, name in shown}
    }
    if prediction.instances is not None:
        found["objects"] = {prediction.classes[number]: [_object(one) for one in listed] for number, listed in prediction.objects.items()}
    return found


def write_tables(lines: Iterable[Mapping[str, Any]], folder: Path, classes: ClassTable, size: PixelSize | None, *, decides: bool = False) -> list[Path]:
    """Write the tables of a run into a folder from the lines of its manifest; the files, relative to it. There is no objects.csv where none were told apart.

    decides: whether the first table says of each image and class whether it is to be looked at.
    """
    apart = False
    with ExitStack() as stack:
        whole, single = (stack.enter_context(atomic_file(folder / name)) for name in (FILE, OBJECTS))
        unit = () if size is None else (f"area_{size.unit}2",)
        _put(whole, [*COLUMNS, *unit, *([LOOK] if decides else [])])
        _put(single, [*OBJECT_COLUMNS, *unit, *(() if size is None else (f"diameter_{size.unit}",))])
        for line in lines:
            if "measured" in line:
                apart = apart or "objects" in line
                for name, row in _rows(line, classes, size):
                    _put(whole, [*row, *([str(int(name in line.get("decided", {})))] if decides else [])])
                for row in _object_rows(line, classes, size):
                    _put(single, row)
    if apart:
        return [Path(FILE), Path(OBJECTS)]
    (folder / OBJECTS).unlink()
    return [Path(FILE)]


def _object(one: Instance) -> list[float | None]:
    """The numbers of an object; its middle is the mean of its pixels' middles."""
    rows, columns = np.nonzero(one.patch)
    x, y = (rounded(float(place.mean()) + first + 0.5) for place, first in ((columns, one.x), (rows, one.y)))
    return [one.area, x, y, *one.box, None if one.score is None else rounded(one.score)]


def _rows(line: Mapping[str, Any], classes: ClassTable, size: PixelSize | None) -> Iterator[tuple[str, list[str]]]:
    """The name of every class and its row of the task: those that the image does not show have 0."""
    pixels = line["size"][0] * line["size"][1]
    for name in classes.names.values():
        area, confidence = line["measured"].get(name, (0, None))
        objects = line.get("objects", {}).get(name)
        scores = [one[-1] for one in objects or () if one[-1] is not None]
        confidence = sum(scores) / len(scores) if scores else confidence
        count = str(len(objects)) if objects else "0" if not area else ""
        yield name, [safe_cell(line["image"]), safe_cell(name), count, str(area), _number(area / pixels), _number(confidence), *_area(area, size)]


def _object_rows(line: Mapping[str, Any], classes: ClassTable, size: PixelSize | None) -> Iterator[list[str]]:
    number = 0
    objects = line.get("objects", {})
    for name in (name for name in objects if name in classes.names.values()):
        for area, x, y, *box, confidence in objects[name]:
            number += 1
            diameter = 2 * math.sqrt(area / math.pi)
            wide = [] if size is None else [_number(diameter * size.length)]
            cells = [str(number), str(area), _number(x), _number(y), *map(str, box), _number(confidence), _number(diameter)]
            yield [safe_cell(line["image"]), safe_cell(name), *cells, *_area(area, size), *wide]


def _area(pixels: int, size: PixelSize | None) -> list[str]:
    return [] if size is None else [_number(pixels * size.length**2)]


def _number(value: float | None) -> str:
    """A number with six significant digits and no exponent, which every spreadsheet reads; empty for none."""
    return "" if value is None else np.format_float_positional(value, precision=6, fractional=False, trim="-")


def _put(stream: IO[bytes], cells: list[str]) -> None:
    stream.write(table_line(cells))
