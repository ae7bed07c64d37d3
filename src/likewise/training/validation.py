"""Scores of a method in training on episodes of classes that it does not see."""

from __future__ import annotations

from typing import Any

import torch

from likewise.backbones.provider import FeatureProvider
from likewise.episodes.answering import answered, present_in
from likewise.episodes.benchmark import Benchmark, Episodes, episodes_of
from likewise.episodes.items import VOID, relative_labels
from likewise.episodes.meters import FscsMeter
from likewise.episodes.support import Labelling
from likewise.methods.trainable import Trainable
from likewise.training.recipe import Recipe
from likewise.training.sources import fold_of


def validation_episodes(recipe: Recipe, benchmark: Benchmark) -> Episodes:
    """The episodes of a recipe's validation; InputError where the benchmark has too few images."""
    section = recipe.validation
    assert section is not None
    fold = fold_of(recipe, benchmark)
    return episodes_of(benchmark, section.part, fold, section.way, section.shot, section.episodes, section.seed, empty=section.empty)


class Validation:
    """A validation that can be repeated; `rank` of `world` processes each take their share, and all get the whole's scores."""

    columns = ("exact_ratio", "miou", "miou_official")

    def __init__(self, benchmark: Benchmark, episodes: Episodes, labelling: Labelling, provider: FeatureProvider) -> None:
        self.benchmark, self.episodes, self.labelling, self.provider = benchmark, episodes, labelling, provider

    def scores(self, trainable: Trainable[Any], rank: int, world: int, device: torch.device) -> dict[str, float]:
        """{"exact_ratio", "miou", "miou_official"} in percent, of the method as it is trained so far; every process must ask."""
        method = trainable.method()
        assert method is not None
        method = method.mounted(self.provider.backbone)
        meter = FscsMeter(list(self.episodes.images.by_class)).to(device)  # sums its counts over processes when asked
        for index in range(rank, len(self.episodes), world):
            episode = self.episodes[index]
            answer = answered(method, self.provider, self.benchmark, episode, self.labelling)
            labels = self.benchmark.labels(episode.query)
            truth, void = relative_labels(labels, episode.classes), labels == VOID
            meter.update(
                torch.from_numpy(answer.labels.copy()),
                torch.from_numpy(truth),
                torch.from_numpy(void),
                torch.tensor(episode.classes),
                torch.tensor(present_in(answer)),
                torch.tensor([bool((truth == place).any()) for place in range(1, len(episode.classes) + 1)]),
            )
        return {name: float(value) for name, value in meter.compute().items()}
