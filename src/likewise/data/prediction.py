"""What a task says of one image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.captions import captioned
from likewise.data.classes import ClassTable, palette
from likewise.data.images import ImageSource, read_image
from likewise.data.instance import Instance, objects_of
from likewise.data.target import Target
from likewise.errors import UsageError

VISIBLE_FROM = 0.5  # a probability from which a keypoint is said to be there
NONE_FROM = 0.5  # what the probabilities of all classes leave, from which an image is said to show none of them
NONE = "none of these"
NONE_WORD = "_none"  # the same in place of a class in files and folders: no class may be called so
Writer = Callable[["Prediction", Path, str | None], list[Path]]


@dataclass(frozen=True)
class Prediction:
    """The answer for one image, at the size (H, W) of the user's image.

    labels: (H, W) uint8 (int16 with more than 254 classes), 0 background, class numbers else;
    present: {class name: probability that the class is in the image};
    dense: {target: (H, W) or (H, W, C) float32 in the target's unit};
    confidence: 0..1, falls when the answer is likely wrong; class_confidence: the same for each class that was found;
    probabilities: {class name: p} for whole-image classes, what is left to 1 is that of none of them; keypoints: {name: (x, y, probability)};
    instances: (H, W) int32, the number of the object of each pixel, 0 for none, where objects are told apart; object_scores: {number: how sure, 0..1};
    decided: {class: whether the image is to be looked at for it}, where a share that may be missed was asked for (`Task.decide`).
    """

    classes: ClassTable
    targets: Mapping[str, Target]
    labels: NDArray[np.uint8] | NDArray[np.int16]
    present: Mapping[str, float]
    dense: Mapping[str, NDArray[np.float32]]
    confidence: float
    class_confidence: Mapping[str, float] = field(default_factory=dict)
    probabilities: Mapping[str, float] = field(default_factory=dict)
    keypoints: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    instances: NDArray[np.int32] | None = None
    object_scores: Mapping[int, float] = field(default_factory=dict)
    decided: Mapping[str, bool] = field(default_factory=dict)
    image: ImageSource | None = None
    score_maker: Callable[[], NDArray[np.float32]] | None = field(default=None, repr=False)
    writer: Writer | None = field(default=None, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image."""
        height, width = self.labels.shape
        return int(height), int(width)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """Probabilities (N+1, H, W) float32, background first, classes in the order of the table; made when asked for."""
        if self.score_maker is None:
            raise UsageError("this prediction has no scores", where="Prediction.scores", remedy="Ask the task for masks, not only for dense values")
        return self.score_maker()

    @property
    def count(self) -> dict[str, float]:
        """How many there are by each target of kind "density": the sum of its map."""
        kinds = {name: self.targets[name].kind for name in self.dense if name in self.targets}
        return {name: float(self.dense[name].sum(dtype=np.float64)) for name, kind in kinds.items() if kind == "density"}

    @cached_property
    def objects(self) -> dict[int, list[Instance]]:
        """The objects of each class by its number, where they are told apart.

        >>> labels = np.array([[1, 0, 1]], np.uint8)
        >>> told = Prediction(ClassTable({1: "cat"}), {}, labels, {}, {}, 1.0, instances=np.array([[1, 0, 2]], np.int32), object_scores={1: 0.9, 2: 0.6})
        >>> [(one.box, one.score) for one in told.objects[1]]
        [((0, 0, 1, 1), 0.9), ((2, 0, 3, 1), 0.6)]
        """
        return {} if self.instances is None else objects_of(self.labels, self.instances, self.object_scores)

    @property
    def label(self) -> str | None:
        """The class of the whole image; None where it is likely none of them, and where nothing is asked of whole images.

        >>> told = Prediction(ClassTable({1: "cat", 2: "dog"}), {}, np.zeros((2, 3), np.uint8), {}, {}, 0.6, probabilities={"cat": 0.3, "dog": 0.6})
        >>> told.label
        'dog'
        """
        return likeliest(self.probabilities)

    def mask(self, key: int | str) -> NDArray[np.bool_]:
        """The pixels (H, W) labelled with a class, given by name or number."""
        return np.asarray(self.labels == self.classes.number(key))

    def overlay(self, opacity: float = 0.45) -> Image.Image:
        """The image with every class in its colour and an outline, and the keypoints; dense values as a colour map if there is nothing else.

        A class of the whole image is written on it, with its probability.
        """
        if self.image is None:
            raise UsageError(
                "this prediction does not know its image", where="Prediction.overlay", remedy="Use likewise.data.prediction.draw_labels with the pixels"
            )
        pixels = read_image(self.image)
        if self.probabilities:
            return Image.fromarray(draw_class(pixels, self.probabilities, self.classes))
        if self.dense and not self.classes.names and not self.keypoints:
            return Image.fromarray(draw_dense(pixels, next(iter(self.dense.values()))))
        drawn = draw_labels(pixels, self.labels, opacity)
        return Image.fromarray(draw_points(drawn, visible(self.keypoints), list(self.keypoints)))

    def save(self, path: str | Path, format: str | None = None) -> list[Path]:
        """Write the answer (`index-png` unless the ending or `format` says otherwise); returns the files written."""
        if self.writer is None:
            raise UsageError("this prediction was not made by a task", where="Prediction.save", remedy="Use likewise.formats.write_prediction")
        return self.writer(self, Path(path), format)


def likeliest(probabilities: Mapping[str, float]) -> str | None:
    """The class with the highest of {class name: p}, the first of equal ones; None where there is none, or half and more are left for none of them.

    >>> likeliest({"cat": 0.3, "dog": 0.6}), likeliest({"cat": 0.3, "dog": 0.1})
    ('dog', None)
    """
    if not probabilities or 1 - sum(probabilities.values()) >= NONE_FROM:
        return None
    return max(probabilities, key=lambda name: probabilities[name])


def told_class(probabilities: Mapping[str, float]) -> str:
    """The answer for a whole image in words: its class, or that it is none of these, and the probability of that."""
    name = likeliest(probabilities)
    return f"{NONE} {1 - sum(probabilities.values()):.2f}" if name is None else f"{name} {probabilities[name]:.2f}"


def draw_class(pixels: NDArray[np.uint8], probabilities: Mapping[str, float], classes: ClassTable) -> NDArray[np.uint8]:
    """An image (H, W, 3) with its class and the probability written on it, marked in the class's colour; grey for none of them."""
    name = likeliest(probabilities)
    return captioned(pixels, told_class(probabilities), (128, 128, 128) if name is None else class_colour(classes, classes.number(name)))


def class_colour(classes: ClassTable, number: int) -> tuple[int, int, int]:
    """The colour (red, green, blue) of a class in overlays and palettes."""
    red, green, blue = palette(max(256, *classes.numbers, 0) + 1)[number].tolist()
    return red, green, blue


def visible(keypoints: Mapping[str, tuple[float, float, float]]) -> dict[str, tuple[float, float]]:
    """The points (x, y) that are said to be visible: of probability 1/2 or more."""
    return {name: (x, y) for name, (x, y, probability) in keypoints.items() if probability >= VISIBLE_FROM}


def draw_points(pixels: NDArray[np.uint8], points: Mapping[str, tuple[float, float]], names: Sequence[str], scale: float = 1.0) -> NDArray[np.uint8]:
    """An image (H, W, 3) with points as ringed discs; the palette's colours in the order of `names`; points times `scale` are in its pixels."""
    if not points:
        return pixels
    drawn, fine = np.ascontiguousarray(pixels).copy(), 16  # of a pixel, so that points stand where they are
    radius = max(2.0, min(pixels.shape[:2]) / 90)
    colours = palette(len(names) + 1)[1:]
    for name, (x, y) in points.items():
        centre = (round(fine * (x * scale - 0.5)), round(fine * (y * scale - 0.5)))  # cv2 counts from the middle of the first pixel
        for reach, colour in ((radius * 1.5, (255, 255, 255)), (radius, tuple(int(c) for c in colours[names.index(name)]))):
            cv2.circle(drawn, centre, round(fine * reach), colour, -1, cv2.LINE_AA, shift=4)
    return drawn


def draw_labels(pixels: NDArray[np.uint8], labels: NDArray[np.generic], opacity: float = 0.45) -> NDArray[np.uint8]:
    """An image (H, W, 3) with labels (H, W) laid over it in the palette's colours and outlined."""
    values = labels.astype(np.int64)
    shown = (values > 0) & (values != 255)
    colours = palette(max(256, int(values.max(initial=0)) + 1))[np.where(shown, values, 0)]
    blended = np.where(shown[:, :, None], pixels * (1 - opacity) + colours * opacity, pixels)
    thickness = max(1, round(min(labels.shape) / 250))
    kernel = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    narrow = np.where(shown, values, 0).astype(np.int16)
    edge = shown & (cv2.erode(narrow, kernel) != cv2.dilate(narrow, kernel))
    blended[edge] = colours[edge]
    return np.asarray(blended, np.uint8)


def draw_dense(pixels: NDArray[np.uint8], values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """A dense map (H, W) as colours (viridis, 2nd to 98th percentile), or (H, W, 3) as RGB from -1..1 or its range."""
    finite = np.isfinite(values)
    if not finite.any():
        return pixels.copy()
    low, high = np.percentile(values[finite], [2, 98])
    unit = np.clip((np.nan_to_num(values, nan=float(low)) - low) / max(high - low, 1e-9), 0, 1)
    if unit.ndim == 3 and unit.shape[2] == 3:
        return np.asarray(unit * 255, np.uint8)
    plane = unit if unit.ndim == 2 else unit[:, :, 0]
    coloured = cv2.applyColorMap((plane * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return np.asarray(cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB))
