"""Dense episodes in training: drawn by share from the sources of a recipe, as tensors, and scores on targets that are not trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from likewise.backbones.features import ImageFeatures
from likewise.episodes.benchmark import Benchmark
from likewise.episodes.dense import FIELD, KEPT, MASK, DenseEpisode, DenseEpisodes, DenseTarget, TargetMaps, dense_maps
from likewise.episodes.kept import Kept
from likewise.errors import UsageError
from likewise.functional.label_augmentation import Mixed
from likewise.functional.mask_targets import MASK_TARGETS
from likewise.functional.token_fields import token_field
from likewise.methods.trainable import DenseTrainable, DenseTrainingEpisode, Trainable
from likewise.training.recipe import DenseSection, Recipe, SourceSection, ValidationSection
from likewise.training.sources import EpisodeFeatures, fold_of, listed_only, moved, names_of

SKILL = "skill"


@dataclass(frozen=True)
class DenseDrawn:
    """A dense episode by name, and of which benchmark it is."""

    benchmark: Benchmark
    episode: DenseEpisode


class DenseDraws:
    """All dense training episodes of a recipe, each by its index: the same index gives the same episode in every run and process."""

    def __init__(self, recipe: Recipe, benchmarks: Mapping[str, Benchmark]) -> None:
        """Raises UsageError for unknown targets, InputError for sources with too few pictures."""
        assert recipe.dense is not None
        self.seed, self._sources = recipe.seed, []
        for place, section in enumerate(recipe.source):
            benchmark = benchmarks[section.data]
            self._sources.append((section, benchmark, _episodes(section, benchmark, recipe, recipe.dense, place)))
        shares = np.cumsum([section.share for section, _, _ in self._sources])
        self._bounds = shares / shares[-1]

    def __getitem__(self, index: int) -> DenseDrawn:
        chance = np.random.default_rng([self.seed, index]).random()
        _, benchmark, episodes = self._sources[min(int(np.searchsorted(self._bounds, chance, side="right")), len(self._sources) - 1)]
        return DenseDrawn(benchmark, episodes[index])

    def names(self) -> list[tuple[Benchmark, list[str]]]:
        """The images of every source."""
        return [(benchmark, names_of(episodes.images)) for _, benchmark, episodes in self._sources]

    def told(self) -> list[dict[str, Any]]:
        """Each source in words and numbers, for the card of a checkpoint."""
        return [
            {
                "benchmark": benchmark.name,
                "part": section.part,
                "classes": [benchmark.class_names[number] for number in episodes.images.by_class if number in benchmark.class_names],
                "images": len(names_of(episodes.images)),
                "share": section.share,
                "targets": list(episodes.families),
            }
            for section, benchmark, episodes in self._sources
        ]


def _episodes(section: SourceSection, benchmark: Benchmark, recipe: Recipe, dense: DenseSection, place: int) -> DenseEpisodes:
    images = benchmark.images(section.part, fold_of(recipe, benchmark))
    if section.only is not None:
        images = listed_only(images, Path(section.only), benchmark, f"source.{place}")
    families = tuple(name for name in dense.targets if name not in MASK_TARGETS or benchmark.class_names)  # pictures without labels have no masks
    if not families:
        raise UsageError("its pictures have no labels", where=f"source.{place}", remedy="Name a target that is made from pictures in dense.targets")
    return DenseEpisodes(
        images=images,
        families=families,
        shot=dense.shot,
        query=dense.query,
        channels=dense.channels,
        length=recipe.episodes,
        seed=recipe.seed + 1 + place,
        altered=dense.altered,
        mixed=dense.mixed,
    )


class DenseFeatures:
    """Dense episodes as tensors, at the side of the first wish: features by the provider, maps from pictures, masks and tokens.

    Both are kept in memory while they fit, so that a step costs the small network alone.
    """

    def __init__(self, features: EpisodeFeatures, limit: int = KEPT) -> None:
        """limit: bytes of features, and of maps."""
        self._features, self._side = features, features.specs[0].side
        self._maps = TargetMaps(self._side, limit)
        self._kept = Kept[ImageFeatures](limit, lambda item: item.tokens.nbytes)

    def __call__(self, drawn: DenseDrawn, device: torch.device) -> DenseTrainingEpisode:
        """The tensors of an episode on a device."""
        episode = drawn.episode
        items = [self._of(drawn.benchmark, name) for name in episode.names]

        def made(target: DenseTarget, names: Sequence[str]) -> Mixed:
            if target.family != FIELD:
                return self._maps(drawn.benchmark, target, names)
            field = token_field(torch.stack([item.tokens for item in items], dim=1), items[0].grid, self._side, target.number)
            return Mixed(field, torch.ones_like(field))

        values, known = (plane.to(device) for plane in dense_maps(episode, made))
        pictures = [moved(item, device) for item in items]
        shot = len(episode.support)
        return DenseTrainingEpisode(
            tuple(pictures[:shot]),
            tuple(pictures[shot:]),
            values[:, :shot],
            known[:, :shot],
            values[:, shot:],
            known[:, shot:],
            tuple(channel.chance for channel in episode.channels),
        )

    def _of(self, benchmark: Benchmark, name: str) -> ImageFeatures:
        return self._kept((id(benchmark), name), lambda: self._features.features(benchmark, name)[0])


class SkillMeter(Metric):  # type: ignore[misc]
    """How much of the error of the support's mean value is gone, in percent: 0 for that mean, 100 for the truth, below 0 for worse.

    For each family of targets, by absolute errors summed over all its episodes; "skill" is the mean over families.
    """

    full_state_update = False

    def __init__(self, families: tuple[str, ...]) -> None:
        super().__init__()
        self.families = families
        self.add_state("errors", torch.zeros(2, len(families), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, family: str, found: Tensor, episode: DenseTrainingEpisode) -> None:
        """Count an episode of one channel: found (1, Q, H, W)."""
        mean = episode.support_values.sum() / episode.support_known.sum().clamp_min(1)
        for row, answer in enumerate((found, mean)):
            self.errors[row, self.families.index(family)] += ((answer - episode.query_values).abs() * episode.query_known).sum().double()

    def compute(self) -> dict[str, float]:
        """{"skill", and each family}."""
        own, base = self.errors
        skill = (100 * (1 - own / base.clamp_min(1e-9))).tolist()
        return {SKILL: sum(skill) / len(skill), **dict(zip(self.families, skill, strict=True))}


class DenseValidation:
    """A validation on families of targets that are not trained, unaltered; see `validation.Validation`."""

    def __init__(self, recipe: Recipe, section: ValidationSection, benchmark: Benchmark, features: DenseFeatures) -> None:
        """Raises UsageError for targets that are trained or unknown, InputError for too few pictures."""
        assert recipe.dense is not None
        both = sorted({*section.targets} & {*recipe.dense.targets})
        if both and both != [MASK]:  # of masks the classes are others
            raise UsageError(f"{', '.join(both)}: trained and validated", where="validation.targets", remedy="Hold families out")
        self.columns = (SKILL, *section.targets)
        self.benchmark, self.features, self.images = benchmark, features, benchmark.images(section.part, fold_of(recipe, benchmark))
        self._episodes = [
            DenseEpisodes(
                images=self.images,
                families=(family,),
                shot=section.shot,
                query=recipe.dense.query,
                length=section.episodes,
                seed=section.seed + place,
                altered=False,
                mixed=0,
            )
            for place, family in enumerate(section.targets)
        ]

    def scores(self, trainable: Trainable[Any], rank: int, world: int, device: torch.device) -> dict[str, float]:
        """`SkillMeter`'s, each family in its turn; `rank` of `world` processes take their share, and every process must ask."""
        assert isinstance(trainable, DenseTrainable)
        meter = SkillMeter(self.columns[1:]).to(device)
        total = len(self._episodes[0])
        for index in range(rank, total, world):
            place = index % len(self._episodes)
            episode = self.features(DenseDrawn(self.benchmark, self._episodes[place][index]), device)
            meter.update(self.columns[1 + place], trainable.answers(episode), episode)
        return {name: float(value) for name, value in meter.compute().items()}
