"""Writing labelme: a JSON file an image that labelme opens and our reader reads back to the same pixels.

Each connected part of a class is a polygon along its pixels' edges. A part with holes, or with more corners than a
person can edit, is a shape of type "mask" instead, since one polygon cannot hold it.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from likewise.data import Prediction
from likewise.formats.files import json_bytes
from likewise.formats.outline import outline
from likewise.formats.pixels import grey_png, numbers_in

VERSION = "5.5.0"  # the oldest release of labelme that knows shapes of type "mask" as they are written here
_MOST_CORNERS = 400


def encode(stem: str, name: str, prediction: Prediction) -> dict[str, bytes]:
    """File name -> content of the labelme file of one image."""
    height, width = prediction.size
    shapes: list[dict[str, Any]] = []
    for number in numbers_in(prediction.labels, prediction.classes):
        shapes += _shapes(prediction.mask(number), prediction.classes[number])
    content: dict[str, Any] = {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": Path(name).name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    return {f"{stem}.json": json_bytes(content)}


def _shapes(mask: NDArray[np.bool_], label: str) -> list[dict[str, Any]]:
    """The shapes of a class: parts joined by edges, not by corners, so that one outline goes around each."""
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    made = []
    for part in range(1, count):
        x, y, width, height, _ = (int(value) for value in boxes[part])
        patch = np.asarray(parts[y : y + height, x : x + width] == part)
        corners = None if _has_hole(patch) else outline(patch)
        if corners is None or len(corners) > _MOST_CORNERS:
            made.append(_mask_shape(patch, x, y, label))
        else:
            made.append(_shape(label, "polygon", [[float(column + x), float(row + y)] for column, row in corners]))
    return made


def _has_hole(patch: NDArray[np.bool_]) -> bool:
    outside = np.pad(~patch, 1, constant_values=True).astype(np.uint8)
    return int(cv2.connectedComponents(outside, connectivity=8)[0]) > 2


def _mask_shape(patch: NDArray[np.bool_], x: int, y: int, label: str) -> dict[str, Any]:
    height, width = patch.shape
    shape = _shape(label, "mask", [[float(x), float(y)], [float(x + width - 1), float(y + height - 1)]])
    return shape | {"mask": base64.b64encode(grey_png(patch.astype(np.uint8))).decode("ascii")}


def _shape(label: str, kind: str, points: list[list[float]]) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "description": "", "shape_type": kind, "flags": {}, "mask": None}
