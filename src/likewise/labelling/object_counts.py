"""Objects of a run compared with those of the truth, in counts that add up: average precision at an overlap of a half, and how far counts are off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from likewise.data import Labels, Prediction
from likewise.data.instance import overlaps
from likewise.functional.object_scores import LEVELS, average_precision, level, matched
from likewise.labelling.lines import rounded


def compared_objects(prediction: Prediction, labels: Labels, number: int, theirs: int) -> dict[str, Any] | None:
    """What is right of the objects of a class in an image; None where the truth does not tell them apart. A class that was not split is one object.

    number, theirs: the class in the prediction and in the truth. true: how many there are; right, wrong: the levels of score of those found.
    """
    known = labels.instances.get(theirs, ())
    if prediction.instances is None or labels.label_map is None or (not known and bool((labels.label_map == theirs).any())):
        return None
    mask = np.asarray((prediction.labels == number) & (labels.label_map >= 0))
    if labels.unlabelled == "unknown":
        mask &= labels.label_map > 0
    own = np.where(mask, prediction.instances, 0)
    if mask.any() and not own.any():
        own = mask.astype(np.int32)
    found = np.unique(own[own > 0])
    usual = prediction.class_confidence.get(prediction.classes[number], prediction.confidence)
    scores = np.array([prediction.object_scores.get(one, usual) for one in found.tolist()], np.float64)
    taken = matched(overlaps(own, found, known), scores)
    levels = [level(score) for score in scores.tolist()]
    return {
        "true": len(known),
        "right": [each for each, true in zip(levels, taken, strict=True) if true >= 0],
        "wrong": [each for each, true in zip(levels, taken, strict=True) if true < 0],
    }


class ObjectCounts:
    """What is right of the objects of one class over many images; memory does not grow with them.

    true: how many there are; off: by how many counts are off, added up; images: those that show any.
    """

    def __init__(self) -> None:
        self._right, self._wrong = np.zeros(LEVELS + 1, np.int64), np.zeros(LEVELS + 1, np.int64)
        self.true = self.off = self.images = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one image, given as `compared_objects` made it."""
        np.add.at(self._right, record["right"], 1)
        np.add.at(self._wrong, record["wrong"], 1)
        self.true += record["true"]
        self.off += abs(len(record["right"]) + len(record["wrong"]) - record["true"])
        self.images += bool(record["true"])

    @property
    def precision(self) -> float:
        """AP50; NaN where the truth has no object."""
        return average_precision(self._right, self._wrong, self.true)

    def scores(self) -> dict[str, float | int | None]:
        """ap50; count_error: by how many objects an image that shows any is off on average; count_relative: all that over all objects; objects: the true ones.

        None where the truth has no object.
        """
        error = self.off / self.images if self.images else math.nan
        relative = self.off / self.true if self.true else math.nan
        return {"ap50": rounded(self.precision), "count_error": rounded(error), "count_relative": rounded(relative), "objects": self.true}


def mean_scores(classes: Mapping[str, ObjectCounts]) -> dict[str, float | None]:
    """The mean AP50 over the classes of which the truth has objects."""
    known = [counts.precision for counts in classes.values() if counts.true]
    return {"ap50": rounded(float(np.mean(known))) if known else None}
