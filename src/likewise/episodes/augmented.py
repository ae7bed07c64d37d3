"""Episodes whose supports are used for every class that they show, as EMAT's augmented settings do.

Source: EMAT (GCPR 2025) and its code. A support drawn for one class often shows others. "partial" uses it for those of the episode too;
"full" also for other classes of the fold, which the episode then asks for as well. So ways and shots may grow; a class with fewer
supports than another is filled up with copies of its own, as the published code needs as many of each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from likewise.episodes.items import VOID
from likewise.episodes.sampling import Episode

Augment = Literal["none", "partial", "full"]
SHARES = {"pascal-5i": 0.07, "coco-20i": 0.03}  # published: the least share of a picture that another class must take, not included
SHARE = 0.03  # ours, of other benchmarks


@dataclass(frozen=True)
class Augmented:
    """classes: the numbers, new ones at the end; supports: for each the (way, shot) of the drawn pictures that it uses; changed: whether any was added."""

    classes: tuple[int, ...]
    supports: tuple[tuple[tuple[int, int], ...], ...]
    changed: bool


def augmented(
    classes: Sequence[int], labels: Sequence[Sequence[NDArray[np.integer]]], known: Collection[int], share: float, random: np.random.RandomState
) -> Augmented:
    """The classes and supports of an episode with those that its support pictures show besides the one they were drawn for.

    labels: the label map of each drawn picture, by way and shot, at its own size; known: the classes that may be added to, those of the
    episode or of the fold; share: of its picture's pixels above which a class is used; random: goes on from the episode's draws, and
    is drawn from only where classes are filled up.
    """
    numbers = [int(number) for number in classes]
    supports = [[(way, shot) for shot in range(len(maps))] for way, maps in enumerate(labels)]
    drawn = sum(map(len, supports))
    for way, maps in enumerate(labels):
        for shot, plane in enumerate(maps):
            for number in _others(plane, numbers[way], known, share):
                if number not in numbers:
                    numbers.append(number)
                    supports.append([])
                supports[numbers.index(number)].append((way, shot))
    changed = sum(map(len, supports)) > drawn
    if changed:
        most = max(map(len, supports))
        for listed in supports:
            while len(listed) < most:
                listed.append(listed[random.randint(len(listed))])
    return Augmented(tuple(numbers), tuple(map(tuple, supports)), changed)


@dataclass(frozen=True)
class Augmenting:
    """How episodes are augmented: for classes of the episode alone ("partial") or of the fold ("full"), those above a share of a picture."""

    kind: Literal["partial", "full"]
    share: float
    labels: Callable[[str], NDArray[np.integer]]  # the label map of a picture by name

    def __call__(self, episode: Episode, fold: Collection[int], random: np.random.RandomState) -> Episode:
        """An episode by name with the supports of `augmented`; fold: the classes of the fold."""
        planes = [[self.labels(name) for name in names] for names in episode.supports]
        found = augmented(episode.classes, planes, episode.classes if self.kind == "partial" else fold, self.share, random)
        names = tuple(tuple(episode.supports[way][shot] for way, shot in listed) for listed in found.supports)
        return Episode(episode.query, found.classes, names)


def _others(plane: NDArray[np.integer], own: int, known: Collection[int], share: float) -> list[int]:
    """The classes of a label map, in increasing order, that may be added to and are large enough."""
    numbers, pixels = np.unique(plane, return_counts=True)
    return [
        int(number) for number, count in zip(numbers, pixels, strict=True) if number not in (0, VOID, own) and number in known and count / plane.size > share
    ]
