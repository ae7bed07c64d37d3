"""Where training episodes come from: benchmarks drawn by share, images by name, features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.provider import FeatureProvider
from likewise.episodes.benchmark import Benchmark, Episodes, episodes_of
from likewise.episodes.items import VOID
from likewise.episodes.lists import ImageList
from likewise.episodes.sampling import Episode
from likewise.episodes.views import MARK, ViewsBenchmark
from likewise.errors import InputError
from likewise.formats.files import read_bytes
from likewise.methods.trainable import TrainingEpisode
from likewise.training.recipe import Recipe, SourceSection

Masked = frozenset[str]


@dataclass(frozen=True)
class Drawn:
    """An episode by name: of which benchmark it is, and whether its query and its support may show their masks."""

    benchmark: Benchmark
    episode: Episode
    query_masked: bool
    support_masked: bool


@dataclass(frozen=True)
class _Source:
    section: SourceSection
    fold: int
    benchmark: Benchmark
    episodes: Episodes
    masked: Masked


class Draws:
    """All training episodes of a recipe, each by its index: the same index gives the same episode in every run and process."""

    def __init__(self, recipe: Recipe, benchmarks: Mapping[str, Benchmark]) -> None:
        """Episodes with one class and one support image.

        Raises InputError for a part without images, a class with too few, and sources of which no image has a mask though only those are asked for.
        """
        self.seed = recipe.seed
        self._sources = [_source(section, benchmarks[section.data], recipe, place) for place, section in enumerate(recipe.source)]
        shares = np.cumsum([source.section.share for source in self._sources])
        self._bounds = shares / shares[-1]

    def __getitem__(self, index: int) -> Drawn:
        chance = np.random.default_rng([self.seed, index]).random()
        source = self._sources[min(int(np.searchsorted(self._bounds, chance, side="right")), len(self._sources) - 1)]
        episode = source.episodes[index]
        return Drawn(source.benchmark, episode, episode.query in source.masked, episode.supports[0][0] in source.masked)

    def names(self) -> list[tuple[Benchmark, list[str]]]:
        """The images of every source."""
        return [(source.benchmark, names_of(source.episodes.images)) for source in self._sources]

    def told(self) -> list[dict[str, Any]]:
        """Each source in words and numbers, for the card of a checkpoint; of views, whose classes are single pictures, those of the pictures."""
        return [_told(source) for source in self._sources]


def _source(section: SourceSection, benchmark: Benchmark, recipe: Recipe, place: int) -> _Source:
    fold, seed = fold_of(recipe, benchmark), recipe.seed + 1 + place
    if section.only is None:
        episodes = episodes_of(benchmark, section.part, fold, count=recipe.episodes, seed=seed, empty=section.empty)
    else:
        images = listed_only(benchmark.images(section.part, fold), Path(section.only), benchmark, f"source.{place}")
        episodes = Episodes(images, section.part, (1,), recipe.episodes, seed, empty=section.empty)
    masked = first_percent(names_of(episodes.images), section.masks)
    if section.only_masked:
        episodes = replace(episodes, images=_only(episodes.images, masked, f"source.{place}", "Raise masks, or leave out only_masked"))
    return _Source(section, fold, benchmark, episodes, masked)


def _told(source: _Source) -> dict[str, Any]:
    names, images = source.benchmark.class_names, source.episodes.images
    classes = source.benchmark.classes_in(names_of(images)) if isinstance(source.benchmark, ViewsBenchmark) else [names[number] for number in images.by_class]
    facts = {"benchmark": source.benchmark.name, "part": source.section.part, "fold": source.fold, "classes": classes}
    return facts | {"images": len(names_of(images)), "share": source.section.share, "masks": source.section.masks}


def fold_of(recipe: Recipe, benchmark: Benchmark) -> int:
    """The recipe's fold; 0 for a benchmark that has only one."""
    return recipe.fold if benchmark.folds > 1 else 0


def first_percent(names: Sequence[str], percent: float) -> Masked:
    """The first `percent` of names in their order, rounded up.

    >>> sorted(first_percent(["d", "b", "a", "c"], 30))
    ['a', 'b']
    """
    ordered = sorted(set(names))
    return frozenset(ordered[: int(np.ceil(len(ordered) * percent / 100 - 1e-9))])


def names_of(images: ImageList) -> list[str]:
    """All images of a list, sorted."""
    return sorted({name for names in images.by_class.values() for name in names})


def listed_only(images: ImageList, path: Path, benchmark: Benchmark, where: str) -> ImageList:
    """The images that a text file lists, and the classes that have two of them; InputError where there are none."""
    return _only(images, _listed(path, benchmark, names_of(images)), where, "List more images in the file of `only`")


def _listed(path: Path, benchmark: Benchmark, names: Sequence[str]) -> frozenset[str]:
    """The images of a text file, a name a line, empty lines and those that begin with # left out; of views, the views of the pictures named."""
    lines = (line.strip() for line in read_bytes(path).decode("utf-8-sig", "replace").splitlines())
    listed = frozenset(line for line in lines if line and not line.startswith("#"))
    views = isinstance(benchmark, ViewsBenchmark)
    return frozenset(name for name in names if (name.rpartition(MARK)[0] if views else name) in listed)


def _only(images: ImageList, chosen: frozenset[str], where: str, remedy: str) -> ImageList:
    """The classes that have at least two of the chosen images, and these."""
    kept = {number: [name for name in names if name in chosen] for number, names in images.by_class.items()}
    kept = {number: names for number, names in kept.items() if len(set(names)) > 1}
    if not kept:
        raise InputError("no class has two of the images asked for", where=where, remedy=remedy)
    return ImageList(kept, [(name, number) for name, number in images.queries if name in chosen and number in kept])


class EpisodeFeatures:
    """Episodes as tensors: features by the provider, masks by the benchmark."""

    def __init__(self, provider: FeatureProvider, specs: Sequence[FeatureSpec]) -> None:
        self.provider, self.specs = provider, tuple(specs)

    def __call__(self, drawn: Drawn, device: torch.device) -> TrainingEpisode:
        """The tensors of an episode on a device. InputError for a label map that has not the size of its picture."""
        (number,), ((support,),) = drawn.episode.classes, drawn.episode.supports
        query_mask = class_mask(drawn.benchmark, drawn.episode.query, number)
        support_mask = class_mask(drawn.benchmark, support, number)
        both = [[moved(item, device) for item in self.features(drawn.benchmark, name)] for name in (drawn.episode.query, support)]
        (own, *more) = zip(*both, strict=True)
        return TrainingEpisode(
            own[0],
            own[1],
            bool((query_mask == 1).any()),
            support_mask.to(device) if drawn.support_masked else None,
            query_mask.to(device) if drawn.query_masked else None,
            tuple(more),
        )

    def features(self, benchmark: Benchmark, name: str) -> list[ImageFeatures]:
        """The features of an image, by wish."""
        prepared = self.provider.prepare(benchmark.source(name), self.specs)
        return [self.provider.extract([prepared], spec)[0] for spec in self.specs]


def class_mask(benchmark: Benchmark, name: str, number: int) -> Tensor:
    """(H, W) uint8: 1 on a class, 255 where the truth is unknown, else 0."""
    labels = benchmark.labels(name)
    return torch.from_numpy(np.where(labels == number, 1, np.where(labels == VOID, VOID, 0)).astype(np.uint8))


def moved(features: ImageFeatures, device: torch.device) -> ImageFeatures:
    """The same on a device."""
    if device.type == "cpu":
        return features
    moved: dict[str, Any] = {name: tensor.to(device) for name, tensor in features.tensors().items()}
    return replace(features, **moved)
