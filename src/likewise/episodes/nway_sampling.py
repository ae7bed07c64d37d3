"""N-way K-shot episodes of a benchmark's images: the published sequence, and ours, in which all images of an episode differ.

Source: De Marinis et al. 2024 (Label Anything), its code. A published run seeds Python's generator once and goes on with it, so its
episodes come one after the other; drawing the types of prompts takes from the same generator, which is repeated here.
"""

from __future__ import annotations

import random

from likewise.episodes.lists import ImageList
from likewise.episodes.prompted.sampling import drawn
from likewise.episodes.prompted.simulation import MASKS_ABOVE
from likewise.episodes.sampling import Episode
from likewise.errors import InputError

RERUNS = (42, 43, 44, 45, 46)  # seeds of the published figures, each of which is a mean over these
TRIES = 200


def nway_episode(images: ImageList, ways: int, shots: int, chance: random.Random) -> Episode:
    """An episode whose images all differ, classes in order; the query shows one of them at least.

    InputError where no such episode was found: the classes have too few images of their own.
    """
    for tried in range(1, TRIES + 1):
        try:
            query, supports = drawn(images.by_class, ways, shots, chance, official=False)
        except InputError as error:
            if tried == TRIES:
                raise InputError(
                    f"no {ways} classes have a query and {shots} supports each that are not those of another class",
                    where="episodes",
                    remedy="Ask for fewer ways or shots, or leave out classes with few images (--least)",
                ) from error
        else:
            break
    return _ordered(query, supports)


def published_run(images: ImageList, ways: int, shots: int, seed: int, count: int) -> list[Episode]:
    """The first episodes of a published run, classes in order. A query may be among its supports, and supports of two classes may be one image."""
    chance = random.Random(seed)  # noqa: S311 (episodes, no secrets)
    found = []
    for _ in range(count):
        query, supports = drawn(images.by_class, ways, shots, chance, official=True)
        episode = _ordered(query, supports)
        for name in (query, *(name for listed in supports.values() for name in listed)):
            _draw_types(images, name, episode.classes, chance)
        found.append(episode)
    return found


def _ordered(query: str, supports: dict[int, tuple[str, ...]]) -> Episode:
    classes = tuple(sorted(supports))
    return Episode(query, classes, tuple(supports[number] for number in classes))


def _draw_types(images: ImageList, name: str, classes: tuple[int, ...], chance: random.Random) -> None:
    """Take from the generator what drawing a type of prompt for each object of an image takes."""
    for number in classes:
        objects = images.objects.get(name, {}).get(number, 0)
        if objects <= MASKS_ABOVE:
            chance.choices(("mask",), k=objects)
