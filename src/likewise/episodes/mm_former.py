"""The data rules of MM-Former: which images make an episode of evaluation, and what a training image is labelled with.

Source: Jiao et al. 2022, its code and the lists that it takes from CyCTR. Chance comes from a generator that is handed in, Python's for
the published sequences.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import InputError

SEEDS = {"pascal": (4604572, 7743485, 5448843, 2534673), "coco": (8420323, 27163933, 8162312, 3391510)}  # of the evaluation of each fold
EPISODES = 1000
SMALLEST = 2 * 32 * 32  # pixels that a class must cover in an image to stand in the list of the class
PADDING, UNKNOWN = 128, 255  # of images and of labels
HELD_OUT = {"pascal": (20, 5), "coco": (80, 20)}  # classes, and how many of them a fold holds out


@dataclass(frozen=True)
class MaskEpisode:
    """An episode: the places of the query and of the support images in the list, and the class."""

    query: int
    number: int
    support: tuple[int, ...]


def held_out(data: str, fold: int) -> tuple[int, ...]:
    """The classes that a fold holds out, from 1: of Pascal-5i neighbours, of COCO-20i every fourth.

    >>> held_out("pascal", 1), held_out("coco", 3)[:3]
    ((6, 7, 8, 9, 10), (4, 8, 12))
    """
    count, own = HELD_OUT[data]
    if not 0 <= fold < count // own:
        raise InputError(f"there is no fold {fold}", where=data, remedy=f"Name one of 0 to {count // own - 1}")
    return tuple(range(fold * own + 1, (fold + 1) * own + 1)) if data == "pascal" else tuple(range(fold + 1, count + 1, count // own))


def trained_on(data: str, fold: int) -> tuple[int, ...]:
    """The classes that a fold is trained on: all others."""
    return tuple(sorted(set(range(1, HELD_OUT[data][0] + 1)) - set(held_out(data, fold))))


def evaluation_episodes(
    shown: Sequence[Sequence[int]], listed: Mapping[int, Sequence[int]], shots: int, chance: random.Random, *, count: int = EPISODES
) -> list[MaskEpisode]:
    """The episodes of an evaluation: the images shuffled, a class of each, supports from the list of the class.

    shown: for each image the held-out classes that it shows, of any size, ascending; listed: for each class the places of the
    images that stand in its list. An image without a class is an error, as is a class whose only image is the query; the published code runs
    for ever there.
    """
    order = list(range(len(shown)))
    order *= -(-count // max(len(order), 1))
    chance.shuffle(order)
    found = []
    for query in order[:count]:
        classes = sorted(shown[query])
        if not classes:
            raise InputError("it shows no class of the fold", where=f"image {query}", remedy="Leave it out of the list")
        number = classes[chance.randint(1, len(classes)) - 1]
        found.append(MaskEpisode(query, number, tuple(_support(listed[number], query, shots, chance))))
    return found


def _support(files: Sequence[int], query: int, shots: int, chance: random.Random) -> list[int]:
    """Places of support images; each is drawn once in vain, and none twice where there are more than shots."""
    if not any(each != query for each in files):
        raise InputError("the only image of its class is the query", where=f"image {query}", remedy="Leave the class out, or give it more images")
    taken: list[int] = []
    for _ in range(shots):
        chance.randint(1, len(files))
        while True:
            place = chance.randint(1, len(files)) - 1
            if files[place] != query and not (len(files) > shots and place in taken):
                break
        taken.append(place)
    return [files[place] for place in taken]


def shortest_edge_size(size: tuple[int, int], edge: int, longest: int = 2048) -> tuple[int, int]:
    """The (height, width) of a training image whose shorter edge becomes `edge`, the longer at most `longest`, rounded half up.

    >>> shortest_edge_size((500, 333), 512), shortest_edge_size((100, 2000), 320)
    ((769, 512), (102, 2048))
    """
    scale = edge / min(size)
    height, width = (size[0] * scale, float(edge)) if size[1] <= size[0] else (float(edge), size[1] * scale)
    if max(height, width) > longest:
        shrink = longest / max(height, width)
        height, width = height * shrink, width * shrink
    return int(height + 0.5), int(width + 0.5)


def padded(array: NDArray[Any], side: int, value: int) -> NDArray[Any]:
    """An image (H, W, ...) or label map filled up at the right and the bottom to a square of `side`."""
    room = [(0, max(0, side - array.shape[0])), (0, max(0, side - array.shape[1])), *([(0, 0)] * (array.ndim - 2))]
    return np.pad(array, room, constant_values=value)


@dataclass(frozen=True)
class Targets:
    """What a training image is labelled with: classes and their masks (T, H, W) for the segmenter, the background among them, hidden ones not;
    label (H, W) of 0, 1 and 255 of the chosen class.
    """

    classes: NDArray[np.int64]
    masks: NDArray[np.bool_]
    label: NDArray[np.uint8]


def targets_of(labels: NDArray[np.integer], chosen: int, hidden: Sequence[int] = ()) -> Targets:
    """The targets of a label map (H, W), 255 unknown. Objects of hidden classes are unknown to the segmenter, and background in `label`."""
    label = np.where(labels == UNKNOWN, UNKNOWN, labels == chosen).astype(np.uint8)
    seen = np.where(np.isin(labels, hidden), UNKNOWN, labels)
    classes = np.setdiff1d(np.unique(seen), [UNKNOWN]).astype(np.int64)
    return Targets(classes, seen[None] == classes[:, None, None], label)


def chosen_class(candidates: Sequence[int], chance: random.Random) -> int:
    """One of the classes of an image."""
    return candidates[chance.randint(1, len(candidates)) - 1]
