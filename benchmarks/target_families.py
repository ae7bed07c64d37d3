"""Images with a target each, for benches of dense values: examples by name, supports by number of images, and their truth."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from common import DATA, cells, classes, meta, picture, truth
from likewise import Example, Target
from likewise.data import ClassTable, Labels
from likewise.data.images import read_image
from likewise.data.resolve import resolve
from likewise.formats.recognise import open_dataset
from likewise.functional.heatmaps import spread_of
from likewise.functional.picture_targets import PICTURE_TARGETS, smoothed
from likewise.functional.target_maps import density_map, texture_edges

DRAWS = 3  # those of nuclei are fixed ones; where there are none, from a seed
SHOTS = (1, 2, 5, 10)
_SEED = 12
_SPREAD = 3.0  # pixels of a nucleus's bump: below its radius
Draw = tuple[tuple[str, ...], tuple[str, ...]]  # names of the support, names of the queries

RELATIVE = (("abs_rel", "absolute relative error", 1.0), ("delta_1.25", "% within a factor of 1.25", 100.0))
DIRECTIONS = (("mean", "mean degrees", 1.0), ("median", "median", 1.0), ("within_11.25", "% within 11.25", 100.0), ("within_30", "% within 30", 100.0))
SOFT = (("mae", "mean absolute error", 1.0), ("rmse", "RMSE", 1.0))
COUNTS = (("count_error", "count off by", 1.0), ("count_relative", "% of all nuclei", 100.0))
POINTS = (
    ("pck_0.1", "% within a tenth of the size", 100.0),
    ("pck_0.2", "% within a fifth", 100.0),
    ("median", "median pixels", 1.0),
    ("error", "mean pixels", 1.0),
)
CLASSES = (("miou", "mIoU %", 100.0),)


@dataclasses.dataclass(frozen=True)
class Family:
    """Images with one target, keypoints or classes.

    example: of an image by name; draws: supports and queries by number of images; shown: scores in tables, each a name, words
    and a factor, the first the one to look at; set: the folder of the images.
    """

    set: str
    example: Callable[[str], Example]
    targets: Mapping[str, Target]
    draws: Mapping[str, Sequence[Draw]]
    shown: tuple[tuple[str, str, float], ...]
    classes: Mapping[int, str] = dataclasses.field(default_factory=dict)


class InMemory:
    """The truth of a family, as `Scorer` asks for it."""

    def __init__(self, family: Family, keypoints: tuple[str, ...]) -> None:
        self.classes, self.targets, self.keypoints, self._family = ClassTable(family.classes), dict(family.targets), keypoints, family

    def labels(self, name: str, size: tuple[int, int]) -> Labels:
        """The labels of an image."""
        return resolve(self._family.example(name), name, size, self.classes, self.targets, None)


def families() -> dict[str, Family]:
    """Every family of targets by name."""
    frames, subjects = _frames(), {str(count): list(_drawn("subjects", count)) for count in SHOTS}
    nuclei: dict[str, list[Draw]] = {}
    for cell in cells(["nuclei"], [str(count) for count in SHOTS], DRAWS):
        nuclei.setdefault(cell.shots, []).append((cell.support, cell.query))
    mice = {str(count): list(_drawn("keypoints_mouse", count)) for count in SHOTS}
    return {
        "depth": Family("rgbd", _rgbd("depth"), {"depth": Target(unit="mm")}, frames, RELATIVE),
        "normals": Family("rgbd", _rgbd("normals"), {"normals": Target(kind="unit_vector")}, frames, DIRECTIONS),
        "edges": Family("rgbd", _edges, {"edges": Target(kind="soft_mask")}, frames, SOFT),
        "soft": Family("subjects", _soft, {"soft": Target(kind="soft_mask")}, subjects, SOFT),
        "corners": Family("subjects", _made("corners"), {"corners": Target(kind="soft_mask")}, subjects, SOFT),
        "saliency": Family("subjects", _made("saliency"), {"saliency": Target(kind="soft_mask")}, subjects, SOFT),
        "density": Family("nuclei", _nuclei, {"nuclei": Target(kind="density")}, nuclei, COUNTS),
        "keypoints": Family("keypoints_mouse", _mouse, {}, mice, POINTS),
    }


def masks(name: str, shots: Sequence[str]) -> Family:
    """The classes of a set of ../shared/data, at the fixed draws of so many images (a class, where there are several)."""
    draws: dict[str, list[Draw]] = {}
    for cell in cells([name], shots, DRAWS):
        draws.setdefault(cell.shots, []).append((cell.support, cell.query))

    def example(image: str) -> Example:
        return Example(picture(name, image), image, label_map=truth(name, image))

    return Family(name, functools.cache(example), {}, draws, CLASSES, classes(name))


def _frames() -> dict[str, list[Draw]]:
    """Supports among the six frames of the split: the first ones, then drawn ones; all six at last."""
    split, random = meta("rgbd")["split"], np.random.default_rng(_SEED)
    found: dict[str, list[Draw]] = {}
    for count in (1, 2, 5):
        drawn = [sorted(random.permutation(split["support"])[:count].tolist()) for _ in range(DRAWS - 1)]
        found[str(count)] = [(tuple(names), tuple(split["query"])) for names in (split["support"][:count], *drawn)]
    return {**found, "6": [(tuple(split["support"]), tuple(split["query"]))]}


def _drawn(name: str, count: int) -> Iterator[Draw]:
    split = meta(name)["split"]
    names, random = sorted([*split["support"], *split["query"]]), np.random.default_rng(_SEED)
    for _ in range(DRAWS):
        order = [names[place] for place in random.permutation(len(names))]
        yield tuple(sorted(order[:count])), tuple(sorted(order[count:]))


def _rgbd(target: str) -> Callable[[str], Example]:
    data = open_dataset(DATA / "rgbd")

    def example(name: str) -> Example:
        whole = data.example(name)
        return Example(whole.image, name, dense={target: whole.dense[target]})

    return functools.cache(example)


def _edges(name: str) -> Example:
    image = picture("rgbd", name)
    return Example(image, name, dense={"edges": texture_edges(read_image(image))})


@functools.cache
def _soft(name: str) -> Example:
    """The share of the thing, as if seen through a lens that spreads its border over a 32nd of the side."""
    mask = torch.from_numpy(truth("subjects", name) % 255 > 0).float()
    return Example(picture("subjects", name), name, dense={"soft": smoothed(mask[None, None], spread_of(tuple(mask.shape)))[0, 0].numpy()})


def _made(target: str) -> Callable[[str], Example]:
    """A target made from the picture itself (`functional.picture_targets`)."""

    def example(name: str) -> Example:
        image = picture("subjects", name)
        pixels = torch.from_numpy(read_image(image)).permute(2, 0, 1)[None] / 255
        values, _ = PICTURE_TARGETS[target].make(pixels)
        return Example(image, name, dense={target: values[0, 0].numpy()})

    return functools.cache(example)


@functools.cache
def _nuclei(name: str) -> Example:
    numbers = np.asarray(Image.open(DATA / "nuclei" / "instances" / f"{name}.png"))
    return Example(picture("nuclei", name), name, dense={"nuclei": density_map(centres(numbers), numbers.shape[:2], _SPREAD)})


def centres(numbers: NDArray[np.generic]) -> list[tuple[float, float]]:
    """The centres (x, y) of the instances of a map of numbers, 0 for none."""
    places = [np.argwhere(numbers == number).mean(0) + 0.5 for number in np.unique(numbers[numbers > 0])]
    return [(float(x), float(y)) for y, x in places]


@functools.cache
def _mouse(name: str) -> Example:
    return open_dataset(DATA / "keypoints_mouse").example(name)
