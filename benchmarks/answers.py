"""What a task says of images beside the labels: which classes are present and how sure it is, its own queries and others'.

`accuracy.py` notes this while it scores, so that absence and confidence cost no second pass; this module is where it is
written down and read back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Cell, picture, semantic_sets, shown
from likewise import Prediction, Task

STRANGERS = 2  # images of every other set, the first queries by name
# whose images may hold what a set's classes mean, so that a "no" cannot be asked for: photographs of everyday things among
# each other, asphalt in street scenes and on cracked roads, plants in meadows and gardens, defects that look alike
OVERLAPS: dict[str, frozenset[str]] = {
    "camvid": frozenset({"coco_mini", "objects", "subjects", "landmark", "cracks"}),
    "coco_mini": frozenset({"objects", "subjects", "camvid", "landmark"}),
    "cracks": frozenset({"tile_defects"}),
    "crops": frozenset({"coco_mini", "objects", "landmark"}),
    "landmark": frozenset({"coco_mini", "objects", "camvid"}),
    "objects": frozenset({"coco_mini", "subjects", "camvid", "landmark"}),
    "steel_defects": frozenset({"tile_defects"}),
    "subjects": frozenset({"coco_mini", "objects"}),
    "tile_defects": frozenset({"cracks", "steel_defects"}),
}


class Recorder:
    """A task as score.py wants it, that notes by image what else it said."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.said: dict[str, dict[str, Any]] = {}

    def predict(self, image: Path) -> Prediction:
        """The task's prediction, unchanged."""
        prediction = self.task.predict(image)
        self.said[image.stem] = {"present": by_number(self.task, prediction), "confidence": round(prediction.confidence, 5)}
        return prediction


def by_number(task: Task, prediction: Prediction) -> dict[str, float]:
    """The probability that each class is present, by class number as JSON has it."""
    return {str(task.classes.number(name)): round(p, 5) for name, p in prediction.present.items()}


def strangers(name: str) -> Iterator[tuple[str, str]]:
    """(set, image) of other sets that surely hold no class of a set: the first queries of each by name."""
    from common import meta

    for other in semantic_sets():
        if other != name and other not in OVERLAPS.get(name, frozenset()):
            yield from ((other, image) for image in sorted(meta(other)["split"]["query"])[:STRANGERS])


def elsewhere(task: Task, cell: Cell) -> dict[str, dict[str, float]]:
    """What a task finds in images of other sets: {"SET/IMAGE": {class number: probability that it is present}}."""
    return {f"{other}/{image}": by_number(task, task.predict(picture(other, image))) for other, image in strangers(cell.set)}


def taught(row: dict[str, Any]) -> dict[int, bool]:
    """The classes that the support of a row shows, and for each whether some image of the support is without it."""
    images = [found for name in row["support"] if (found := shown(row["set"], name)) is not None]
    return {number: any(number not in found for found in images) for number in sorted(frozenset().union(*images))}
