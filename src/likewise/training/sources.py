"""Where training episodes come from: benchmarks drawn by share, images by name, features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.provider import FeatureProvider
from likewise.episodes.benchmark import Benchmark, Episodes, episodes_of
from likewise.episodes.items import VOID
from likewise.episodes.lists import ImageList
from likewise.episodes.sampling import Episode
from likewise.errors import InputError
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
    share: float
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
        shares = np.cumsum([source.share for source in self._sources])
        self._bounds = shares / shares[-1]

    def __getitem__(self, index: int) -> Drawn:
        chance = np.random.default_rng([self.seed, index]).random()
        source = self._sources[min(int(np.searchsorted(self._bounds, chance, side="right")), len(self._sources) - 1)]
        episode = source.episodes[index]
        return Drawn(source.benchmark, episode, episode.query in source.masked, episode.supports[0][0] in source.masked)

    def names(self) -> list[tuple[Benchmark, list[str]]]:
        """The images of every source."""
        return [(source.benchmark, _names(source.episodes.images)) for source in self._sources]


def _source(section: SourceSection, benchmark: Benchmark, recipe: Recipe, place: int) -> _Source:
    episodes = episodes_of(benchmark, section.part, fold_of(recipe, benchmark), count=recipe.episodes, seed=recipe.seed + 1 + place)
    masked = first_percent(_names(episodes.images), section.masks)
    if section.only_masked:
        where = f"source.{place}"
        episodes = replace(episodes, images=_only(episodes.images, masked, where))
    return _Source(section.share, benchmark, episodes, masked)


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


def _names(images: ImageList) -> list[str]:
    return sorted({name for names in images.by_class.values() for name in names})


def _only(images: ImageList, masked: Masked, where: str) -> ImageList:
    """The classes that have at least two of the masked images, and these."""
    kept = {number: [name for name in names if name in masked] for number, names in images.by_class.items()}
    kept = {number: names for number, names in kept.items() if len(set(names)) > 1}
    if not kept:
        raise InputError("no class has two images with masks", where=where, remedy="Raise masks, or leave out only_masked")
    return ImageList(kept, [(name, number) for name, number in images.queries if name in masked and number in kept])


class EpisodeFeatures:
    """Episodes as tensors: features by the provider, masks by the benchmark."""

    def __init__(self, provider: FeatureProvider, spec: FeatureSpec) -> None:
        self.provider, self.spec = provider, spec

    def __call__(self, drawn: Drawn, device: torch.device) -> TrainingEpisode:
        """The tensors of an episode on a device. InputError for a label map that has not the size of its picture."""
        (number,), ((support,),) = drawn.episode.classes, drawn.episode.supports
        query_mask = class_mask(drawn.benchmark, drawn.episode.query, number)
        support_mask = class_mask(drawn.benchmark, support, number)
        return TrainingEpisode(
            _moved(self.features(drawn.benchmark, drawn.episode.query), device),
            _moved(self.features(drawn.benchmark, support), device),
            bool((query_mask == 1).any()),
            support_mask.to(device) if drawn.support_masked else None,
            query_mask.to(device) if drawn.query_masked else None,
        )

    def features(self, benchmark: Benchmark, name: str) -> ImageFeatures:
        """The features of an image."""
        prepared = self.provider.prepare(benchmark.source(name), [self.spec])
        return self.provider.extract([prepared], self.spec)[0]


def class_mask(benchmark: Benchmark, name: str, number: int) -> Tensor:
    """(H, W) uint8: 1 on a class, 255 where the truth is unknown, else 0."""
    labels = benchmark.labels(name)
    return torch.from_numpy(np.where(labels == number, 1, np.where(labels == VOID, VOID, 0)).astype(np.uint8))


def _moved(features: ImageFeatures, device: torch.device) -> ImageFeatures:
    if device.type == "cpu":
        return features
    names = ("tokens", "prefix", "q", "k", "pixels", "prefix_qk")
    return replace(features, **{name: tensor.to(device) for name in names if (tensor := getattr(features, name)) is not None})


def feature_bytes(provider: FeatureProvider, spec: FeatureSpec) -> int:
    """How many bytes the cached features of one squashed image have."""
    config = provider.backbone.config
    tokens = config.prefix + max(1, spec.side // config.patch) ** 2
    layers = len(spec.layers) or config.depth
    return 2 * tokens * config.width * (layers + 2 * spec.qk)
