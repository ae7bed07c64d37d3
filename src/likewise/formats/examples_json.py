"""Our own `examples.json`: one file that can hold labels of every kind.

Masks are given by the path of an image or as COCO run lengths; everything else by numbers. Unknown fields are refused
with the closest match, keys that are written twice too, and all problems of the file are reported together.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from likewise.data import ClassTable, Example, Instance, Target
from likewise.data.limits import Covered, check_pixels
from likewise.data.target import TargetKind
from likewise.errors import InputError
from likewise.formats.dataset import Dataset, without_ending
from likewise.formats.dataset_json import read_beside
from likewise.formats.files import inside, problems_error, read_json, sniffed, validate
from likewise.formats.maps import Encoding, parse_formula, read_dense, read_index_mask
from likewise.formats.rle import decode_mask

NAME = "examples"
FILE = "examples.json"
_KEYS = (b'"examples"', b'"likewise"')


def _known_version(version: int) -> int:
    if version != 1:
        raise ValueError(f"version {version} is not known here; this program reads version 1")
    return version


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RunLengths(_Strict):
    """A mask as COCO run lengths."""

    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    counts: str | list[int]


class Points(_Strict):
    """Points on a class and points off it."""

    positive: list[tuple[float, float]] = []
    negative: list[tuple[float, float]] = []


class TargetEntry(_Strict):
    """A dense target: what its values are, and how its files hold them unless an example says otherwise."""

    unit: str = ""
    kind: TargetKind = "real"
    scale: float = Field(default=1.0, gt=0)
    offset: float = 0.0
    invalid: float | list[float] | None = None
    range: tuple[float, float] | None = None
    encoding: str | None = None


class DenseFile(_Strict):
    """A dense map's file, where it differs from what its target says."""

    path: str
    scale: float | None = Field(default=None, gt=0)
    offset: float | None = None
    invalid: float | list[float] | None = None


MaskSource = str | RunLengths
Pairs = list[tuple[float, float]]


class ExampleEntry(_Strict):
    """One image and its labels."""

    image: str
    name: str | None = None
    label_map: str | None = None
    masks: dict[str, MaskSource | list[MaskSource]] = {}
    instances: dict[str, list[MaskSource]] = {}
    boxes: dict[str, list[tuple[float, float, float, float]]] = {}
    points: dict[str, Points] = {}
    scribbles: dict[str, list[Pairs]] = {}
    tags: dict[str, StrictBool] = {}
    keypoints: dict[str, tuple[float, float] | None] = {}
    dense: dict[str, str | DenseFile] = {}
    label: str | None = None
    unlabelled: Literal["background", "unknown"] | None = None

    def is_labelled(self) -> bool:
        """Whether it carries any label."""
        return any((self.label_map, self.masks, self.instances, self.boxes, self.points, self.scribbles, self.tags, self.keypoints, self.dense, self.label))


class ExamplesFile(_Strict):
    """The whole file."""

    likewise: Annotated[int, AfterValidator(_known_version)] = 1
    classes: dict[str, str] | list[str] | None = None
    ignore: int | None = None
    targets: dict[str, TargetEntry] = {}
    unlabelled: Literal["background", "unknown"] | None = None
    split: dict[str, list[str]] = {}
    examples: list[ExampleEntry] = Field(min_length=1)


def found(path: Path) -> str | None:
    """The layout in words, None if this is no examples.json nor a folder with one."""
    if path.is_dir():
        return FILE if (path / FILE).is_file() else None
    if path.suffix.lower() != ".json" or not path.is_file():
        return None
    return path.name if path.name == FILE or all(key in sniffed(path, 1 << 26) for key in _KEYS) else None


def opened(path: Path) -> Dataset:
    """The data set of an examples.json, or of the folder that holds it; everything but pixels is checked now."""
    file = path / FILE if path.is_dir() else path
    folder = file.parent
    content = validate(ExamplesFile, read_json(file, unique=True), file)
    entries: dict[str, ExampleEntry] = {}
    problems: list[tuple[str, str]] = []
    for place, entry in enumerate(content.examples):
        name = entry.name or without_ending(entry.image.replace("\\", "/").removeprefix("./"))
        if name in entries:
            problems.append((f"examples[{place}]", f"two examples are called {name!r}; give each a 'name' of its own"))
        problems += _problems(folder, f"examples[{place}]", entry)
        entries[name] = entry
    if problems:
        raise problems_error(file, problems)
    classes = None if content.classes is None else _table(content.classes, file)
    targets, encodings = _targets(content, file)

    def example(name: str) -> Example:
        return _example(folder, name, entries[name], content, classes, encodings, f"{file}: {name}")

    images = {name: posixpath.normpath(entry.image.replace("\\", "/")) for name, entry in entries.items()}
    labelled = {name for name, entry in entries.items() if entry.is_labelled()}
    keypoints = tuple(dict.fromkeys(name for entry in entries.values() for name in entry.keypoints))
    # `unlabelled` is the examples' own
    splits = content.split or read_beside(folder).split
    return Dataset(NAME, folder, folder, images, labelled, example, file.name, classes, targets, splits, keypoints=keypoints)


def _files(entry: ExampleEntry) -> Iterator[tuple[str, str]]:
    """(field, path) of every file that an entry names."""
    yield "image", entry.image
    if entry.label_map:
        yield "label_map", entry.label_map
    for field, part in _sources(entry):
        if isinstance(part, str):
            yield field, part
    for key, dense in entry.dense.items():
        yield f"dense.{key}", dense if isinstance(dense, str) else dense.path


def _problems(folder: Path, where: str, entry: ExampleEntry) -> Iterator[tuple[str, str]]:
    for field, name in _files(entry):
        try:
            if not inside(folder, name, field).is_file():
                yield f"{where}.{field}", f"there is no file {name!r}"
        except InputError as error:
            yield f"{where}.{field}", error.what
    for field, part in _sources(entry):
        if isinstance(part, RunLengths) and min(part.size) < 1:
            yield f"{where}.{field}", f"size is {part.size}"


def _sources(entry: ExampleEntry) -> Iterator[tuple[str, MaskSource]]:
    """(field, source) of every mask of an entry."""
    for key, mask in entry.masks.items():
        yield from ((f"masks.{key}", part) for part in (mask if isinstance(mask, list) else [mask]))
    for key, objects in entry.instances.items():
        yield from ((f"instances.{key}", part) for part in objects)


def _table(classes: dict[str, str] | list[str], file: Path) -> ClassTable:
    try:
        return ClassTable.of({int(key): name for key, name in classes.items()} if isinstance(classes, dict) else classes)
    except InputError as error:
        raise InputError(error.what, where=f"{file}: classes", remedy=error.remedy) from error
    except ValueError as error:
        raise InputError(f"class numbers must be whole numbers ({error})", where=f"{file}: classes", remedy='Write {"1": "crack", "2": "stain"}') from error


def _targets(content: ExamplesFile, file: Path) -> tuple[dict[str, Target], dict[str, Encoding]]:
    """Targets and the encodings of their files. Stored "unknown" becomes NaN on reading, so the targets have no `invalid`."""
    targets, encodings = {}, {}
    for name, entry in content.targets.items():
        where = f"{file}: targets.{name}"
        try:
            targets[name] = Target(unit=entry.unit, kind=entry.kind, scale=entry.scale, range=entry.range)
        except InputError as error:
            raise InputError(error.what, where=where, remedy=error.remedy) from error
        scale, offset = parse_formula(entry.encoding, f"{where}.encoding") if entry.encoding else (entry.scale, entry.offset)
        encodings[name] = Encoding(scale, offset, _invalid(entry.invalid))
    return targets, encodings


def _invalid(value: float | list[float] | None) -> float | tuple[float, ...] | None:
    return tuple(value) if isinstance(value, list) else value


def _example(
    folder: Path, name: str, entry: ExampleEntry, content: ExamplesFile, classes: ClassTable | None, encodings: dict[str, Encoding], where: str
) -> Example:
    label_map = None if entry.label_map is None else _label_map(inside(folder, entry.label_map, f"{where}: label_map"), content.ignore)
    return Example(
        inside(folder, entry.image, f"{where}: image"),
        name,
        label_map=label_map,
        masks={_key(key, classes): _union(folder, mask, f"{where}: masks.{key}") for key, mask in entry.masks.items()},
        instances={_key(key, classes): _objects(folder, objects, f"{where}: instances.{key}") for key, objects in entry.instances.items()},
        boxes={_key(key, classes): boxes for key, boxes in entry.boxes.items()},
        points={_key(key, classes): {"positive": points.positive, "negative": points.negative} for key, points in entry.points.items()},
        scribbles={_key(key, classes): lines for key, lines in entry.scribbles.items()},
        tags={_key(key, classes): value for key, value in entry.tags.items()},
        keypoints=entry.keypoints,
        dense={target: _dense(folder, source, encodings.get(target, Encoding()), f"{where}: dense.{target}") for target, source in entry.dense.items()},
        label=None if entry.label is None else _key(entry.label, classes),
        unlabelled=entry.unlabelled or content.unlabelled or "background",
    )


def _key(written: str, classes: ClassTable | None) -> int | str:
    """A class by name, or by number where no class has that name."""
    named = classes is not None and written in classes.names.values()
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 and not named else written


def _label_map(path: Path, ignore: int | None) -> NDArray[np.int32]:
    values = read_index_mask(path)
    values[(values == 255) | (values == 65_535)] = -1
    if ignore is not None:
        values[values == ignore] = -1
    return values


def _union(folder: Path, mask: MaskSource | list[MaskSource], where: str) -> NDArray[np.bool_]:
    """The pixels (H, W) of a mask: those above 0 of a file, or of run lengths; several are united."""
    whole: NDArray[np.bool_] | None = None
    for each in mask if isinstance(mask, list) else [mask]:
        part = _mask(folder, each, where)
        if whole is not None and part.shape != whole.shape:
            raise InputError("the parts of the mask have different sizes", where=where, remedy="Give each the size of the image")
        whole = part if whole is None else whole | part
    if whole is None:
        raise InputError("the mask has no parts", where=where, remedy="Give it one, or leave it out")
    return whole


def _objects(folder: Path, sources: Sequence[MaskSource], where: str) -> list[Instance]:
    """An object for each mask; InputError for one without a pixel."""
    covered, found = Covered(where), []
    for place, source in enumerate(sources):
        found.append(Instance.of(_mask(folder, source, f"{where}[{place}]")))
        covered.add(0 if found[-1] is None else found[-1].patch.size)
    if None in found:
        raise InputError("the object has no pixel", where=f"{where}[{found.index(None)}]", remedy="Leave it out")
    return [one for one in found if one is not None]


def _mask(folder: Path, source: MaskSource, where: str) -> NDArray[np.bool_]:
    if isinstance(source, str):
        return np.asarray(read_index_mask(inside(folder, source, where)) > 0)
    size = (source.size[0], source.size[1])
    check_pixels(size, where)
    try:
        return decode_mask(source.counts, size)
    except ValueError as error:
        raise InputError(str(error), where=where, remedy="Write the run lengths again, column by column") from error


def _dense(folder: Path, source: str | DenseFile, encoding: Encoding, where: str) -> NDArray[np.float32]:
    if isinstance(source, str):
        return read_dense(inside(folder, source, where), encoding)
    scale = encoding.scale if source.scale is None else source.scale
    offset = encoding.offset if source.offset is None else source.offset
    invalid = encoding.invalid if source.invalid is None else _invalid(source.invalid)
    return read_dense(inside(folder, source.path, where), Encoding(scale, offset, invalid))
