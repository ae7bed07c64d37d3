"""From what a person wrote to what methods read: class numbers, checked sizes, one type for each kind of label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.data.classes import ClassTable
from likewise.data.dense_values import dense_values
from likewise.data.example import Example, Unlabelled
from likewise.data.geometry import area_resize
from likewise.data.instance import Instance, union
from likewise.data.labels import LabelKind
from likewise.data.limits import Covered
from likewise.data.target import Target
from likewise.errors import InputError, close_match

_NOTHING = "Leave the class out, or tag it as absent if it is not in the image"


@dataclass(frozen=True)
class Labels:
    """The labels of one image, with class numbers for keys and everything checked.

    size (H, W); label_map (H, W) int16, 0 background, -1 ignore, or None without pixel labels; masks: only those
    whose pixels lie partly under another mask, (H, W) bool; instances: objects, where they are told apart; boxes (K, 4),
    points ((P, 2) positive, (Q, 2) negative), scribbles [(K, 2)], all float64 in pixels; dense {target: (H, W, C) float32},
    NaN unknown.
    """

    size: tuple[int, int]
    label_map: NDArray[np.int16] | None = None
    masks: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    instances: Mapping[int, Sequence[Instance]] = field(default_factory=dict)
    boxes: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)
    points: Mapping[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    scribbles: Mapping[int, Sequence[NDArray[np.float64]]] = field(default_factory=dict)
    tags: Mapping[int, bool] = field(default_factory=dict)
    keypoints: Mapping[str, tuple[float, float] | None] = field(default_factory=dict)
    dense: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    label: int | None = None
    unlabelled: Unlabelled = "background"

    def kinds(self) -> frozenset[LabelKind]:
        """The kinds of labels that are there."""
        carried = {
            LabelKind.MASK: self.label_map is not None,
            LabelKind.BOX: bool(self.boxes),
            LabelKind.POINT: bool(self.points),
            LabelKind.SCRIBBLE: bool(self.scribbles),
            LabelKind.TAG: bool(self.tags),
            LabelKind.DENSE: bool(self.dense),
            LabelKind.KEYPOINT: bool(self.keypoints),
            LabelKind.CLASS: self.label is not None,
        }
        return frozenset(kind for kind, value in carried.items() if value)

    def mask(self, number: int) -> NDArray[np.bool_]:
        """The whole mask (H, W) of a class, also the part under other masks."""
        if number in self.masks:
            return self.masks[number]
        if self.label_map is None:
            return np.zeros(self.size, bool)
        return np.asarray(self.label_map == number)

    def present(self, number: int) -> bool | None:
        """Whether the class is in the image: True, False, or None where the labels do not say."""
        if number in self.tags:
            return self.tags[number]
        shown = number in self.boxes or number in self.scribbles or self.label == number
        shown = shown or (number in self.points and len(self.points[number][0]) > 0)
        shown = shown or (self.label_map is not None and bool((self.label_map == number).any())) or number in self.masks
        if shown:
            return True
        says_all = self.unlabelled == "background" and (self.label_map is not None or bool(self.boxes) or self.label is not None)
        return False if says_all else None

    def coverage(self, numbers: Sequence[int], grid: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """How much of each cell each class covers, and how much of the cell is labelled.

        Reads the label map alone. -> shares (N+1, h, w), background first, summing to 1 where anything is labelled
        and 0 elsewhere; weight (h, w) in 0..1. Unlabelled pixels count as background or not at all, as `unlabelled`
        says; ignored pixels never count.
        """
        shares = np.zeros((len(numbers) + 1, *grid), np.float32)
        if self.label_map is None:
            return shares, np.zeros(grid, np.float32)
        known = self.label_map > 0 if self.unlabelled == "unknown" else self.label_map >= 0
        weight = area_resize(known, grid)
        for index, number in enumerate(numbers):
            where = self.label_map == number
            if where.any():
                shares[index + 1] = area_resize(where, grid)
        shares[1:] /= np.maximum(weight, 1e-6)
        shares[0] = np.where(weight > 0, np.clip(1 - shares[1:].sum(0), 0, 1), 0)
        return shares, weight


def resolve(example: Example, where: str, size: tuple[int, int], table: ClassTable, targets: Mapping[str, Target], unlabelled: Unlabelled | None) -> Labels:
    """The labels of an example, checked against its image and the tables; InputError names the example and the field."""
    label_map, hidden = _pixel_labels(example, where, size, table)

    def numbered(field: str) -> list[tuple[int, str, Any]]:
        """(class number, where it stands, value) of what a field says of each class."""
        given = getattr(example, field)
        return [(_number(table, key, f"{where}: {field}"), f"{where}: {field}[{key!r}]", value) for key, value in given.items()]

    found = Labels(
        size=size,
        label_map=label_map,
        masks=hidden,
        instances={number: _inside(value, place, size) for number, place, value in numbered("instances")},
        boxes={number: _boxes(value, place, size) for number, place, value in numbered("boxes")},
        points={number: _points(value, place, size) for number, place, value in numbered("points")},
        scribbles={number: _scribbles(value, place, size) for number, place, value in numbered("scribbles")},
        tags={number: _tag(value, place) for number, place, value in numbered("tags")},
        keypoints={name: _keypoint(value, f"{where}: keypoints[{name!r}]", size) for name, value in example.keypoints.items()},
        dense={name: dense_values(value, f"{where}: dense[{name!r}]", size, targets[name]) for name, value in example.dense.items()},
        label=None if example.label is None else _number(table, example.label, f"{where}: label"),
        unlabelled=unlabelled or example.unlabelled,
    )
    _check_agreement(found, where, table)
    return found


def _number(table: ClassTable, key: int | str, where: str) -> int:
    """The number of a class; InputError says which field names one that there is not."""
    try:
        return table.number(key)
    except InputError as error:
        raise InputError(error.what, where=where, remedy=error.remedy) from error


def _check_agreement(labels: Labels, where: str, table: ClassTable) -> None:
    """InputError where two labels of a class contradict each other: tagged absent but marked, a point that is positive and negative."""
    for number in (number for number, there in labels.tags.items() if not there):
        shown = {"a box": labels.boxes, "a scribble": labels.scribbles, "a positive point": {n for n, points in labels.points.items() if len(points[0])}}
        marks = [what for what, numbers in shown.items() if number in numbers]
        marks += ["a mask"] if labels.mask(number).any() else []
        marks += ["the label of the image"] if labels.label == number else []
        if marks:
            raise InputError(
                f"{table[number]!r} is tagged as absent, and has {' and '.join(marks)}",
                where=f"{where}: tags[{table[number]!r}]",
                remedy="Drop the tag if there is one in the image, else what marks it",
            )
    for number, (positive, negative) in labels.points.items():
        both = {tuple(point) for point in positive.tolist()} & {tuple(point) for point in negative.tolist()}
        if both:
            x, y = min(both)
            raise InputError(
                f"the point ({x:g}, {y:g}) is positive and negative", where=f"{where}: points[{table[number]!r}]", remedy="Keep it in one of the two lists"
            )


def _pixel_labels(example: Example, where: str, size: tuple[int, int], table: ClassTable) -> tuple[NDArray[np.int16] | None, dict[int, NDArray[np.bool_]]]:
    if example.label_map is None and not example.masks and not example.instances:
        return None, {}
    combined = np.zeros(size, np.int16)
    if example.label_map is not None:
        combined = _label_map(np.asarray(example.label_map), f"{where}: label_map", size, table)
    masks: dict[int, NDArray[np.bool_]] = {}
    Covered(f"{where}: masks").add(len({*example.masks, *example.instances}) * size[0] * size[1])
    for key, value in example.masks.items():
        mask = _sized(np.asarray(value), f"{where}: masks[{key!r}]", size).astype(bool)
        number = _number(table, key, f"{where}: masks")
        masks[number] = mask | masks[number] if number in masks else mask
    for key, objects in example.instances.items():
        number = _number(table, key, f"{where}: instances")
        mask = union(_inside(objects, f"{where}: instances[{key!r}]", size), size)
        masks[number] = mask | masks[number] if number in masks else mask
    for number in sorted(masks, key=lambda n: int(masks[n].sum()), reverse=True):
        combined[masks[number]] = number
    hidden = {number: mask for number, mask in masks.items() if bool((combined[mask] != number).any())}
    return combined, hidden


def _inside(objects: Sequence[Instance], where: str, size: tuple[int, int]) -> Sequence[Instance]:
    """The objects as they are; InputError for one that does not lie inside the image."""
    for index, each in enumerate(objects):
        x0, y0, x1, y1 = each.box
        if x0 < 0 or y0 < 0 or y1 > size[0] or x1 > size[1]:
            raise InputError(f"an object at {each.box} does not fit the image of {size[1]}x{size[0]}", where=f"{where}[{index}]", remedy="Check its place")
    return objects


def _label_map(values: NDArray[np.generic], where: str, size: tuple[int, int], table: ClassTable) -> NDArray[np.int16]:
    _sized(values, where, size)
    if not (np.issubdtype(values.dtype, np.integer) or values.dtype == np.bool_):
        raise InputError(f"the label map is {values.dtype}", where=where, remedy="Give whole numbers: 0 background, 1.. classes, 255 ignore")
    numbers = values.astype(np.int64)
    out = numbers.copy()
    out[numbers == 255] = -1
    unknown = sorted(set(np.unique(out).tolist()) - {0, -1} - set(table.numbers))
    if unknown:
        listed = ", ".join(map(str, unknown[:8]))
        raise InputError(
            f"the label map has values that are no class: {listed}", where=where, remedy=f"Classes are {dict(table.names)}; 0 is background, 255 ignore"
        )
    return out.astype(np.int16)


def _sized(values: NDArray[np.generic], where: str, size: tuple[int, int]) -> NDArray[np.generic]:
    if values.shape[:2] == size and values.ndim == 2:
        return values
    if values.ndim != 2:
        raise InputError(f"it has shape {values.shape}", where=where, remedy="Give an array (H, W)")
    got, want = f"{values.shape[1]}x{values.shape[0]}", f"{size[1]}x{size[0]}"
    turned = values.shape == size[::-1]
    remedy = "Rotate it, or remove the EXIF rotation of the image" if turned else "Give it the size of the image"
    raise InputError(f"it is {got}, its image {want}", where=where, remedy=remedy)


def _coordinates(values: object, where: str, size: tuple[int, int]) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"coordinates cannot be read ({error})", where=where, remedy="Give (x, y) pairs of numbers") from error
    if array.size == 0:
        return np.zeros((0, 2))
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"coordinates have shape {array.shape}", where=where, remedy="Give a list of (x, y)")
    if not np.isfinite(array).all():
        raise InputError("a coordinate is not finite", where=where, remedy="Give numbers in pixels")
    height, width = size
    outside = (array < 0).any(axis=1) | (array[:, 0] > width) | (array[:, 1] > height)
    if outside.any():
        index = int(outside.argmax())
        x, y = array[index]
        raise InputError(
            f"the point ({x:g}, {y:g}) lies outside the image of {width}x{height}",
            where=f"{where}[{index}]",
            remedy="Points are (x, y) in pixels, x right, y down",
        )
    return array


def _scribbles(lines: Sequence[Sequence[Sequence[float]]], where: str, size: tuple[int, int]) -> list[NDArray[np.float64]]:
    found = [_coordinates(line, f"{where}[{index}]", size) for index, line in enumerate(lines)]
    if not found or not all(len(line) for line in found):
        raise InputError("a scribble has no points", where=where, remedy=_NOTHING)
    return found


def _boxes(values: object, where: str, size: tuple[int, int]) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, np.float64).reshape(-1, 4)
    except (TypeError, ValueError) as error:
        raise InputError(f"boxes cannot be read ({error})", where=where, remedy="Give a list of (x0, y0, x1, y1)") from error
    if not len(array):
        raise InputError("there are no boxes", where=where, remedy=_NOTHING)
    height, width = size
    clipped = np.clip(array, 0, [width, height, width, height])
    for index, (given, (x0, y0, x1, y1)) in enumerate(zip(array, clipped, strict=True)):
        told, place = "(" + ", ".join(f"{value:g}" for value in given) + ")", f"{where}[{index}]"
        if not np.isfinite(given).all():
            raise InputError(f"the box {told} is not finite", where=place, remedy="Give numbers in pixels")
        if given[2] <= given[0] or given[3] <= given[1]:
            raise InputError(f"the box {told} has no area", where=place, remedy="Boxes are (x0, y0, x1, y1) with x0 < x1 and y0 < y1")
        if x1 <= x0 or y1 <= y0:
            raise InputError(f"the box {told} lies outside the image of {width}x{height}", where=place, remedy="Boxes are (x0, y0, x1, y1) in pixels")
    return clipped


def _points(value: Mapping[str, Sequence[Sequence[float]]], where: str, size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = ("positive", "negative")
    if not isinstance(value, Mapping):
        raise InputError("points must say which are positive", where=where, remedy='Write {"positive": [(x, y)], "negative": []}')
    for key in value:
        if key not in known:
            raise InputError(f"there is no kind of point {key!r}", where=where, remedy=close_match(str(key), known))
    positive, negative = (_coordinates(value.get(key, ()), f"{where}[{key!r}]", size) for key in known)
    if not len(positive) and not len(negative):
        raise InputError("there are no points", where=where, remedy=_NOTHING)
    return positive, negative


def _tag(value: object, where: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"a tag is {value!r}", where=where, remedy="Write True (there is one) or False (there is none)")
    return bool(value)


def _keypoint(value: Sequence[float] | None, where: str, size: tuple[int, int]) -> tuple[float, float] | None:
    if value is None:
        return None
    x, y = _coordinates([value], where, size)[0]
    return float(x), float(y)
