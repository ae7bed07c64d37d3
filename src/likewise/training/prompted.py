"""Prompted episodes in training: batches drawn by share from the sources of a recipe, and as tensors.

Source: De Marinis et al. 2024, its code, for what a batch and an episode are and for how prompts are made; see
`episodes.prompted`. Ours: an object is a connected part of a class's mask, as label maps know no objects; supports of a class never
include the query; pictures may be joined, see `joining`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data.image_prompts import ImagePrompts
from likewise.episodes.benchmark import Benchmark
from likewise.episodes.items import VOID
from likewise.episodes.kept import Kept
from likewise.episodes.lists import ImageList
from likewise.episodes.prompted.annotations import Annotation
from likewise.episodes.prompted.simulation import SUBSETS, Chance, Kind, simulated
from likewise.episodes.prompting import parts_of
from likewise.episodes.views import ViewsBenchmark
from likewise.errors import InputError, UsageError, close_match
from likewise.functional.resize import resize_nearest
from likewise.methods.trainable import PromptedTrainingBatch, PromptedTrainingEpisode
from likewise.training.joining import joined
from likewise.training.recipe import PromptsSection, Recipe, SourceSection
from likewise.training.sources import EpisodeFeatures, fold_of, listed_only, names_of

KEPT = 2 << 30  # bytes of tokens that are kept in memory
MOST_JOINED = 4
UNKNOWN = -100  # in a truth

Names = tuple[str, ...]  # of the pictures that one picture is joined of


@dataclass(frozen=True)
class PromptedDrawnEpisode:
    """An episode by name: the pictures of the query and of every support, kinds of prompts, the classes, sorted, and a seed for all else."""

    query: Names
    support: tuple[Names, ...]
    numbers: tuple[int, ...]
    kinds: tuple[Kind, ...]
    seed: int


@dataclass(frozen=True)
class PromptedDrawn:
    """A batch by name, and of which benchmark it is."""

    benchmark: Benchmark
    episodes: tuple[PromptedDrawnEpisode, ...]


@dataclass(frozen=True)
class _Source:
    section: SourceSection
    fold: int
    benchmark: Benchmark
    images: ImageList
    showing: Mapping[str, frozenset[int]]  # classes by picture
    least: int  # pictures of the smallest class

    def most(self, numbers: Sequence[int]) -> list[str]:
        """The pictures that show all of the classes, else all but the last, and so on."""
        for count in range(len(numbers), 0, -1):
            wanted = set(numbers[:count])
            found = [name for name in self.images.by_class[numbers[0]] if wanted <= self.showing[name]]
            if found:
                return found
        raise AssertionError("every class has pictures")


class PromptedDraws:
    """All batches of a recipe, each by its index: the same index gives the same batch in every run and process."""

    def __init__(self, recipe: Recipe, benchmarks: Mapping[str, Benchmark]) -> None:
        """Raises UsageError for unknown classes, InputError for sources with too few pictures."""
        assert recipe.prompts is not None
        self.seed, self._prompts = recipe.seed, recipe.prompts
        self._sources = [_source(section, benchmarks[section.data], recipe, place) for place, section in enumerate(recipe.source)]
        shares = np.cumsum([source.section.share for source in self._sources])
        self._bounds = shares / shares[-1]

    def __getitem__(self, index: int) -> PromptedDrawn:
        random = np.random.default_rng([self.seed, index])
        source = self._sources[min(int(np.searchsorted(self._bounds, random.random(), side="right")), len(self._sources) - 1)]
        episodes, ways, shots = self._prompts.batches[int(random.integers(len(self._prompts.batches)))]
        ways, shots = min(ways, source.section.ways or ways, len(source.images.by_class)), min(shots, source.least - 1)
        subset = _subset(self._prompts, random)
        drawn = []
        for _ in range(episodes):
            kinds = subset if self._prompts.subset == "batch" else _subset(self._prompts, random)
            drawn.append(_episode(source, self._prompts, ways, shots, kinds, random))
        return PromptedDrawn(source.benchmark, tuple(drawn))

    def names(self) -> list[tuple[Benchmark, list[str]]]:
        """The images of every source."""
        return [(source.benchmark, names_of(source.images)) for source in self._sources]

    def told(self) -> list[dict[str, Any]]:
        """Each source in words and numbers, for the card of a checkpoint; of views, whose classes are single pictures, those of the pictures."""
        return [_told(source) for source in self._sources]


def _source(section: SourceSection, benchmark: Benchmark, recipe: Recipe, place: int) -> _Source:
    where, fold = f"source.{place}", fold_of(recipe, benchmark)
    images = benchmark.images(section.part, fold)
    if section.only is not None:
        images = listed_only(images, Path(section.only), benchmark, where)
    if section.classes:
        images = ImageList({number: images.by_class[number] for number in _numbers(section.classes, benchmark, images, where)})
    images = ImageList({number: sorted(set(names))[: section.most] for number, names in images.by_class.items()})
    least = min(len(set(names)) for names in images.by_class.values())
    if least < 2:
        raise InputError("a class has one picture alone", where=where, remedy="Name the classes to take in `classes`, or give each two pictures")
    showing: dict[str, set[int]] = {}
    for number, names in images.by_class.items():
        for name in names:
            showing.setdefault(name, set()).add(number)
    return _Source(section, fold, benchmark, images, {name: frozenset(numbers) for name, numbers in showing.items()}, least)


def _numbers(classes: Sequence[str], benchmark: Benchmark, images: ImageList, where: str) -> list[int]:
    """The numbers of classes by name; UsageError for one that the part has not."""
    known = {benchmark.class_names[number]: number for number in images.by_class}
    for name in classes:
        if name not in known:
            raise UsageError(f"there is no class {name!r} in it", where=f"{where}.classes", remedy=close_match(name, known))
    return [known[name] for name in dict.fromkeys(classes)]


def _told(source: _Source) -> dict[str, Any]:
    names, images = source.benchmark.class_names, source.images
    classes = source.benchmark.classes_in(names_of(images)) if isinstance(source.benchmark, ViewsBenchmark) else [names[number] for number in images.by_class]
    facts = {"benchmark": source.benchmark.name, "part": source.section.part, "fold": source.fold, "classes": classes}
    return facts | {"images": len(names_of(images)), "share": source.section.share}


def _subset(prompts: PromptsSection, random: np.random.Generator) -> tuple[Kind, ...]:
    """One of the non-empty subsets of the kinds, all alike."""
    known = [subset for subset in SUBSETS if set(subset) <= set(prompts.kinds)]
    return known[int(random.integers(len(known)))]


def _episode(source: _Source, prompts: PromptsSection, ways: int, shots: int, kinds: tuple[Kind, ...], random: np.random.Generator) -> PromptedDrawnEpisode:
    every = list(source.images.by_class)
    order = [every[place] for place in random.permutation(len(every))]
    numbers, others = order[:ways], order[ways:]
    asked = [numbers[int(random.integers(ways))]] if random.random() > 0.5 else numbers
    query = _composed(source, _one(source.most(asked), random), (numbers, others), prompts.joined, (), random)
    taken, support = {*query}, []
    for number in numbers * shots:
        listed = source.images.by_class[number]
        free = [name for name in listed if name not in taken] or [name for name in listed if name not in query]
        support.append(_one(free, random))
        taken.add(support[-1])
    whole = tuple(_composed(source, name, (numbers, others), prompts.joined_support, query, random) for name in support)
    return PromptedDrawnEpisode(query, whole, tuple(sorted(numbers)), kinds, int(random.integers(1 << 31)))


def _composed(source: _Source, name: str, classes: tuple[Sequence[int], Sequence[int]], chance: float, apart: Names, random: np.random.Generator) -> Names:
    """A picture, with a chance those that it is joined with: one each of classes of the episode that it does not show, else of others; none of `apart`."""
    if source.section.ways == 1 or random.random() >= chance:  # pictures of such a source may show other classes without a label
        return (name,)
    pool = [number for number in classes[0] if number not in source.showing[name]] or list(classes[1])
    count = min(int(random.integers(1, MOST_JOINED)), len(pool))
    more = [pool[place] for place in random.permutation(len(pool))[:count]]
    found = [[each for each in source.images.by_class[number] if each not in apart and each != name] for number in more]
    return (name, *(_one(names, random) for names in found if names))


def _one(names: Sequence[str], random: np.random.Generator) -> str:
    return names[int(random.integers(len(names)))]


class PromptedFeatures:
    """Batches as tensors: tokens by the provider, labels and prompts made from them; tokens and labels are kept in memory."""

    def __init__(self, features: EpisodeFeatures, prompts: PromptsSection, limit: int = KEPT) -> None:
        """limit: bytes of tokens."""
        self._features, self._prompts = features, prompts
        self._side = features.specs[0].side
        self._kept = Kept[tuple[Tensor, Tensor]](limit, lambda both: both[0].nbytes + both[1].nbytes)

    def __call__(self, drawn: PromptedDrawn, device: torch.device) -> PromptedTrainingBatch:
        """The tensors of a batch on a device."""
        return PromptedTrainingBatch(tuple(self._episode(drawn.benchmark, episode, device) for episode in drawn.episodes))

    def _episode(self, benchmark: Benchmark, episode: PromptedDrawnEpisode, device: torch.device) -> PromptedTrainingEpisode:
        random = np.random.default_rng(episode.seed)
        chance = Chance.seeded(episode.seed)
        made = [self._joined(benchmark, names, random) for names in (episode.query, *episode.support)]
        prompts = tuple(prompts_of(labels.numpy(), episode.numbers, episode.kinds, chance, noisy=self._prompts.noisy) for _, labels in made[1:])
        tokens = [tokens.flatten(0, 1).to(device) for tokens, _ in made]
        return PromptedTrainingEpisode(tokens[0], torch.stack(tokens[1:]), prompts, episode.numbers, truth_of(made[0][1], episode.numbers).to(device))

    def _joined(self, benchmark: Benchmark, names: Names, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        return joined([self._of(benchmark, name) for name in names], random, void=VOID, mirrored=self._prompts.mirrored)

    def _of(self, benchmark: Benchmark, name: str) -> tuple[Tensor, Tensor]:
        """Tokens (E, E, F) and labels (side, side) of a picture."""

        def make() -> tuple[Tensor, Tensor]:
            item = self._features.features(benchmark, name)[0]
            labels = resize_nearest(torch.from_numpy(np.asarray(benchmark.labels(name)).astype(np.int16)), (self._side, self._side))
            return torch.unflatten(item.tokens[-1], 0, item.grid), labels

        return self._kept((id(benchmark), name), make)


def prompts_of(labels: NDArray[np.integer], numbers: Sequence[int], kinds: Sequence[Kind], chance: Chance, *, noisy: bool) -> ImagePrompts:
    """Prompts of a picture with labels (H, W) for all the classes that it shows, each connected part an object."""
    size = (labels.shape[0], labels.shape[1])
    return simulated([part for number in numbers for part in _parts(labels == number, number)], numbers, size, kinds, chance, noisy=noisy)


@dataclass(frozen=True)
class _Part(Annotation):
    """A part of a label map; `shape` is its mask."""

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        assert self.shape.shape == size
        return np.asarray(self.shape)


def _parts(mask: NDArray[np.bool_], number: int) -> list[Annotation]:
    if not mask.any():
        return []
    found: list[Annotation] = []
    for part in parts_of(mask):
        rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
        x, y = float(columns[0]), float(rows[0])
        found.append(_Part(0, number, (x, y, float(columns[-1]) + 1 - x, float(rows[-1]) + 1 - y), float(part.sum()), part))
    return found


def truth_of(labels: Tensor, numbers: Sequence[int]) -> Tensor:
    """Places of classes among `numbers`, from 1, in labels (H, W); other classes are background, -100 unknown."""
    found = torch.zeros(labels.shape, dtype=torch.int64)
    for place, number in enumerate(numbers, start=1):
        found[labels == number] = place
    found[labels == VOID] = UNKNOWN
    return found
