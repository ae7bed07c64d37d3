"""From an episode to what a method learns from: how images become (class, shot) pairs, and masks become weaker labels.

    pairs   as published: each (class, image) drawn is an example of its own, in which its class alone is labelled and all
            else, other classes of the episode too, is background; an image drawn for two classes is there twice
    joint   each image drawn is there once, with all classes of the episode that it shows: nothing is called background that
            is not, but a class may then have more examples than shots

Weaker labels are made of the masks, always the same: the smallest box around a class; the pixel of a class that lies
deepest inside it; a tag that says "present". With `pairs` a tag, box or point says nothing of other classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from likewise.data import Example, Support
from likewise.episodes.benchmark import Benchmark
from likewise.episodes.items import VOID, relative_labels
from likewise.episodes.sampling import Episode
from likewise.errors import InputError

Labelling = Literal["mask", "box", "point", "tag"]
Pairing = Literal["pairs", "joint"]


def support_of(episode: Episode, benchmark: Benchmark, labelling: Labelling = "mask", pairing: Pairing = "pairs") -> Support:
    """The support of an episode: class n in the order drawn has the number n + 1 and its name.

    Raises InputError where a support image does not show the class that it was drawn for.
    """
    names = [benchmark.class_names[number] for number in episode.classes]
    examples = _pairs(episode) if pairing == "pairs" else _joint(episode)
    labelled = [_example(benchmark, name, places, episode, labelling, f"{copy}/{name}") for copy, (name, places) in enumerate(examples)]
    return Support(labelled, dict(enumerate(names, start=1)))


def _pairs(episode: Episode) -> list[tuple[str, list[int]]]:
    return [(name, [place]) for place, names in enumerate(episode.supports, start=1) for name in names]


def _joint(episode: Episode) -> list[tuple[str, list[int]]]:
    every = list(range(1, len(episode.classes) + 1))
    return [(name, every) for name in dict.fromkeys(name for names in episode.supports for name in names)]


def _example(benchmark: Benchmark, name: str, places: Iterable[int], episode: Episode, labelling: Labelling, title: str) -> Example:
    labels = benchmark.labels(name)
    own = relative_labels(labels, episode.classes)
    shown = [place for place in places if (own == place).any()]
    if not shown:
        raise InputError("it does not show the class that the list says", where=name, remedy="Take masks and lists from the same release of the data")
    source = benchmark.source(name)
    if labelling == "mask":
        kept = np.where(np.isin(own, shown), own, 0).astype(np.int16)
        return Example(source, title, label_map=np.where(labels == VOID, np.int16(VOID), kept))
    if labelling == "box":
        return Example(source, title, boxes={place: [box_around(own == place)] for place in shown})
    if labelling == "point":
        return Example(source, title, points={place: {"positive": [deepest_point(own == place)], "negative": []} for place in shown})
    return Example(source, title, tags=dict.fromkeys(shown, True))


def box_around(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """The smallest box (x0, y0, x1, y1), half open, around a mask (H, W) that is not empty.

    >>> box_around(np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], bool))
    (1.0, 1.0, 3.0, 3.0)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def deepest_point(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The centre (x, y) of the pixel of a mask (H, W) that is farthest from everything else, the picture's rim too; the first of equals."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), mask.shape)
    return float(column) + 0.5, float(row) + 0.5
