"""Keypoints as files: NAME.keypoints.json beside the labels of an image, and keypoints.json for the points of a folder.

NAME.keypoints.json is what a run writes, a point {"x", "y", "probability"} for each name; points below a probability of 1/2
are not visible. Corrected files are read as labels again: a point without "x" and "y", or null, is not visible, a name that
is left out unknown. The file of a folder has {"keypoints": [names], "points": {image: [[x, y, v], ...]}} with one entry a
name in order; v is 0 for unknown, else the point is known (a hidden one whose place is known too); null is "not visible".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from likewise.data.prediction import VISIBLE_FROM
from likewise.errors import InputError
from likewise.formats.files import json_bytes, read_json, validate
from likewise.formats.scan import walk

ENDING = ".keypoints.json"
FILE = "keypoints.json"
Keypoints = dict[str, tuple[float, float] | None]
_OWN = re.compile(r".+\.keypoints\.json$")


class PointEntry(BaseModel):
    """A point of NAME.keypoints.json."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    x: float | None = None
    y: float | None = None
    probability: float = Field(default=1.0, ge=0, le=1)

    def place(self) -> tuple[float, float] | None:
        """(x, y), None for a point that is not visible."""
        return None if self.x is None or self.y is None or self.probability < VISIBLE_FROM else (self.x, self.y)


class PointsFile(BaseModel):
    """The points of one image."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    likewise: Literal[1]
    keypoints: dict[str, PointEntry | None]


class FolderFile(BaseModel):
    """The points of a folder's images; other fields, a skeleton say, are left alone."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)
    keypoints: list[str] = Field(min_length=1)
    points: dict[str, list[tuple[float, float] | tuple[float, float, float] | None]]


def encode(stem: str, keypoints: Mapping[str, tuple[float, float, float] | None]) -> dict[str, bytes]:
    """File name -> content of the points of an image, nothing where there are none."""
    if not keypoints:
        return {}
    points = {name: None if each is None else _entry(*each) for name, each in keypoints.items()}
    return {f"{stem}{ENDING}": json_bytes({"likewise": 1, "keypoints": points})}


def _entry(x: float, y: float, probability: float) -> dict[str, float]:
    return {"x": round(x, 3), "y": round(y, 3), "probability": round(probability, 4)}


def described(folder: Path) -> dict[str, Keypoints]:
    """NAME -> points for every NAME.keypoints.json under a folder. InputError for a file that cannot be read."""
    found: dict[str, Keypoints] = {}
    for relative in walk(folder, lambda name: _OWN.match(name) is not None):
        content = validate(PointsFile, read_json(folder / relative), folder / relative)
        found[relative.removesuffix(ENDING)] = {name: None if entry is None else entry.place() for name, entry in content.keypoints.items()}
    return found


def read_folder_file(path: Path) -> dict[str, Keypoints]:
    """Image name -> points of a keypoints.json. InputError where an image has not one entry a name."""
    content = validate(FolderFile, read_json(path), path)
    found: dict[str, Keypoints] = {}
    for image, points in content.points.items():
        if len(points) != len(content.keypoints):
            raise InputError(
                f"{image!r} has {len(points)} points and there are {len(content.keypoints)} names",
                where=f"{path}: points.{image}",
                remedy="Give one entry a name: [x, y, 2], [0, 0, 0] for unknown, null for not visible",
            )
        found[image] = {
            name: None if point is None else (point[0], point[1])
            for name, point in zip(content.keypoints, points, strict=True)
            if point is None or len(point) == 2 or point[2] > 0
        }
    return found
