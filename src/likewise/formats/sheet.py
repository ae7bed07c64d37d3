"""What is to be written of one image, whoever said it: a task's prediction or a person's labels.

Writers take a sheet and know nothing of tasks or supports. `Sheet.needs` says what a format must be able to hold so that
nothing of it is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Instance, Labels, Prediction, Target
from likewise.data.example import Unlabelled
from likewise.data.geometry import Box, Point, box_to_pixels
from likewise.data.images import ImageSource
from likewise.formats.outline import has_hole
from likewise.formats.pixels import numbers_in

Need = Literal[
    "masks",
    "holes",
    "overlap",
    "instances",
    "ignored pixels",
    "boxes",
    "points",
    "negative points",
    "scribbles",
    "tags",
    "tags of absence",
    "unknown pixels",
    "background around points",
    "keypoints",
    "dense",
    "class of the image",
]


@dataclass(frozen=True)
class Object:
    """One thing to write: its class number, its pixels, how sure it is (1 where a person drew it)."""

    number: int
    shown: Instance
    score: float


@dataclass(frozen=True)
class Sheet:
    """The labels of one image.

    name: its path relative to the images' folder, with its ending; size (H, W); label_map: (H, W), 0 background, 255 or below 0
    ignored, None where nothing is said of pixels; masks: of classes that lie partly under others; instances: objects of the classes
    whose objects are told apart; points: (positive, negative) by class; keypoints: (x, y, probability), None for "not visible";
    scores: of classes, as far as somebody said; predicted: whether a task said it. Keys are class numbers.
    """

    name: str
    size: tuple[int, int]
    classes: ClassTable
    label_map: NDArray[np.integer] | None = None
    masks: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    instances: Mapping[int, Sequence[Instance]] = field(default_factory=dict)
    boxes: Mapping[int, Sequence[Box]] = field(default_factory=dict)
    points: Mapping[int, tuple[Sequence[Point], Sequence[Point]]] = field(default_factory=dict)
    scribbles: Mapping[int, Sequence[Sequence[Point]]] = field(default_factory=dict)
    tags: Mapping[int, bool] = field(default_factory=dict)
    keypoints: Mapping[str, tuple[float, float, float] | None] = field(default_factory=dict)
    dense: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    targets: Mapping[str, Target] = field(default_factory=dict)
    label: int | None = None
    unlabelled: Unlabelled = "background"
    scores: Mapping[int, float] = field(default_factory=dict)
    predicted: bool = False
    image: ImageSource | None = None

    def mask(self, number: int) -> NDArray[np.bool_]:
        """The pixels (H, W) of a class, also those under other classes."""
        if number in self.masks:
            return self.masks[number]
        return np.zeros(self.size, bool) if self.label_map is None else np.asarray(self.label_map == number)

    @property
    def ignored(self) -> NDArray[np.bool_]:
        """The pixels (H, W) that do not count."""
        return np.zeros(self.size, bool) if self.label_map is None else np.asarray((self.label_map < 0) | (self.label_map == 255))

    @cached_property
    def beyond_boxes(self) -> NDArray[np.bool_]:
        """The ignored pixels (H, W) that do not lie in a box: readers leave the insides of boxes out by themselves."""
        left = self.ignored.copy()
        for box in (box for boxes in self.boxes.values() for box in boxes):
            x0, y0, x1, y1 = box_to_pixels(box, self.size)
            left[y0:y1, x0:x1] = False
        return left

    def index_map(self) -> NDArray[np.integer]:
        """The label map (H, W) in the type of its classes: uint8 with 255 for ignored, int16 with -1 beyond 254 classes."""
        labels = np.zeros(self.size, np.int16) if self.label_map is None else self.label_map
        kind = np.dtype(self.classes.dtype)
        return labels if labels.dtype == kind else np.where(self.ignored, self.classes.ignore, labels).astype(kind)

    @cached_property
    def objects(self) -> Sequence[Object]:
        """Everything with pixels, class after class: an object each where they are told apart, else the class as one."""
        numbers = set() if self.label_map is None else set(numbers_in(self.label_map, self.classes))
        found: list[Object] = []
        for number in sorted(numbers | self.masks.keys() | self.instances.keys()):
            listed: Sequence[Instance | None] = self.instances.get(number) or [Instance.of(self.mask(number))]
            score = self.scores.get(number, 1.0)
            found += [Object(number, one, score if one.score is None else one.score) for one in listed if one is not None]
        return found

    @property
    def shows_none(self) -> bool:
        """Whether all that is said is that no class is in the image."""
        said = self.label_map is not None or self.boxes or self.points or self.scribbles or self.keypoints or self.dense or self.label is not None
        return bool(self.tags) and not any(self.tags.values()) and set(self.tags) == set(self.classes.numbers) and not said

    def needs(self) -> frozenset[Need]:
        """What a format must be able to hold for this image."""
        sparse_alone = bool(self.points or self.scribbles) and self.label_map is None
        wanted: dict[Need, bool] = {
            "masks": bool(self.objects),
            "holes": any(has_hole(each.shown.patch) for each in self.objects),
            "overlap": bool(self.masks) or self._objects_overlap(),
            "instances": any(len(listed) > 1 for listed in self.instances.values()),
            "ignored pixels": bool(self.beyond_boxes.any()),
            "boxes": bool(self.boxes),
            "points": any(positive for positive, _ in self.points.values()),
            "negative points": any(negative for _, negative in self.points.values()),
            "scribbles": bool(self.scribbles),
            "tags": any(self.tags.values()),
            "tags of absence": not all(self.tags.values()),
            "unknown pixels": self.unlabelled == "unknown" and not sparse_alone,
            "background around points": self.unlabelled == "background" and sparse_alone,
            "keypoints": bool(self.keypoints),
            "dense": bool(self.dense),
            "class of the image": self.label is not None,
        }
        return frozenset(need for need, there in wanted.items() if there)

    def _objects_overlap(self) -> bool:
        """Whether two objects of one class share a pixel."""
        told_apart = ((number, listed) for number, listed in self.instances.items() if len(listed) > 1)
        return any(sum(each.area for each in listed) > np.count_nonzero(self.mask(number)) for number, listed in told_apart)


def of_prediction(name: str, found: Prediction) -> Sheet:
    """What a task says of an image as a sheet; its objects are told apart where the method does so."""
    classes = found.classes
    return Sheet(
        name,
        found.size,
        classes,
        label_map=found.labels if classes.names else None,
        instances=found.objects,
        keypoints=found.keypoints,
        dense=found.dense,
        targets=found.targets,
        scores={number: float(found.class_confidence.get(classes[number], found.confidence)) for number in classes},
        predicted=True,
        image=found.image,
    )


def of_labels(name: str, labels: Labels, classes: ClassTable, targets: Mapping[str, Target], image: ImageSource | None = None) -> Sheet:
    """What a person says of an image as a sheet; nothing that was read is dropped."""
    return Sheet(
        name,
        labels.size,
        classes,
        label_map=labels.label_map,
        masks=labels.masks,
        instances=labels.instances,
        boxes={number: [_quadruple(box) for box in boxes.tolist()] for number, boxes in labels.boxes.items()},
        points={number: (_pairs(positive), _pairs(negative)) for number, (positive, negative) in labels.points.items()},
        scribbles={number: [_pairs(line) for line in lines] for number, lines in labels.scribbles.items()},
        tags=labels.tags,
        keypoints={point: None if place is None else (*place, 1.0) for point, place in labels.keypoints.items()},
        dense=labels.dense,
        targets=targets,
        label=labels.label,
        unlabelled=labels.unlabelled,
        image=image,
    )


def declared(targets: Mapping[str, Target]) -> Mapping[str, Target]:
    """Targets by name, made with defaults where they are not declared."""
    return defaultdict(Target, targets)


def _quadruple(box: Sequence[float]) -> Box:
    x0, y0, x1, y1 = box
    return x0, y0, x1, y1


def _pairs(points: NDArray[np.float64]) -> list[Point]:
    return [(float(x), float(y)) for x, y in points]
