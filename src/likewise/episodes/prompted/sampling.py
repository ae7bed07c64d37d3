"""Which images make an episode: N-way K-shot as Label Anything is tested, and as it is trained.

Source: De Marinis et al. 2024, its code. Published sequences come from Python's and torch's generators, handed in, and from the
order in which sets of image numbers are walked, which is that of CPython. official: a query may be among its own supports, and a
support of one class may be that of another; else all images of an episode differ.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from likewise.episodes.prompted.annotations import Annotated
from likewise.errors import InputError

Name = TypeVar("Name", int, str)

BATCHES = ((2, 1, 4), (2, 4, 2), (2, 1, 2), (4, 2, 2), (4, 4, 1), (16, 1, 1))  # episodes, classes, shots of a published training batch


@dataclass(frozen=True)
class PromptedEpisode:
    """An episode: the image of the query, those of the support in order, and for each of these the class that it was drawn for.

    asked: the class that the query was drawn for, None where it was drawn for several at once.
    """

    query: int
    support: tuple[int, ...]
    drawn_for: tuple[int, ...]
    asked: int | None

    @property
    def images(self) -> tuple[int, ...]:
        """All images, the query first."""
        return (self.query, *self.support)

    def numbers(self, data: Annotated, among: Sequence[int]) -> tuple[int, ...]:
        """The classes of the episode in order: those `among` that any of its images shows."""
        shown = {number for image in self.images for number in data.of(image)}
        return tuple(sorted(shown & set(among)))


def validation_episode(data: Annotated, ways: int, shots: int, chance: random.Random, *, official: bool = True) -> PromptedEpisode:
    """An N-way K-shot episode of validation. InputError where a class has too few images."""
    query, supports = drawn(data.walked, ways, shots, chance, official=official)
    drawn_for = tuple(number for number, images in supports.items() for _ in images)
    return PromptedEpisode(query, sum(supports.values(), ()), drawn_for, drawn_for[0])


def drawn(by_class: Mapping[int, Sequence[Name]], ways: int, shots: int, chance: random.Random, *, official: bool) -> tuple[Name, dict[int, tuple[Name, ...]]]:
    """The query of an episode of validation, and the support images of each class in the order drawn; the query is of the first.

    by_class: the images of each class. InputError where a class has too few images, or too few that the episode does not have yet.
    """
    if ways > len(by_class):
        raise InputError(f"{ways} ways, there are {len(by_class)} classes", where="ways", remedy="Ask for fewer")
    if ways == 1:
        number = chance.choice(list(by_class))
        found = _sample(by_class[number], shots + 1, number, chance)
        return found[0], {number: tuple(found[1:])}
    numbers = chance.sample(list(by_class), ways)
    query = chance.choice(by_class[numbers[0]])
    supports: dict[int, tuple[Name, ...]] = {}
    for number in numbers:
        taken = {query, *(image for images in supports.values() for image in images)}
        free = by_class[number] if official else [image for image in by_class[number] if image not in taken]
        supports[number] = tuple(_sample(free, shots, number, chance))
    return query, supports


def training_episode(data: Annotated, ways: int, shots: int, chance: torch.Generator) -> PromptedEpisode:
    """An episode of training: some classes, a query that shows one of them or as many as it can, then a support round by round."""
    every = _appearing(data)
    numbers = [every[place] for place in torch.randperm(len(every), generator=chance)[:ways].tolist()]
    asked: int | None = None
    if float(torch.rand(1, generator=chance)) > 0.5:
        asked = _one(numbers, chance)
        query = _one(data.walked[asked], chance)
    else:
        query = _one(_showing_most(data, numbers), chance)
    support: list[int] = []
    for number in numbers * shots:
        free = [image for image in data.walked[number] if image not in (query, *support)]
        if not free:
            raise InputError(f"class {number} has too few images for {shots} shots", where="shots", remedy="Ask for fewer")
        support.append(_one(free, chance))
    return PromptedEpisode(query, tuple(support), tuple(numbers * shots), asked)


def _appearing(data: Annotated) -> list[int]:
    """The classes in the order in which annotations first name them."""
    return list(dict.fromkeys(each.category for each in data.listed))


def _showing_most(data: Annotated, numbers: Sequence[int]) -> list[int]:
    """The images that show all of the first classes, of as many as some image shows."""
    for count in range(len(numbers), 0, -1):
        shared = set.intersection(*(_set(data, number) for number in numbers[:count]))
        if shared:
            return list(shared)
    raise InputError("no image shows any of the classes", where="episode", remedy="Give more images")


def _set(data: Annotated, number: int) -> set[int]:
    return {each.image for each in data.listed if each.category == number}  # made in the order of the file: CPython walks it by that


def _sample(listed: Sequence[Name], count: int, number: int, chance: random.Random) -> list[Name]:
    if len(listed) < count:
        raise InputError(f"class {number} has {len(listed)} images, the episode takes {count}", where="shots", remedy="Ask for fewer")
    return chance.sample(listed, count)


def _one(listed: Sequence[int], chance: torch.Generator) -> int:
    return listed[int(torch.randint(0, len(listed), (1,), generator=chance))]
