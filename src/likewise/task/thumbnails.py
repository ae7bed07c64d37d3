"""Small pictures of the support, kept in the task for reports."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, LabelKind, LabelledImage
from likewise.data.captions import captioned
from likewise.data.geometry import box_to_pixels, draw_polyline, resize_image, scale_points
from likewise.data.images import read_image
from likewise.data.prediction import NONE, class_colour, draw_dense, draw_points
from likewise.errors import InputError

LONG_SIDE = 320


@dataclass(frozen=True)
class Thumbnail:
    """A picture (h, w, 3) uint8 of an example, its and its labels (h, w) int16 for showing."""

    name: str
    image: NDArray[np.uint8]
    labels: NDArray[np.int16]


def thumbnail(example: LabelledImage, classes: ClassTable) -> Thumbnail:
    """The thumbnail of an example: masks as they are, boxes as frames, points and scribbles as marks, keypoints as discs, the first dense map beside.

    The class of a whole image is written on it.
    """
    if example.image is None:
        raise InputError("the image is not there", where=example.name, remedy="Learn from the images again")
    height, width = example.labels.size
    factor = min(1.0, LONG_SIDE / max(height, width))
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    image = resize_image(read_image(example.image, at_least=size), size)
    shown = _shown(example, size)
    points = {name: point for name, point in example.labels.keypoints.items() if point is not None}
    image = draw_points(image, points, list(example.labels.keypoints), factor)
    if (label := example.labels.label) is not None:
        image = captioned(image, classes[label], class_colour(classes, label))
    elif example.labels.kinds() == {LabelKind.TAG} and not any(example.labels.tags.values()):
        image = captioned(image, NONE, (128, 128, 128))
    for values in list(example.labels.dense.values())[:1]:  # the first map beside the photograph
        coloured = cv2.resize(draw_dense(image, values), size[::-1], interpolation=cv2.INTER_NEAREST)
        image, shown = np.hstack([image, coloured]), np.hstack([shown, np.zeros(size, np.int16)])
    return Thumbnail(example.name, np.asarray(image, np.uint8), shown)


def _shown(example: LabelledImage, size: tuple[int, int]) -> NDArray[np.int16]:
    labels, shown = example.labels, np.zeros(size, np.int16)
    if labels.label_map is not None:
        shown = cv2.resize(np.maximum(labels.label_map, 0), (size[1], size[0]), interpolation=cv2.INTER_NEAREST).astype(np.int16)
    for number, boxes in labels.boxes.items():
        for box in scale_points(boxes, labels.size, size):
            x0, y0, x1, y1 = box_to_pixels(tuple(box), size)
            corners = np.array([(x0, y0), (x1 - 1, y0), (x1 - 1, y1 - 1), (x0, y1 - 1), (x0, y0)], np.float64) + 0.5
            shown[draw_polyline(size, corners)] = number
    lines = [(number, line) for number, all_lines in labels.scribbles.items() for line in all_lines]
    lines += [(number, point[None]) for number, (positive, _) in labels.points.items() for point in positive]
    for number, line in lines:
        marked = draw_polyline(size, scale_points(line, labels.size, size))
        shown[cv2.dilate(marked.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0] = number
    return shown
