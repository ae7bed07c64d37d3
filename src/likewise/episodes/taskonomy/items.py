"""Episodes of meta-training as tensors: labels of several tasks on shared images, augmented and cropped (Kim et al. 2023).

Every switch has the published and the plain form. The sequence of random numbers is ours: the code draws from three global
generators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.episodes.taskonomy.decoding import decode, segmentation
from likewise.episodes.taskonomy.sampling import CROP, TrainingEpisode, random_offset
from likewise.episodes.taskonomy.tasks import SEGMENTATION, TASKS, Task, training_tasks
from likewise.functional.label_augmentation import Mixed, drawn, mirrored, mixup

Binary = Literal["none", "official", "intended"]
CHANCE_OF_FLIP = 0.5


@dataclass(frozen=True, kw_only=True)
class Switches:
    """What is done to an episode.

    flips: mirrored images: "episode", all channels alike, or "channel", official, each on its own draw, or "none"; unary: label
    augmentations; binary: mixing with a second channel ("intended") or with the channel's own mirrored label ("official");
    each_alone: texture edges by the maximum of each image, official: of the episode; flip_normals: whether mirroring turns
    the x of normals, which official code forgets.
    """

    flips: Literal["none", "episode", "channel"] = "episode"
    unary: bool = True
    binary: Binary = "intended"
    each_alone: bool = True
    flip_normals: bool = True


OFFICIAL = Switches(flips="channel", binary="official", each_alone=False, flip_normals=False)


class Source(Protocol):
    """Where arrays come from: see `TaskonomyFolder.stored`."""

    def stored(self, name: str, tasks: list[str]) -> Mapping[str, NDArray[np.generic]]:
        """The arrays of one picture."""
        ...


@dataclass(frozen=True)
class Item:
    """An episode: images (T, N, 3, 224, 224) and labels and known (T, N, 224, 224) of T channels, the support first; channels (T,)."""

    images: Tensor
    labels: Tensor
    known: Tensor
    channels: tuple[int, ...]


def task_of(row: int) -> tuple[Task, int]:
    """The task and the place among its channels of a global index.

    >>> task_of(29)[0].name, task_of(29)[1]
    ('normal', 1)
    """
    task = next(task for task in TASKS.values() if row in task.rows)
    return task, row - task.first


def training_item(episode: TrainingEpisode, source: Source, fold: int, random: np.random.RandomState, switches: Switches | None = None) -> Item:
    """An episode drawn by `training_episode`, read, augmented and cropped; one crop for all channels and images."""
    chosen = switches or Switches()
    names = [*episode.support, *episode.query]
    rows = sorted({row for task in training_tasks(fold) for row in task.rows})
    partners = [rows[random.randint(len(rows))] for _ in episode.channels] if chosen.binary == "intended" else []
    tasks = sorted({task_of(row)[0].name for row in (*episode.channels, *partners)})
    arrays = [source.stored(name, tasks) for name in names]
    together = {key: np.concatenate([own[key] for own in arrays]) for key in arrays[0]}
    pictures = torch.from_numpy(np.asarray(together["rgb"], np.float32)).movedim(-1, 1) / 255
    one_flip = random.random_sample() < CHANCE_OF_FLIP
    images, labels = [], []
    for place, row in enumerate(episode.channels):
        label = _augmented(_channel(together, row, chosen), chosen, random)
        if chosen.binary == "official":
            own = mirrored(label) if random.random_sample() < CHANCE_OF_FLIP else label
            label = mixup(label, own, random.random_sample())
        elif chosen.binary == "intended":
            other = _augmented(_channel(together, partners[place], chosen), chosen, random)
            label = mixup(label, other, random.random_sample())
        flip = {"none": False, "episode": one_flip, "channel": random.random_sample() < CHANCE_OF_FLIP}[chosen.flips]
        images.append(pictures.flip(-1) if flip else pictures)
        labels.append(_flipped(label, row, chosen) if flip else label)
    down, right = random_offset(random)
    window = (..., slice(down, down + CROP), slice(right, right + CROP))
    return Item(
        torch.stack(images)[window], torch.stack([own.label for own in labels])[window], torch.stack([own.known for own in labels])[window], episode.channels
    )


def _channel(stored: Mapping[str, NDArray[np.generic]], row: int, switches: Switches) -> Mixed:
    """The label of a channel on all images: (N, H, W)."""
    task, place = task_of(row)
    if task.categorical:
        label = segmentation(stored[task.name], SEGMENTATION[place])[:, 0]
        return Mixed(label, torch.ones_like(label))
    decoded = decode(task.name, stored, each_alone=switches.each_alone)
    return Mixed(decoded.label[:, place], decoded.known[:, place].float())


def _augmented(label: Mixed, switches: Switches, random: np.random.RandomState) -> Mixed:
    values = label.label
    for change in drawn(random, official=switches == OFFICIAL) if switches.unary else ():
        values = change(values)
    return Mixed(values, label.known)


def _flipped(label: Mixed, row: int, switches: Switches) -> Mixed:
    """A mirrored label; the x of a normal points the other way then."""
    turned = mirrored(label)
    task, place = task_of(row)
    is_x = task.name == "normal" and place == 0 and switches.flip_normals
    return Mixed(1 - turned.label, turned.known) if is_x else turned
