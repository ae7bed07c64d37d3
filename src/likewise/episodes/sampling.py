"""Episodes of Pascal-5i and COCO-20i exactly as the published samplers draw them.

Sources: the code of CST (FS-CS) and of iFSL (FS-S). NumPy's legacy generator is seeded with the index of the episode, so that
an episode depends on nothing else; in training one generator runs on. Legacy `choice(list, 1, replace=False)` permutes
the whole list, which is written out below: any other way to draw one gives other episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from likewise.episodes.lists import ImageList
from likewise.errors import InputError, UsageError

EPISODES = 1000  # of every published table


@dataclass(frozen=True)
class Episode:
    """A query and its supports by name.

    classes: (N,) class numbers in the order drawn: class n has the label n + 1; supports: K names for each class, which may
    differ in K.
    """

    query: str
    classes: tuple[int, ...]
    supports: tuple[tuple[str, ...], ...]


def fscs_episode(
    images: ImageList, index: int, way: int, shot: int | Sequence[int], random: np.random.RandomState | None = None, *, empty: bool = True
) -> Episode:
    """An episode of FS-CS: the query's class is among the support classes with a probability of a half for one way.

    shot: images a class, or a number for each class in the order drawn; random: None for validation and test, where
    `index` is the seed; a generator that runs on, for training; empty: False has the query's class always, as the first one (source:
    EMAT's code without empty masks). Raises UsageError for more ways than classes, InputError
    for a class with too few images.
    """
    numbers = tuple(images.by_class)
    if not 1 <= way <= len(numbers):
        raise UsageError(f"{way} ways of {len(numbers)} classes", where="way", remedy="Ask for fewer ways")
    random = random or np.random.RandomState(index)
    query, own = _query(images, index, random)
    classes = _with_or_without(numbers, own, way, random) if empty else _with(numbers, own, way, random)
    shots = (shot,) * way if isinstance(shot, int) else shot
    drawn = (_supports(images, number, query, own_shots, random, distinct=True) for number, own_shots in zip(classes, shots, strict=True))
    return Episode(query, classes, tuple(drawn))


def fss_episode(images: ImageList, index: int, shot: int, random: np.random.RandomState | None = None, *, official: bool = False) -> Episode:
    """An episode of FS-S: one class, which the query shows.

    official: a support may be drawn twice, as in the published code; else supports are distinct. Otherwise as `fscs_episode`.
    """
    random = random or np.random.RandomState(index)
    query, own = _query(images, index, random)
    return Episode(query, (own,), (_supports(images, own, query, shot, random, distinct=not official),))


def _with_or_without(numbers: tuple[int, ...], own: int, way: int, random: np.random.RandomState) -> tuple[int, ...]:
    """Classes of which the query's own is likelier than any other."""
    chances = np.ones(len(numbers)) / 2.0 / float(max(len(numbers) - 1, 1))
    chances[numbers.index(own)] = 0.5 if len(numbers) > 1 else 1.0
    return tuple(int(number) for number in random.choice(numbers, way, p=chances, replace=False))


def _with(numbers: tuple[int, ...], own: int, way: int, random: np.random.RandomState) -> tuple[int, ...]:
    """The query's class and others; of one way nothing is drawn."""
    others = [number for number in numbers if number != own]
    return (own, *(int(number) for number in random.choice(others, way - 1, replace=False))) if way > 1 else (own,)


def _query(images: ImageList, index: int, random: np.random.RandomState) -> tuple[str, int]:
    """The line of a list of queries, or a class and one of its images drawn."""
    if images.queries:
        return images.queries[index % len(images.queries)]
    numbers = tuple(images.by_class)
    own = numbers[_one(len(numbers), random)]
    return _drawn(images.by_class[own], random), own


def _supports(images: ImageList, number: int, query: str, shot: int, random: np.random.RandomState, *, distinct: bool) -> tuple[str, ...]:
    names = images.by_class[number]
    others = len(set(names) - {query})
    if others < (shot if distinct else 1):
        raise InputError(
            f"class {number} has {others} images besides the query, {shot} are asked for",
            where="shot",
            remedy="Ask for fewer shots, or give the class more images",
        )
    found: list[str] = []
    while len(found) < shot:
        name = _drawn(names, random)
        if name != query and not (distinct and name in found):
            found.append(name)
    return tuple(found)


def _drawn(names: Sequence[str], random: np.random.RandomState) -> str:
    return names[_one(len(names), random)]


def _one(count: int, random: np.random.RandomState) -> int:
    """What `choice(count, 1, replace=False)` draws."""
    return int(random.permutation(count)[0])
