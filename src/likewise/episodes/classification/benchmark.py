"""A benchmark of classification: classes that train, validate and test, and the picture of each of their items.

An item is a file, or a row of a packed file, with the right angles it is turned by. Its picture is made when it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from likewise.data.images import read_image
from likewise.episodes.classification.sampling import ClassEpisode, Draw
from likewise.episodes.classification.splits import Part
from likewise.errors import InputError

Picture = NDArray[np.uint8]


class Item(NamedTuple):
    """One picture of a class: a file or a row, and how often it is turned by a right angle."""

    place: Path | int
    turns: int = 0


class Asked(NamedTuple):
    """The supports and the queries of an episode, class by class."""

    support: Sequence[Sequence[Item]]
    query: Sequence[Sequence[Item]]


class ClassItems(NamedTuple):
    """The classes of a part by name, and the items of each."""

    names: tuple[str, ...]
    items: tuple[tuple[Item, ...], ...]

    @property
    def sizes(self) -> list[int]:
        """How many items each class has."""
        return [len(each) for each in self.items]

    def draw(self, n_way: int, n_shot: int, n_query: int) -> Draw:
        """What episodes of this part are drawn from."""
        return Draw(self.sizes, n_way, n_shot, n_query)

    def asked(self, episode: ClassEpisode) -> Asked:
        """The items of an episode."""
        support, query = ([[self.items[place][index] for index in row] for place, row in zip(episode.classes, rows, strict=True)] for rows in episode[1:])
        return Asked(support, query)


@dataclass(frozen=True)
class ClassBenchmark:
    """Parts by name, and how the picture (H, W, 3) of an item is made, ink dark on bright paper.

    fixed: episodes by supports and queries, class by class, of a benchmark that draws none, such as the twenty one-shot runs.
    """

    name: str
    parts: Mapping[Part, ClassItems]
    picture: Callable[[Item], Picture]
    fixed: Sequence[Asked] = ()

    def part(self, name: Part) -> ClassItems:
        """The classes of a part. InputError where it has none."""
        found = self.parts.get(name)
        if found is None or not found.names:
            raise InputError(f"{self.name} has no classes in the part {name!r}", where="part", remedy=f"Use one of {', '.join(self.parts)}")
        return found

    def digest(self, name: Part) -> str:
        """SHA-256 of the classes and items of a part, by name."""
        found = self.part(name)
        listed = [(title, [(_told(item.place), item.turns) for item in items]) for title, items in zip(found.names, found.items, strict=True)]
        return hashlib.sha256(repr(listed).encode()).hexdigest()


def items_of(classes: Mapping[str, Sequence[Path | int]], *, turns: Sequence[int] = (0,)) -> ClassItems:
    """Classes with their items; with several turns each of them makes a class of its own, in the order name 0, name 1, ...

    >>> items_of({"a": [3, 5]}, turns=(0, 1)).names
    ('a', 'a turned 1')
    """
    names, items = [], []
    for name, places in classes.items():
        for turn in turns:
            names.append(f"{name} turned {turn}" if turn else name)
            items.append(tuple(Item(place, turn) for place in places))
    return ClassItems(tuple(names), tuple(items))


def photograph(item: Item) -> Picture:
    """A file's picture, turned counter-clockwise."""
    if isinstance(item.place, int):
        raise TypeError("a row of a packed file is no file")
    return np.ascontiguousarray(np.rot90(read_image(item.place), item.turns))


def drawing(ink: NDArray[np.bool_], turns: int = 0) -> Picture:
    """A drawing (H, W) of ink as dark on bright, turned counter-clockwise."""
    plane = np.where(np.rot90(ink, turns), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(plane[..., None], 3, axis=2))


def _told(place: Path | int) -> str:
    """A file by its last two parts, so that a digest does not hang on where the folder lies."""
    return "/".join(place.parts[-2:]) if isinstance(place, Path) else str(place)
