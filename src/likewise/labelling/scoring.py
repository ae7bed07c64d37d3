"""Labels compared with reference labels, image by image, in counts that add up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Labels, Prediction, Target
from likewise.data.geometry import area_resize
from likewise.data.prediction import VISIBLE_FROM
from likewise.data.target import DIRECTED
from likewise.functional.metrics import (
    DenseSums,
    absolute_relative_error,
    accuracy,
    dense_sums,
    intersection_over_union,
    mean_absolute_error,
    mean_iou,
    overlap_counts,
    presence_counts,
    root_mean_square_error,
    share_close,
)
from likewise.functional.target_metrics import count_scores, degrees_apart, degrees_between, direction_scores, direction_sums, extent, point_scores
from likewise.labelling.class_counts import ClassCounts
from likewise.labelling.decided_counts import DecidedCounts
from likewise.labelling.lines import rounded
from likewise.labelling.object_counts import ObjectCounts, compared_objects, mean_scores
from likewise.labelling.support_mean import SupportMean

if TYPE_CHECKING:
    from likewise.formats import Truth

PRESENT_FROM = 0.5  # a calibrated probability above this says "it is there"


def shown_classes(prediction: Prediction) -> dict[str, float]:
    """The classes that an image shows, with their probability: the likely ones, and those with pixels where a method gives no probabilities (NaN).

    Of the classes of whole images it is the one that is chosen, if any.
    """
    if prediction.probabilities:
        return {} if prediction.label is None else {prediction.label: float(prediction.probabilities[prediction.label])}
    counted = np.bincount(prediction.labels[prediction.labels > 0].astype(np.int64), minlength=1)
    drawn = {prediction.classes[int(number)] for number in np.flatnonzero(counted) if int(number) in prediction.classes}
    probabilities = {name: float(prediction.present.get(name, math.nan)) for name in prediction.classes.names.values()}
    return {name: p for name, p in probabilities.items() if p >= PRESENT_FROM or name in drawn}


class Scorer:
    """Compares predictions of one task with one truth. Classes are the same if their names are.

    mean: what the examples alone say of targets and keypoints, compared beside the predictions.
    """

    def __init__(
        self, truth: Truth, classes: ClassTable, targets: Mapping[str, Target], keypoints: Sequence[str] = (), mean: SupportMean | None = None
    ) -> None:
        self._numbers = numbers = {name: number for number, name in truth.classes.names.items()}
        self._truth, self._mean = truth, mean
        self._shared = [(classes[number], number, numbers[classes[number]]) for number in classes if classes[number] in numbers]
        self._targets = [name for name in targets if name in truth.targets]
        self._points = [name for name in keypoints if name in truth.keypoints]

    @property
    def empty(self) -> bool:
        """Whether truth and task have no class, no target and no keypoint in common."""
        return not self._shared and not self._targets and not self._points

    def compare(self, name: str, prediction: Prediction) -> dict[str, Any] | None:
        """The counts of one image as plain values, None if the truth does not know it."""
        labels = self._truth.labels(name, size=prediction.size)
        if labels is None:
            return None
        record: dict[str, Any] = {"image": name, "overlap": {}, "presence": {}, **self._values(prediction, labels)}
        if prediction.decided:
            told = {name: (labels.present(theirs), prediction.decided[name]) for name, _, theirs in self._shared}
            record["decided"] = {name: [there, look] for name, (there, look) in told.items() if there is not None}
        if prediction.probabilities:
            return record | {"whole": self._whole(prediction, labels)}
        if labels.label_map is not None and self._shared:
            record["overlap"] = self._overlaps(prediction, labels)
            objects = {name: compared_objects(prediction, labels, ours, theirs) for name, ours, theirs in self._shared}
            record |= {"objects": found} if (found := {name: each for name, each in objects.items() if each is not None}) else {}
        if self._shared:
            record["presence"] = self._presence(prediction, labels)
        if self._mean is not None:
            record["mean"] = self._values(self._mean.prediction(prediction), labels)
        return record

    def _whole(self, prediction: Prediction, labels: Labels) -> list[str | None] | None:
        """The true class of the whole image, "" for none that the task knows, and the one that was said; None where the truth says nothing of it."""
        there = [name for name, number in self._numbers.items() if labels.present(number)]
        if len(there) != 1 and (there or False not in labels.tags.values()):
            return None
        known = {name for name, _, _ in self._shared}
        return [there[0] if there and there[0] in known else "", prediction.label]

    def _values(self, prediction: Prediction, labels: Labels) -> dict[str, Any]:
        """The counts of targets and keypoints."""
        found: dict[str, Any] = {"dense": {}}
        for target in self._targets:
            if target in labels.dense and target in prediction.dense:
                expected = labels.dense[target]
                values = _at_size(prediction.dense[target], expected.shape[:2])
                about = prediction.targets[target]
                found["dense"][target] = dense_counts(values, expected, about)
                if (degrees := degrees_off(values, expected, about)) is not None:
                    found.setdefault("degrees", {})[target] = direction_sums(degrees).tolist()
                if about.kind == "density":
                    found.setdefault("counts", {})[target] = counted(values, expected, prediction.size)
        if self._points and labels.keypoints:
            found["keypoints"] = self._distances(prediction, labels)
        return found

    def _distances(self, prediction: Prediction, labels: Labels) -> dict[str, list[float | bool | None]]:
        """For each keypoint that the truth knows: distance in pixels and over the size of what it is on (None: hidden, or no size), "visible" right."""
        size = extent(labels.keypoints, labels.size, len(self._truth.keypoints))
        found: dict[str, list[float | bool | None]] = {}
        for name in self._points:
            if name not in labels.keypoints or name not in prediction.keypoints:
                continue
            x, y, probability = prediction.keypoints[name]
            point = labels.keypoints[name]
            away = None if point is None else math.hypot(x - point[0], y - point[1])
            share = None if away is None else rounded(away / size)
            found[name] = [away, share, (probability >= VISIBLE_FROM) == (point is not None)]
        return found

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
        self._degrees: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, list[tuple[float, float]]] = {}
        self._points: dict[str, list[tuple[float | None, float | None, bool]]] = {}
        self._mean: ScoreTotals | None = None
        self._whole = ClassCounts()
        self._decided = DecidedCounts()
        self._objects: dict[str, ObjectCounts] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one image, given as `Scorer.compare` made it."""
        self.images += 1
        if "mean" in record:
            self._mean = self._mean or ScoreTotals()
            self._mean.add(record["mean"])
        for sums, part in ((self._overlap, "overlap"), (self._presence, "presence")):
            for name, pair in record.get(part, {}).items():
                sums[name] = sums.get(name, np.zeros(2, np.int64)) + np.array(pair, np.int64)
        if record.get("whole"):
            self._whole.add(*record["whole"])
        self._decided.add(record.get("decided", {}))
        for target, values in record["dense"].items():
            self._dense[target] = self._dense.get(target, DenseSums()) + DenseSums(*values)
        for name, each in record.get("objects", {}).items():
            self._objects.setdefault(name, ObjectCounts()).add(each)
        for target, values in record.get("degrees", {}).items():
            self._degrees[target] = self._degrees.get(target, np.zeros(len(values))) + np.array(values)
        for target, pair in record.get("counts", {}).items():
            self._counts.setdefault(target, []).append((pair[0], pair[1]))
        for name, values in record.get("keypoints", {}).items():
            self._points.setdefault(name, []).append((values[0], values[1], values[2]))

    def scores(self) -> dict[str, Any] | None:
        """Scores as plain values, None if nothing was compared: images, miou, presence_accuracy, classes, dense; keypoints if there are any.

        Where objects are told apart: objects, their mean AP50, and objects_of, that of each class and how far counts are off.
        Where a rule decided: decided, what it missed and named in vain by class. Of classes of whole images: accuracy, its interval and those of
        `ClassCounts.scores`.

        mean: scores by target and keypoint of what the examples alone say, if that was compared too.
        """
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
        dense = {name: self._target_scores(name, sums) for name, sums in sorted(self._dense.items())}
        found: dict[str, Any] = {
            "images": self.images,
            "miou": rounded(mean_iou(overlap)),
            "presence_accuracy": rounded(accuracy(presence)),
            "classes": classes,
        }
        if self._whole.count:
            found |= self._whole.scores()
        if decided := self._decided.scores():
            found["decided"] = decided
        apart = {name: counts for name, counts in sorted(self._objects.items()) if counts.true}
        if apart:
            found |= {"objects": mean_scores(apart), "objects_of": {name: counts.scores() for name, counts in apart.items()}}
        found |= {"dense": dense, **({"keypoints": self._point_scores()} if self._points else {})}
        beside = self._mean.scores() if self._mean is not None else None
        return {**found, **({"mean": beside["dense"] | beside.get("keypoints", {})} if beside else {})}

    def _target_scores(self, name: str, sums: DenseSums) -> dict[str, float | None]:
        """The scores of a target; those that its kind has no use for are None, or left out where only one kind has them."""
        found = {"rmse": root_mean_square_error(sums), "abs_rel": absolute_relative_error(sums)}
        found |= {"delta_1.25": share_close(sums)} if sums.positive else {}
        found |= {"mae": mean_absolute_error(sums)} if sums.absolute else {}
        found |= direction_scores(self._degrees[name]) if name in self._degrees else {}
        found |= count_scores(self._counts[name]) if name in self._counts else {}
        return {score: rounded(value) for score, value in found.items()}

    def _point_scores(self) -> dict[str, dict[str, float | None]]:
        """The scores of every keypoint, and of all together under "all" where there are several."""
        groups = dict(sorted(self._points.items()))
        if len(groups) > 1:
            groups["all"] = [values for group in self._points.values() for values in group]
        found = {}
        for name, group in groups.items():
            away = [distance for distance, _, _ in group if distance is not None]
            shares = [math.nan if share is None else share for distance, share, _ in group if distance is not None]
            found[name] = {score: rounded(value) for score, value in point_scores(away, shares, [right for _, _, right in group]).items()}
        return found


def _stacked(counts: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.stack(list(counts.values())) if counts else np.zeros((0, 2), np.int64)


def dense_counts(values: NDArray[np.floating], expected: NDArray[np.floating], target: Target) -> list[float]:
    """The fields of `DenseSums` of one image; those that the kind of target has no use for are 0.

    Angles differ by the shorter way round. Only quantities have relative errors: in a soft mask the least touch would count
    like a full one, and the answer of a density is its count.
    """
    if target.kind == "angle":
        turn = 360.0 if target.unit == "deg" else 2 * math.pi
        values = expected + (values - expected + turn / 2) % turn - turn / 2
    sums = dense_sums(values, expected)
    quantity, soft = target.kind in ("real", "log"), target.kind in ("heatmap", "soft_mask")
    relative = (sums.relative_values, sums.relative) if quantity else (0, 0.0)
    close = (sums.positive, sums.close) if quantity and sums.positive == sums.values else (0, 0)
    return [sums.values, sums.squared, *relative, sums.absolute if soft else 0.0, *close]


def degrees_off(values: NDArray[np.floating], expected: NDArray[np.floating], target: Target) -> NDArray[np.float64] | None:
    """The errors (h, w) of directions in degrees, None for targets that are none."""
    if target.kind in DIRECTED:
        return degrees_between(values, expected)
    if target.kind != "angle":
        return None
    factor = 1.0 if target.unit == "deg" else 180 / math.pi
    return degrees_apart(factor * values, factor * expected).mean(axis=2)


def counted(values: NDArray[np.floating], expected: NDArray[np.floating], size: tuple[int, int]) -> list[float]:
    """The predicted and the true count of a density (h, w, 1) a pixel of an image of `size`, over what the truth knows."""
    known = np.isfinite(expected)
    pixels = size[0] * size[1] / (expected.shape[0] * expected.shape[1])
    return [float(each[known].sum(dtype=np.float64) * pixels) for each in (values, expected)]


def _at_size(values: NDArray[np.floating], size: tuple[int, ...]) -> NDArray[np.floating]:
    """Dense values (H, W[, C]) as (h, w, C): where the truth is coarser or finer, each of its pixels gets the mean below it."""
    planes = values.reshape(*values.shape[:2], -1)
    height, width = size
    if planes.shape[:2] == (height, width):
        return planes
    return np.stack([area_resize(planes[:, :, channel], (height, width)) for channel in range(planes.shape[2])], axis=2)
