"""What a benchmark is, and the episodes of one: a list that can be asked at any place, so that a run can begin again anywhere."""

from __future__ import annotations

import random as python_random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol, get_args, overload

import numpy as np
from numpy.typing import NDArray

from likewise.data.images import ImageSource
from likewise.episodes.augmented import Augmenting
from likewise.episodes.lists import ImageList
from likewise.episodes.nway_sampling import RERUNS, nway_episode, published_run
from likewise.episodes.object_sizes import narrowed
from likewise.episodes.sampling import Episode, fscs_episode, fss_episode
from likewise.errors import InputError, UsageError, close_match

Part = Literal["train", "val", "test"]
Frame = Literal["fscs", "fss", "nway"]


class Benchmark(Protocol):
    """Images with pixel labels, and which classes each fold trains on, validates by and tests.

    name: what records call it; folds: how many there are, numbered from 0; class_names: by number, from 1, none is 255.
    Names of images are whatever the benchmark makes them; every answer depends on its arguments alone.
    """

    @property
    def name(self) -> str:
        """What records call it."""
        ...

    @property
    def folds(self) -> int:
        """How many folds there are."""
        ...

    @property
    def class_names(self) -> Mapping[int, str]:
        """Class names by number, of all folds and parts."""
        ...

    def images(self, part: Part, fold: int) -> ImageList:
        """The images of a part by class; its keys are the classes of the part. InputError where there are none, UsageError for an unknown fold."""
        ...

    def source(self, name: str) -> ImageSource:
        """The picture as methods take it: a path where there is a file, else an array."""
        ...

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3). InputError where it is missing or damaged."""
        ...

    def labels(self, name: str) -> NDArray[np.integer]:
        """Class numbers (H, W) of the picture's size: 0 background, 255 void."""
        ...

    def check(self, names: Sequence[str]) -> None:
        """InputError for the first of these whose picture or labels are missing or differ in size; pixels are not read where a header tells."""
        ...


@dataclass(frozen=True)
class Episodes(Sequence[Episode]):
    """The episodes of a benchmark's part, each drawn when it is asked for, from its index and the seed alone.

    frame: "fscs" (the query may show some of the classes or none), "fss" (one class, which it shows) or "nway" (the classes in order of their
    numbers, one of them at least in the query, all images different);
    shots: one number for each class in the order drawn. With the seed 0, parts "val" and "test" are the published episodes;
    "train" goes through listed queries in another order every time. official: as in `fss_episode`; of "nway" the published
    run of the seed, or with the seed 0 the five published reruns of `length` episodes each, dealt out in turn. Of "fscs" alone: empty:
    False where the query shows the first class always; augmenting: supports are used for other classes that they show.
    """

    images: ImageList
    part: Part
    shots: tuple[int, ...]
    length: int
    seed: int = 0
    frame: Frame = "fscs"
    official: bool = False
    empty: bool = True
    augmenting: Augmenting | None = field(default=None, compare=False)

    @property
    def plain(self) -> Episodes:
        """The same as they were drawn, which are of the same images."""
        return replace(self, augmenting=None)

    def __len__(self) -> int:
        return self.length * len(self.runs)

    @property
    def runs(self) -> tuple[int, ...]:
        """The seeds of the reruns, of which episode i belongs to that at i modulo their count."""
        return RERUNS if self.frame == "nway" and self.official and self.seed == 0 else (self.seed,)

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Episode]: ...
    def __getitem__(self, index: int | slice) -> Episode | Sequence[Episode]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._drawn(index % len(self))

    def _drawn(self, index: int) -> Episode:
        if self.frame == "nway":
            return self._drawn_nway(index)
        published = self.seed == 0 and self.part != "train"
        random = np.random.RandomState(index if published else [self.seed, index])
        line = self._line(index) if self.part == "train" else index
        if self.frame == "fss":
            return fss_episode(self.images, line, self.shots[0], random, official=self.official)
        found = fscs_episode(self.images, line, len(self.shots), self.shots, random, empty=self.empty)
        return found if self.augmenting is None else self.augmenting(found, list(self.images.by_class), random)

    def _drawn_nway(self, index: int) -> Episode:
        if self.official:
            return self._published[index % len(self.runs)][index // len(self.runs)]
        return nway_episode(self.images, len(self.shots), self.shots[0], python_random.Random(f"{self.seed}/{index}"))  # noqa: S311 (no secrets)

    @cached_property
    def _published(self) -> list[list[Episode]]:
        return [published_run(self.images, len(self.shots), self.shots[0], seed, self.length) for seed in self.runs]

    def _line(self, index: int) -> int:
        """The line of the listed queries that an episode of training takes: every round is a permutation of its own."""
        lines = len(self.images.queries)
        return int(np.random.RandomState([self.seed, index // lines, lines]).permutation(lines)[index % lines]) if lines else index


def episodes_of(
    benchmark: Benchmark,
    part: Part,
    fold: int = 0,
    way: int = 1,
    shot: int | Sequence[int] = 1,
    count: int = 1000,
    seed: int = 0,
    frame: Frame = "fscs",
    *,
    official: bool = False,
    empty: bool = True,
    augmenting: Augmenting | None = None,
    object_size: str = "",
) -> Episodes:
    """The episodes of a part of a fold, checked so far as lists tell.

    shot: images a class, or a number for each of the `way` classes in the order drawn; object_size: see `object_sizes.narrowed`, "" for any; the rest as in
    `Episodes`. Raises UsageError for numbers or
    words that do not fit, InputError for a part without images or a class with too few of them.
    """
    for name, word, known in (("part", part, get_args(Part)), ("frame", frame, get_args(Frame))):
        if word not in known:
            raise UsageError(f"there is no {name} {word!r}", where=name, remedy=close_match(word, known))
    shots = (shot,) * way if isinstance(shot, int) else tuple(shot)
    _check_numbers(way, shots, count, frame)
    images = narrowed(benchmark, part, fold, object_size, max(shots)) if object_size else benchmark.images(part, fold)
    if way > len(images.by_class):
        raise UsageError(f"{way} ways of {len(images.by_class)} classes", where=f"{benchmark.name}, fold {fold}, {part}", remedy="Ask for fewer ways")
    _check_enough(benchmark, images, max(shots), f"{benchmark.name}, fold {fold}, {part}")
    return Episodes(images, part, shots, count, seed, frame, official, empty, augmenting)


def _check_numbers(way: int, shots: tuple[int, ...], count: int, frame: Frame) -> None:
    if way < 1 or count < 1 or min(shots, default=0) < 1:
        raise UsageError(f"{way} ways, {shots} shots, {count} episodes", where="episodes", remedy="Ask for at least one of each")
    if len(shots) != way:
        raise UsageError(f"{len(shots)} numbers of shots for {way} ways", where="shot", remedy="Give one number, or one for each way")
    if frame == "fss" and way != 1:
        raise UsageError(f"FS-S has one class, not {way}", where="way", remedy="Use the frame fscs or nway, or one way")
    if frame == "nway" and len(set(shots)) > 1:
        raise UsageError("the frame nway has the same number of shots for all classes", where="shot", remedy="Give one number, or use the frame fscs")


def _check_enough(benchmark: Benchmark, images: ImageList, most: int, where: str) -> None:
    for number, names in images.by_class.items():
        others = len(set(names)) - 1
        if others < most:
            raise InputError(
                f"class {benchmark.class_names[number]!r} has {len(set(names))} images: a query and {most} shots need {most + 1}",
                where=where,
                remedy="Ask for fewer shots, give the class more images, or leave it out of the fold",
            )
