"""`dataset.json` and `classes.json`: what people write beside their images.

Generous: fields that are not known are left alone, since such files come from many hands. What is read: classes,
ignore, split, unlabelled, dense targets under `depth`, `normals` or `targets`, and the file of keypoints under `points`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from likewise.data import ClassTable, Target
from likewise.data.target import TargetKind
from likewise.errors import InputError
from likewise.formats.files import inside, read_json, validate
from likewise.formats.keypoint_files import FILE, Keypoints, read_folder_file
from likewise.formats.maps import Encoding, parse_formula

UNITS = {"millimetre": "mm", "millimeter": "mm", "centimetre": "cm", "centimeter": "cm", "metre": "m", "meter": "m", "degree": "deg", "radian": "rad"}


class DenseEntry(BaseModel):
    """Where a dense target's files are and how their numbers are to be read."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)
    dir: str | None = None
    unit: str = ""
    kind: TargetKind | None = None
    scale: float = Field(default=1.0, gt=0)
    offset: float = 0.0
    invalid: float | list[float] | None = None
    range: tuple[float, float] | None = None
    encoding: str | None = None


class DatasetFile(BaseModel):
    """The fields of a `dataset.json` that are read."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)
    classes: dict[int, str] | list[str] | None = None
    ignore: int | None = None
    split: dict[str, list[str]] = {}
    unlabelled: Literal["background", "unknown"] | None = None
    depth: DenseEntry | None = None
    normals: DenseEntry | None = None
    targets: dict[str, DenseEntry] = {}
    points: str | None = None

    def table(self) -> ClassTable | None:
        """The table of classes, None if none is declared."""
        return None if self.classes is None else ClassTable.of(self.classes)

    def keypoints(self, folder: Path) -> dict[str, Keypoints]:
        """Image name -> keypoints, of the file that is named or of `keypoints.json`; nothing where there is none."""
        if self.points is None and not (folder / FILE).is_file():
            return {}
        path = inside(folder, self.points or FILE, f"{folder / 'dataset.json'}: points")
        if not path.is_file():
            raise InputError(f"there is no file {self.points!r}", where=f"{folder / 'dataset.json'}: points", remedy="Correct the name, or take it out")
        return read_folder_file(path)

    def dense(self, folder: Path) -> dict[str, tuple[Target, Encoding, Path]]:
        """The dense targets: declared ones, and `depth/` and `normals/` where such folders stand."""
        declared = dict(self.targets)
        for name, entry in (("depth", self.depth), ("normals", self.normals)):
            if name not in declared and (entry is not None or (folder / name).is_dir()):
                declared[name] = entry if entry is not None else DenseEntry(invalid=0)
        return {name: (*target_of(name, entry, f"{folder / 'dataset.json'}: {name}"), _directory(folder, name, entry)) for name, entry in declared.items()}


def read_dataset_file(folder: Path) -> DatasetFile:
    """What `dataset.json` and `classes.json` of a folder say; all defaults where there is none."""
    path = folder / "dataset.json"
    made = DatasetFile()
    if path.is_file():
        data = read_json(path)
        if not isinstance(data, Mapping):
            raise InputError("it does not hold an object", where=str(path), remedy='Write {"classes": {"1": "crack"}, "split": {"support": ["a"]}}')
        made = validate(DatasetFile, _plain(data), path)
    path = folder / "classes.json"
    if path.is_file() and made.classes is None:
        data = read_json(path)
        bare = not (isinstance(data, Mapping) and "classes" in data)
        listed = validate(DatasetFile, {"classes": data} if bare else data, path)
        made = made.model_copy(update={"classes": listed.classes, "ignore": listed.ignore if made.ignore is None else made.ignore})
    return made


def read_beside(folder: Path) -> DatasetFile:
    """What `dataset.json` says, for formats that have their classes elsewhere; all defaults where there is none."""
    return read_dataset_file(folder) if (folder / "dataset.json").is_file() else DatasetFile()


def target_of(name: str, entry: DenseEntry, where: str) -> tuple[Target, Encoding]:
    """The target and the encoding of its files that an entry describes.

    Stored "unknown" becomes NaN on reading, so the target itself has no `invalid`. Normals are unit vectors, and
    without a formula their 8-bit colours run from -1 to 1.
    """
    scale, offset = entry.scale, entry.offset
    if entry.encoding is not None or (name == "normals" and "scale" not in entry.model_fields_set):
        scale, offset = parse_formula(entry.encoding or "value/127.5 - 1", f"{where}.encoding")
    kind = entry.kind or ("unit_vector" if name == "normals" else "real")
    step = scale if entry.encoding is None and name != "normals" else 1.0
    unit = re.sub(r"s$", "", entry.unit.strip()) if entry.unit.strip().rstrip("s") in UNITS else entry.unit.strip()
    invalid = tuple(entry.invalid) if isinstance(entry.invalid, list) else entry.invalid
    try:
        return Target(unit=UNITS.get(unit, unit), kind=kind, scale=step, range=entry.range), Encoding(scale, offset, invalid)
    except InputError as error:
        raise InputError(error.what, where=where, remedy=error.remedy) from error


def _directory(folder: Path, name: str, entry: DenseEntry) -> Path:
    directory = inside(folder, entry.dir or name, f"{folder / 'dataset.json'}: {name}.dir")
    if not directory.is_dir():
        raise InputError(
            f"there is no folder {entry.dir or name!r}", where=f"{folder / 'dataset.json'}: {name}.dir", remedy="Correct the name, or take the target out"
        )
    return directory


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """The file without what has our names but another meaning in other people's files."""
    kept = dict(data)
    for name in ("depth", "normals", "targets"):
        if isinstance(kept.get(name), str):
            kept[name] = {"dir": kept[name]} if name != "targets" else {}
    if not isinstance(kept.get("points"), str):
        kept.pop("points", None)
    if kept.get("split") is None:
        kept["split"] = {}
    return kept
