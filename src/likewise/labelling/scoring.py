"""Labels compared with reference labels, image by image, in counts that add up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Labels, Prediction, Target
from likewise.data.geometry import area_resize
from likewise.data.target import TargetKind
from likewise.functional.metrics import (
    DenseSums,
    absolute_relative_error,
    accuracy,
    dense_sums,
    intersection_over_union,
    mean_iou,
    overlap_counts,
    presence_counts,
    root_mean_square_error,
)
from likewise.labelling.lines import rounded

if TYPE_CHECKING:
    from likewise.formats import Truth

DIRECTIONS = ("angle", "unit_vector", "vector")  # kinds of targets whose values have no size to compare an error with
PRESENT_FROM = 0.5  # a calibrated probability above this says "it is there"


def shown_classes(prediction: Prediction) -> dict[str, float]:
    """The classes that an image shows, with their probability: the likely ones, and those with pixels where a method gives no probabilities (NaN)."""
    counted = np.bincount(prediction.labels[prediction.labels > 0].astype(np.int64), minlength=1)
    drawn = {prediction.classes[int(number)] for number in np.flatnonzero(counted) if int(number) in prediction.classes}
    probabilities = {name: float(prediction.present.get(name, math.nan)) for name in prediction.classes.names.values()}
    return {name: p for name, p in probabilities.items() if p >= PRESENT_FROM or name in drawn}


class Scorer:
    """Compares predictions of one task with one truth. Classes are the same if their names are."""

    def __init__(self, truth: Truth, classes: ClassTable, targets: Mapping[str, Target]) -> None:
        numbers = {name: number for number, name in truth.classes.names.items()}
        self._truth = truth
        self._shared = [(classes[number], number, numbers[classes[number]]) for number in classes if classes[number] in numbers]
        self._targets = [name for name in targets if name in truth.targets]

    @property
    def empty(self) -> bool:
        """Whether truth and task have no class and no target in common."""
        return not self._shared and not self._targets

    def compare(self, name: str, prediction: Prediction) -> dict[str, Any] | None:
        """The counts of one image as plain values, None if the truth does not know it."""
        labels = self._truth.labels(name, size=prediction.size)
        if labels is None:
            return None
        record: dict[str, Any] = {"image": name, "overlap": {}, "presence": {}, "dense": {}}
        if labels.label_map is not None and self._shared:
            record["overlap"] = self._overlaps(prediction, labels)
        if self._shared:
            record["presence"] = self._presence(prediction, labels)
        for target in self._targets:
            if target in labels.dense and target in prediction.dense:
                expected = labels.dense[target]
                values = _at_size(prediction.dense[target], expected.shape[:2])
                record["dense"][target] = _dense_counts(values, expected, prediction.targets[target].kind)
        return record

    def _overlaps(self, prediction: Prediction, labels: Labels) -> dict[str, list[int]]:
        assert labels.label_map is not None
        expected = np.full(labels.label_map.shape, -1 if labels.unlabelled == "unknown" else 0, np.int16)
        expected[labels.label_map < 0] = -1
        for _, ours, theirs in self._shared:
            expected[labels.label_map == theirs] = ours
        others = [theirs for theirs in self._truth.classes if theirs not in {pair[2] for pair in self._shared}]
        expected[np.isin(labels.label_map, others)] = 0
        counts = overlap_counts(prediction.labels, expected, [ours for _, ours, _ in self._shared], ignore=-1)
        return {name: [int(both), int(either)] for (name, _, _), (both, either) in zip(self._shared, counts, strict=True) if either}

    def _presence(self, prediction: Prediction, labels: Labels) -> dict[str, list[int]]:
        said = [labels.present(theirs) for _, _, theirs in self._shared]
        shown = shown_classes(prediction)
        predicted = np.array([name in shown for name, _, _ in self._shared])
        counts = presence_counts(predicted, np.array([bool(there) for there in said]), np.array([there is not None for there in said]))
        return {name: [int(right), int(asked)] for (name, _, _), (right, asked) in zip(self._shared, counts, strict=True) if asked}


class ScoreTotals:
    """The counts of many images added up."""

    def __init__(self) -> None:
        self.images = 0
        self._overlap: dict[str, NDArray[np.int64]] = {}
        self._presence: dict[str, NDArray[np.int64]] = {}
        self._dense: dict[str, DenseSums] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one image, given as `Scorer.compare` made it."""
        self.images += 1
        for sums, part in ((self._overlap, "overlap"), (self._presence, "presence")):
            for name, pair in record[part].items():
                sums[name] = sums.get(name, np.zeros(2, np.int64)) + np.array(pair, np.int64)
        for target, values in record["dense"].items():
            self._dense[target] = self._dense.get(target, DenseSums()) + DenseSums(*values)

    def scores(self) -> dict[str, Any] | None:
        """Scores as plain values, None if nothing was compared: images, miou, presence_accuracy, classes, dense."""
        if not self.images:
            return None
        overlap, presence = _stacked(self._overlap), _stacked(self._presence)
        iou = dict(zip(self._overlap, intersection_over_union(overlap), strict=True))
        names = sorted({*self._overlap, *self._presence})
        classes = {
            name: {
                "iou": rounded(iou.get(name, math.nan)),
                "presence_accuracy": rounded(accuracy(self._presence[name][None])) if name in self._presence else None,
            }
            for name in names
        }
        dense = {
            name: {"rmse": rounded(root_mean_square_error(sums)), "abs_rel": rounded(absolute_relative_error(sums))}
            for name, sums in sorted(self._dense.items())
        }
        return {"images": self.images, "miou": rounded(mean_iou(overlap)), "presence_accuracy": rounded(accuracy(presence)), "classes": classes, "dense": dense}


def _stacked(counts: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.stack(list(counts.values())) if counts else np.zeros((0, 2), np.int64)


def _dense_counts(values: NDArray[np.floating], expected: NDArray[np.floating], kind: TargetKind) -> list[float]:
    """The fields of `DenseSums` of one image. Angles differ by the shorter way round; directions have no relative error."""
    if kind == "angle":
        values = expected + np.arctan2(np.sin(values - expected), np.cos(values - expected))
    sums = dense_sums(values, expected)
    if kind in DIRECTIONS:
        return [sums.values, sums.squared, 0, 0.0]
    return [sums.values, sums.squared, sums.relative_values, sums.relative]


def _at_size(values: NDArray[np.floating], size: tuple[int, ...]) -> NDArray[np.floating]:
    """Dense values (H, W[, C]) as (h, w, C): where the truth is coarser or finer, each of its pixels gets the mean below it."""
    planes = values.reshape(*values.shape[:2], -1)
    height, width = size
    if planes.shape[:2] == (height, width):
        return planes
    return np.stack([area_resize(planes[:, :, channel], (height, width)) for channel in range(planes.shape[2])], axis=2)
