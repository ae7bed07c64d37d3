"""Which classes and items make an episode: the published samplers, exactly, and one that gives any episode by its number."""

from __future__ import annotations

import random as python_random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.errors import UsageError


class ClassEpisode(NamedTuple):
    """An episode by numbers: classes (N,), and of each the items that are supports (N, K) and queries (N, Q)."""

    classes: NDArray[np.int64]
    support: NDArray[np.int64]
    query: NDArray[np.int64]


class Draw(NamedTuple):
    """What an episode is drawn from: how many items each class has, N classes, K supports and Q queries of each."""

    sizes: Sequence[int]
    n_way: int
    n_shot: int
    n_query: int

    def check(self) -> None:
        """UsageError where there are too few classes, or too few items in one of them, which any episode may draw."""
        if not 0 < self.n_way <= len(self.sizes):
            raise UsageError(f"{self.n_way} of {len(self.sizes)} classes cannot be drawn", where="way", remedy="Ask for fewer classes")
        if self.n_shot < 0 or self.n_query < 0:
            raise UsageError(f"{self.n_shot} supports and {self.n_query} queries a class cannot be drawn", where="shot, query", remedy="Ask for none or more")
        wanted = self.n_shot + self.n_query
        small = [place for place, size in enumerate(self.sizes) if size < wanted]
        if small:
            raise UsageError(
                f"the classes {', '.join(map(str, small[:5]))} have fewer than {wanted} items, {self.n_shot} supports and {self.n_query} queries",
                where="classes",
                remedy="Ask for fewer queries, or leave these classes out",
            )


def prototypical_episodes(draw: Draw, count: int, seed: int = 1234) -> Iterator[ClassEpisode]:
    """The episodes that the published evaluation of prototypical networks draws (Snell et al. 2017), in order, by torch's generator.

    Raises UsageError as `Draw.check`.
    """
    draw.check()
    generator = torch.Generator().manual_seed(seed)
    torch.empty((), dtype=torch.int64).random_(generator=generator)  # official: the loader draws a seed for its workers, with none too
    for _ in range(count):
        classes = torch.randperm(len(draw.sizes), generator=generator)[: draw.n_way].numpy()
        yield _episode(draw, classes, [torch.randperm(draw.sizes[place], generator=generator).numpy() for place in classes])


def closer_look_episodes(draw: Draw, count: int, seed: int = 0) -> Iterator[ClassEpisode]:
    """The episodes of the published test of Chen et al. 2019, in order, by Python's and NumPy's generators, which it leaves without seeds.

    Raises UsageError as `Draw.check`.
    """
    draw.check()
    of_classes, of_items = python_random.Random(seed), np.random.RandomState(seed)  # noqa: S311 (no secrets)
    for _ in range(count):
        classes = np.array(of_classes.sample(range(len(draw.sizes)), draw.n_way))
        yield _episode(draw, classes, [of_items.permutation(draw.sizes[place]) for place in classes])


def episode_at(draw: Draw, index: int, seed: int = 0) -> ClassEpisode:
    """The episode of a number, from it and the seed alone, so that a run can begin anywhere. UsageError as `Draw.check`."""
    draw.check()
    random = np.random.RandomState([seed, index])
    classes = random.permutation(len(draw.sizes))[: draw.n_way]
    return _episode(draw, classes, [random.permutation(draw.sizes[place]) for place in classes])


def _episode(draw: Draw, classes: NDArray[np.integer], orders: Sequence[NDArray[np.integer]]) -> ClassEpisode:
    """The first K items of each class's order as supports, the next Q as queries."""
    chosen = np.array([order[: draw.n_shot + draw.n_query] for order in orders], np.int64)
    return ClassEpisode(classes.astype(np.int64), chosen[:, : draw.n_shot], chosen[:, draw.n_shot :])
