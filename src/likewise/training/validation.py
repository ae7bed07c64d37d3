"""Scores of a method in training on episodes of classes that it does not see."""

from __future__ import annotations

import torch

from likewise.backbones.provider import FeatureProvider
from likewise.data import Prediction
from likewise.episodes.benchmark import Benchmark, Episodes, episodes_of
from likewise.episodes.items import VOID, relative_labels
from likewise.episodes.meters import FscsMeter
from likewise.episodes.sampling import Episode
from likewise.episodes.support import Labelling, support_of
from likewise.functional.calibration import PRESENT_FROM
from likewise.methods.base import Method, Query
from likewise.task.finish import finish
from likewise.task.learning import extract, learn_memory
from likewise.training.recipe import Recipe
from likewise.training.sources import fold_of


def validation_episodes(recipe: Recipe, benchmark: Benchmark) -> Episodes:
    """The episodes of a recipe's validation; InputError where the benchmark has too few images."""
    section = recipe.validation
    assert section is not None
    return episodes_of(benchmark, section.part, fold_of(recipe, benchmark), section.way, section.shot, section.episodes, section.seed)


class Validation:
    """A validation that can be repeated; `rank` of `world` processes each take their share, and all get the whole's scores."""

    def __init__(self, benchmark: Benchmark, episodes: Episodes, labelling: Labelling, provider: FeatureProvider) -> None:
        self.benchmark, self.episodes, self.labelling, self.provider = benchmark, episodes, labelling, provider

    def scores(self, method: Method, rank: int, world: int, device: torch.device) -> dict[str, float]:
        """{"exact_ratio", "miou", "miou_official"} in percent; every process must ask."""
        meter = FscsMeter(list(self.episodes.images.by_class)).to(device)  # sums its counts over processes when asked
        for index in range(rank, len(self.episodes), world):
            episode = self.episodes[index]
            answer = self._answer(method, episode)
            labels = self.benchmark.labels(episode.query)
            truth, void = relative_labels(labels, episode.classes), labels == VOID
            present = [answer.present.get(name, 1.0) >= PRESENT_FROM for name in answer.classes.names.values()]
            meter.update(
                torch.from_numpy(answer.labels.copy()),
                torch.from_numpy(truth),
                torch.from_numpy(void),
                torch.tensor(episode.classes),
                torch.tensor(present),
                torch.tensor([bool((truth == place).any()) for place in range(1, len(episode.classes) + 1)]),
            )
        return {name: float(value) for name, value in meter.compute().items()}

    def _answer(self, method: Method, episode: Episode) -> Prediction:
        """What the method says of the query of an episode."""
        support = support_of(episode, self.benchmark, self.labelling)
        settled = method.settled(support)
        kept, _ = extract(self.provider, settled, support, None, thumbnails=False)
        memory = learn_memory(settled, support, kept)
        prepared = self.provider.prepare(self.benchmark.source(episode.query), settled.wants(memory))
        features = {spec: self.provider.extract([prepared], spec) for spec in settled.wants(memory)}
        with torch.inference_mode():
            (raw,) = settled.predict([Query(prepared.size)], features, memory)
        return finish(raw, prepared.size, classes=support.classes, targets={}, image=None)
