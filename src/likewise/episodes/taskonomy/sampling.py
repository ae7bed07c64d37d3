"""Episodes of Taskonomy: crops, channels, buildings and images, and the order of the published supports."""

from __future__ import annotations

import random as standard
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from likewise.episodes.taskonomy.tasks import training_tasks
from likewise.errors import InputError

BASE, CROP = 256, 224
TRAINING_CHANNELS, TRAINING_BUILDINGS = 5, 4


@dataclass(frozen=True)
class TrainingEpisode:
    """One episode of meta-training: global indices of its channels, and images that all channels share."""

    channels: tuple[int, ...]
    support: tuple[str, ...]
    query: tuple[str, ...]


def random_offset(random: np.random.RandomState) -> tuple[int, int]:
    """Row and column of a random crop: 0 to 31 each, the row drawn first; official: 32 is never drawn."""
    return int(random.randint(BASE - CROP)), int(random.randint(BASE - CROP))


def centre_offset() -> tuple[int, int]:
    """Row and column of the crop in the middle."""
    return (BASE - CROP) // 2, (BASE - CROP) // 2


def training_episode(images: Mapping[str, Sequence[str]], fold: int, random: np.random.RandomState, *, each: int = 2) -> TrainingEpisode:
    """An episode of a fold: channels drawn without replacement, four buildings, `each` images of each building.

    images: the image names of every building. The first two buildings give the support, the last two the queries. Raises
    InputError where there are too few buildings or images.
    """
    rows = [row for task in training_tasks(fold) for row in task.rows]
    usable = sorted(name for name, own in images.items() if len(own) >= each)
    if len(usable) < TRAINING_BUILDINGS:
        raise InputError(
            f"{len(usable)} buildings have {each} images, an episode takes {TRAINING_BUILDINGS}", where="taskonomy", remedy="Get more of the training buildings"
        )
    channels = tuple(int(row) for row in random.choice(rows, TRAINING_CHANNELS, replace=False))
    buildings = [usable[index] for index in random.choice(len(usable), TRAINING_BUILDINGS, replace=False)]
    names = [images[building][index] for building in buildings for index in random.choice(len(images[building]), each, replace=False)]
    half = TRAINING_BUILDINGS // 2 * each
    return TrainingEpisode(channels, tuple(names[:half]), tuple(names[half:]))


def tuning_positions(item: int, shot: int, *, official: bool = False) -> list[int]:
    """Positions, in a list of labelled images, of one item of fine-tuning: all `shot` of them, beginning anywhere.

    official: a window that slides beyond the shots, so that 2 * shot - 1 labelled images are seen in all.

    >>> tuning_positions(2, 3), tuning_positions(2, 3, official=True)
    ([2, 0, 1], [2, 3, 4])
    """
    start = item % shot
    return [start + step if official else (start + step) % shot for step in range(shot)]


def test_order(shot: int) -> list[int]:
    """The order of a support at test time: shuffled once from the seed 0.

    >>> test_order(10)
    [7, 8, 1, 5, 3, 4, 2, 0, 9, 6]
    """
    order = list(range(shot))
    standard.Random(0).shuffle(order)  # noqa: S311 (an order, no secret)
    return order


def halves(positions: Sequence[int]) -> tuple[list[int], list[int]]:
    """The support and the queries of an item of fine-tuning: the first half, rounded up, and the rest."""
    half = -(-len(positions) // 2)
    return list(positions[:half]), list(positions[half:])
