"""Classes by their vectors in training: features of all pictures are made once, batches or episodes are drawn of them by their index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from likewise import weights
from likewise.backbones import FeatureProvider, FeatureSpec
from likewise.episodes.classification.benchmark import ClassBenchmark, ClassItems, Item
from likewise.episodes.classification.sampling import episode_at
from likewise.errors import InputError
from likewise.formats.class_vectors import read_class_vectors
from likewise.methods.classifiers.reading import backbone_wish, whole_vectors
from likewise.methods.classifiers.zero_shot_training import VectorBatch, ZeroShotTraining, zero_shot_trainable
from likewise.methods.trainable import Trainable
from likewise.training.classes import ACCURACY, ClassDraws
from likewise.training.recipe import Recipe


class PartFeatures(NamedTuple):
    """Pictures of the classes of a part: features (M, F), the place (M,) of the class of each, and the vectors (N, A) of the classes."""

    features: Tensor
    labels: Tensor
    vectors: Tensor
    places: dict[Item, int]  # the row of each picture


def part_features(benchmark: ClassBenchmark, items: ClassItems, vectors: Path, provider: FeatureProvider, spec: FeatureSpec) -> PartFeatures:
    """Features of all pictures of a part. InputError for classes without a vector."""
    known = read_class_vectors(vectors)
    missing = [name for name in items.names if name not in known]
    if missing:
        raise InputError(f"there is no vector of {', '.join(missing[:5])}", where=str(vectors), remedy="Write a line for each class of the benchmark")
    pictures = [item for row in items.items for item in row]
    rows = [whole_vectors(provider.extract([provider.prepare(benchmark.picture(item), (spec,))], spec)) for item in pictures]
    labels = torch.tensor([place for place, row in enumerate(items.items) for _ in row])
    named = torch.stack([torch.from_numpy(known[name]) for name in items.names])
    return PartFeatures(torch.cat(rows), labels, named, {item: row for row, item in enumerate(pictures)})


class VectorFeed:
    """What is drawn, as tensors on a device: a batch with the classes that it shows, or the queries of an episode with its classes."""

    def __init__(self, draws: ClassDraws, part: PartFeatures) -> None:
        self.draws, self.part = draws, part

    def __call__(self, index: int, device: torch.device) -> VectorBatch:
        """The batch or episode of an index."""
        if self.draws.drawn == "episodes":
            drawn = episode_at(self.draws.episode_draw, index, self.draws.seed)
            queries = self.draws.items.asked(drawn).query
            return self._of([item for row in queries for item in row], list(drawn.classes), device)
        batch = self.draws.batch(index)
        return self._of([item for item, _ in batch], list(dict.fromkeys(place for _, place in batch)), device)

    def _of(self, items: Sequence[Item], classes: list[int], device: torch.device) -> VectorBatch:
        rows = torch.tensor([self.part.places[item] for item in items])
        labels = torch.tensor([classes.index(int(self.part.labels[row])) for row in rows])
        return VectorBatch(self.part.features[rows].to(device), labels.to(device), self.part.vectors[classes].to(device))


class VectorValidation:
    """Accuracy of all pictures of classes that are not trained among these, the mean over classes; see `validation.Validation`."""

    columns = (ACCURACY,)

    def __init__(self, part: PartFeatures) -> None:
        self.part = part

    def scores(self, trainable: Trainable[Any], rank: int, world: int, device: torch.device) -> dict[str, float]:
        """The mean over classes of the share of their pictures that are right, in percent."""
        del rank, world  # one process
        assert isinstance(trainable, ZeroShotTraining)
        with torch.no_grad():
            said = trainable.scores(self.part.features.to(device), self.part.vectors.to(device)).argmax(dim=1).cpu()
        return {ACCURACY: mean_by_class(said, self.part.labels)}


def mean_by_class(said: Tensor, labels: Tensor) -> float:
    """The share of pictures whose class (M,) is said (M,), in percent: the mean over the classes that have some.

    >>> mean_by_class(torch.tensor([0, 0, 1, 0]), torch.tensor([0, 0, 1, 1]))
    75.0
    """
    shown = torch.bincount(labels)
    right = torch.bincount(labels, weights=(said == labels).double())
    return 100 * float((right[shown > 0] / shown[shown > 0]).mean())


class OpenedVectors(NamedTuple):
    """What `opened_vectors` makes."""

    trainable: ZeroShotTraining
    draws: ClassDraws
    feed: VectorFeed
    validation: VectorValidation | None


def opened_vectors(recipe: Recipe, benchmarks: dict[str, ClassBenchmark], provider: FeatureProvider) -> OpenedVectors:
    """The network, its draws, tensors and validation of a recipe with class vectors."""
    assert recipe.classes is not None
    assert recipe.classes.vectors is not None
    table, source, section = Path(recipe.classes.vectors), recipe.source[0], recipe.validation
    spec = backbone_wish(int(recipe.method.settings.get("side", 0)))

    def part(data: str, name: Any) -> PartFeatures:
        return part_features(benchmarks[data], benchmarks[data].part(name), table, provider, spec)

    trained = part(source.data, source.part)
    start = None if recipe.method.start is None else weights.read_checkpoint(Path(recipe.method.start))[0]
    centre, attributes = trained.features.mean(dim=0), trained.vectors.shape[1]
    trainable = zero_shot_trainable(recipe.method.name, recipe.method.settings, centre, attributes, seed=recipe.seed, start=start)
    draws = ClassDraws(recipe, benchmarks[source.data], trainable.drawn)
    validation = None if section is None else VectorValidation(part(section.data, section.part))
    return OpenedVectors(trainable, draws, VectorFeed(draws, trained), validation)
