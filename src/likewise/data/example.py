"""One labelled image, as a person gives it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from likewise.data.images import ImageSource, describe_source, image_digest, image_size, read_image
from likewise.data.instance import Instance
from likewise.data.labels import LabelKind
from likewise.errors import InputError, close_match

Unlabelled = Literal["background", "unknown"]
ClassKey = int | str


class Example:
    """An image and what is known of it. Classes are given by name or number everywhere.

    image: a path, a PIL image or an array (H, W[, 3]); name: unique in a support, the file's stem unless given;
    label_map: (H, W) with 0 background, class numbers, 255 (or -1 in signed maps) ignore;
    masks: {class: (H, W) bool}, may overlap (the smaller lies on top where one label is needed);
    instances: {class: [Instance]}, an object each, where they are told apart; the mask of their class is all of them;
    boxes: {class: [(x0, y0, x1, y1)]}, half open; points: {class: {"positive": [(x, y)], "negative": [...]}};
    scribbles: {class: [[(x, y), ...]]}, polylines; tags: {class: True | False}, present or absent;
    keypoints: {name: (x, y) | None}, None for "not visible"; dense: {target: (H, W) or (H, W, C)}, NaN for unknown;
    label: the one class of the whole image; unlabelled: whether unlabelled pixels are "background" or "unknown".

    Nothing is read or checked before the example joins a `Support`, except that it carries some label.
    """

    def __init__(
        self,
        image: ImageSource,
        name: str | None = None,
        *,
        label_map: NDArray[np.generic] | None = None,
        masks: Mapping[ClassKey, NDArray[np.generic]] | None = None,
        boxes: Mapping[ClassKey, Sequence[Sequence[float]]] | None = None,
        points: Mapping[ClassKey, Mapping[str, Sequence[Sequence[float]]]] | None = None,
        scribbles: Mapping[ClassKey, Sequence[Sequence[Sequence[float]]]] | None = None,
        tags: Mapping[ClassKey, bool] | None = None,
        keypoints: Mapping[str, Sequence[float] | None] | None = None,
        dense: Mapping[str, NDArray[np.generic]] | None = None,
        label: ClassKey | None = None,
        instances: Mapping[ClassKey, Sequence[Instance]] | None = None,
        unlabelled: Unlabelled = "background",
    ) -> None:
        if unlabelled not in get_args(Unlabelled):
            raise InputError(f"unlabelled is {unlabelled!r}", where=describe_source(image), remedy=close_match(str(unlabelled), get_args(Unlabelled)))
        if name is None and isinstance(image, (str, os.PathLike)):
            name = Path(image).stem
        self.image = image
        self.name = name
        self.label_map = label_map
        self.masks = dict(masks or {})
        self.boxes = dict(boxes or {})
        self.points = dict(points or {})
        self.scribbles = dict(scribbles or {})
        self.tags = dict(tags or {})
        self.keypoints = dict(keypoints or {})
        self.dense = dict(dense or {})
        self.label = label
        self.instances = {key: tuple(objects) for key, objects in (instances or {}).items() if objects}
        self.unlabelled: Unlabelled = unlabelled
        if not self.kinds():
            raise InputError(
                "the example carries no label",
                where=name or describe_source(image),
                remedy="Give a label map (all 0 if nothing is in it), masks, boxes, points, scribbles, tags, dense maps or a label",
            )

    def kinds(self) -> frozenset[LabelKind]:
        """The kinds of labels that this example carries."""
        carried: dict[LabelKind, Any] = {
            LabelKind.MASK: self.label_map is not None or self.masks or self.instances,
            LabelKind.BOX: self.boxes,
            LabelKind.POINT: self.points,
            LabelKind.SCRIBBLE: self.scribbles,
            LabelKind.TAG: self.tags,
            LabelKind.DENSE: self.dense,
            LabelKind.KEYPOINT: self.keypoints,
            LabelKind.CLASS: self.label is not None,
        }
        return frozenset(kind for kind, value in carried.items() if value)

    def class_keys(self) -> list[ClassKey]:
        """Every class that is named, by the key it was given with; numbers of a label map come in order."""
        keys: list[ClassKey] = []
        if self.label_map is not None:
            keys += [int(number) for number in np.unique(np.asarray(self.label_map)) if 0 < number != 255]
        for mapping in (self.masks, self.instances, self.boxes, self.points, self.scribbles, self.tags):
            keys += list(mapping)
        if self.label is not None:
            keys.append(self.label)
        return keys

    def size(self) -> tuple[int, int]:
        """(height, width) of the image, from its header."""
        return image_size(self.image)

    def pixels(self, at_least: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """The image (H, W, 3) uint8; see `read_image`."""
        return read_image(self.image, at_least=at_least)

    def digest(self) -> str:
        """SHA-256 of the image."""
        return image_digest(self.image)

    def __repr__(self) -> str:
        return f"Example({self.name or describe_source(self.image)!r}, {', '.join(sorted(self.kinds()))})"
