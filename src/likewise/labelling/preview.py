"""A look ahead before a long run: the first images labelled into nothing, the time that all would take, and what is likely to fail."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likewise.errors import ImageError, InputError
from likewise.labelling.lines import rounded
from likewise.labelling.plan import groups
from likewise.labelling.scoring import shown_classes

if TYPE_CHECKING:
    from likewise.formats import ImageList
    from likewise.task import Task

LOOKED_AT = 5
LIKELY_TO_FAIL = 0.5  # a left-out IoU below this (Dice below 0.67), or a relative error above it
UNSURE = 0.5  # a confidence below this
NAMED = 12  # classes that one warning names


@dataclass(frozen=True)
class Preview:
    """What a look at the first images says.

    images: of the whole list; looked: {image: {"present": .., "confidence": ..} or {"error": ..}}; seconds_an_image: once warm;
    seconds_for_all: an estimate; left_out: {class or target: {"iou" or "error": ..}} of the task; warnings: sentences.
    """

    images: int
    looked: dict[str, dict[str, Any]]
    seconds_an_image: float
    seconds_for_all: float
    left_out: dict[str, dict[str, Any]]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {
            "images": self.images,
            "looked": self.looked,
            "seconds_an_image": round(self.seconds_an_image, 4),
            "seconds_for_all": round(self.seconds_for_all, 1),
            "left_out": self.left_out,
            "warnings": list(self.warnings),
        }


def look_ahead(task: Task, images: ImageList, batch: int) -> Preview:
    """Label the first five images without writing anything, and without features that are kept, which would make it look fast.

    Raises InputError if there are none, or none can be read.
    """
    store = task.ready().store
    with contextlib.nullcontext() if store is None else store.aside():
        return _looked(task, images, batch)


def _looked(task: Task, images: ImageList, batch: int) -> Preview:
    first = list(images.names[:LOOKED_AT])
    if not first:
        raise InputError("there are no images to label", where=str(images.root), remedy="Check the path and the split")
    looked: dict[str, dict[str, Any]] = {}
    seconds = 0.0
    prepared = {}
    for name in first:
        start = time.perf_counter()
        try:
            prepared[name] = task.prepare(images.root / name)
        except ImageError as error:
            looked[name] = {"error": error.what}
        seconds += time.perf_counter() - start
    if not prepared:
        raise InputError(f"none of the first {len(first)} images can be read", where=str(images.root), remedy=f"Look at {first[0]}")
    names, pictures = list(prepared), list(prepared.values())
    for group in groups([task.working_shape(picture.size) for picture in pictures]):
        for start_of_batch in range(0, len(group), batch):
            places = group[start_of_batch : start_of_batch + batch]
            together = [pictures[place] for place in places]
            task.predict_prepared(together)  # the first time a shape is seen, engines compile: not part of the rate
            start = time.perf_counter()
            for place, prediction in zip(places, task.predict_prepared(together), strict=True):
                present = {name: rounded(p) for name, p in shown_classes(prediction).items()}
                looked[names[place]] = {"present": present, "confidence": rounded(prediction.confidence)}
            seconds += time.perf_counter() - start
    left_out = task.left_out
    each = seconds / len(pictures)
    ordered = {name: looked[name] for name in first}
    return Preview(len(images), ordered, each, each * len(images), left_out, (*score_warnings(left_out), *_unsure_warning(ordered)))


def score_warnings(left_out: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """At most five sentences: which classes and targets are likely to fail, and of which the examples cannot say."""
    poor = {name: score["iou"] for name, score in left_out.items() if score.get("iou") is not None and score["iou"] < LIKELY_TO_FAIL}
    mistaken = {name: score["accuracy"] for name, score in left_out.items() if score.get("accuracy") is not None and score["accuracy"] < LIKELY_TO_FAIL}
    wrong = {name: score["error"] for name, score in left_out.items() if score.get("error", 0.0) > LIKELY_TO_FAIL}
    unknown = [name for name, score in left_out.items() if "iou" in score and score["iou"] is None]
    alone = [name for name, score in left_out.items() if score.get("images") == 1 and name not in poor and name not in unknown]
    alone += [name for name, score in left_out.items() if "accuracy" in score and score["accuracy"] is None]
    ious = _listed([f"{name} {iou:.2f}" for name, iou in poor.items()])
    errors = _listed([f"{name} {error:.0%}" for name, error in wrong.items()])
    sentences = (
        (poor, f"Likely to fail, by the IoU of left-out examples: {ious}. Label a few more images that show them."),
        (mistaken, f"Likely to fail, by the share of left-out examples that were right: {_listed(_shares(mistaken))}. Label a few more images of each."),
        (wrong, f"Likely to fail, by the relative error of left-out examples: {errors}. Label a few more images."),
        (unknown, f"The examples do not say how well these work: {_listed(unknown)}. Label at least two images that show each."),
        (alone, f"Shown by one example only, so nothing says how they do on other images: {_listed(alone)}. Label a second one to know."),
    )
    return [sentence for found, sentence in sentences if found]


def _shares(found: Mapping[str, float]) -> list[str]:
    return [f"{name} {share:.0%}" for name, share in found.items()]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _unsure_warning(looked: Mapping[str, Mapping[str, Any]]) -> list[str]:
    confidences = [found["confidence"] for found in looked.values() if found.get("confidence") is not None]
    low = sum(confidence < UNSURE for confidence in confidences)
    return [f"{low} of the {len(confidences)} images looked at have a confidence below {UNSURE}."] if low else []
