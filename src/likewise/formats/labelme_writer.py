"""Writing labelme: a JSON file an image that labelme opens and our reader reads back to the same pixels.

Each connected part of an object is a polygon along its pixels' edges; parts of one object share a `group_id`. A part with
holes, or with more corners than a person can edit, is a shape of type "mask" instead, since one polygon cannot hold it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.data import Instance
from likewise.formats.encoder import Encoder, write_classes
from likewise.formats.files import json_bytes
from likewise.formats.labelme import IGNORE
from likewise.formats.outline import has_hole, outline, parts
from likewise.formats.pixels import grey_png
from likewise.formats.sheet import Sheet

VERSION = "5.5.0"  # the oldest release of labelme that knows shapes of type "mask" as they are written here
_MOST_CORNERS = 400
_Shape = dict[str, Any]


def encode(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of the labelme file of one image."""
    height, width = sheet.size
    content: dict[str, Any] = {
        "version": VERSION,
        "flags": {sheet.classes[number]: value for number, value in sheet.tags.items()},
        "shapes": [*_painted(sheet), *_drawn(sheet)],
        "imagePath": Path(sheet.name).name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    return {f"{stem}.json": json_bytes(content)}


def _painted(sheet: Sheet) -> Iterator[_Shape]:
    """What has pixels: the ignored ones first, since such a shape takes pixels from those before it, then the objects."""
    ignored = Instance.of(sheet.ignored)
    if ignored is not None:
        yield _mask_shape(ignored.patch, ignored.x, ignored.y, IGNORE)
    for group, each in enumerate(sheet.objects, 1):
        shapes = list(_shapes(each.shown, sheet.classes[each.number]))
        yield from (shape | {"group_id": group} if len(shapes) > 1 else shape for shape in shapes)


def _drawn(sheet: Sheet) -> Iterator[_Shape]:
    """Boxes, points and lines."""
    for number, boxes in sheet.boxes.items():
        yield from (_shape(sheet.classes[number], "rectangle", [[x0, y0], [x1, y1]]) for x0, y0, x1, y1 in boxes)
    for number, (positive, _) in sheet.points.items():
        yield from (_shape(sheet.classes[number], "point", [[x, y]]) for x, y in positive)
    for number, lines in sheet.scribbles.items():
        yield from (_shape(sheet.classes[number], "linestrip", [[x, y] for x, y in _two(line)]) for line in lines)


def _two(line: Any) -> Any:
    """A line of two points at least, which is the fewest that labelme opens."""
    return line if len(line) > 1 else [*line, *line]


def _shapes(shown: Instance, label: str) -> Iterator[_Shape]:
    """The shapes of an object: parts joined by edges, not by corners, so that one outline goes around each."""
    for left, top, patch in parts(shown.patch):
        x, y = left + shown.x, top + shown.y
        corners = None if has_hole(patch) else outline(patch)
        if corners is None or len(corners) > _MOST_CORNERS:
            yield _mask_shape(patch, x, y, label)
        else:
            yield _shape(label, "polygon", [[float(column + x), float(row + y)] for column, row in corners])


def _mask_shape(patch: NDArray[np.bool_], x: int, y: int, label: str) -> _Shape:
    height, width = patch.shape
    shape = _shape(label, "mask", [[float(x), float(y)], [float(x + width - 1), float(y + height - 1)]])
    return shape | {"mask": base64.b64encode(grey_png(patch.astype(np.uint8))).decode("ascii")}


def _shape(label: str, kind: str, points: list[list[float]]) -> _Shape:
    return {"label": label, "points": points, "group_id": None, "description": "", "shape_type": kind, "flags": {}, "mask": None}


ENCODER = Encoder(
    holds=frozenset({"masks", "holes", "overlap", "instances", "ignored pixels", "boxes", "points", "scribbles", "tags", "tags of absence", "unknown pixels"}),
    planned=lambda stem: [f"{stem}.json"],
    encode=encode,
    finish=write_classes,
    ending=".json",
    single=encode,
    images=lambda sheet: sheet.name,
)
