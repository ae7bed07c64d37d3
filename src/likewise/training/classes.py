"""Classes of whole pictures in training: episodes, batches or pairs drawn by their index, and accuracy on classes that are not trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise import weights
from likewise.data.geometry import squash_image
from likewise.episodes.classification.augment import altered_picture
from likewise.episodes.classification.benchmark import Asked, ClassBenchmark, ClassItems, Item, Picture
from likewise.episodes.classification.sampling import Draw, episode_at
from likewise.episodes.kept import Kept
from likewise.formats.files import read_json, validate
from likewise.methods.classifiers.episode_training import (
    ClassTrainable,
    Drawn,
    EmbeddingTraining,
    ImageBatch,
    ImageEpisode,
    ImagePairs,
    NetworkTraining,
)
from likewise.methods.classifiers.training_table import class_trainable
from likewise.methods.trainable import Trainable
from likewise.training.recipe import ClassesSection, Recipe, ValidationSection, fixed_lists

KEPT_BYTES = 2_000_000_000  # of pictures in memory
ACCURACY = "accuracy"
Compared = Callable[[Tensor, Tensor], Tensor]  # features of supports (N, K, ...) and of queries (M, ...) -> scores (M, N)


class ClassDraws:
    """All that a recipe trains on, each by its index: the same index gives the same classes and items in every run."""

    def __init__(self, recipe: Recipe, benchmark: ClassBenchmark, drawn: Drawn) -> None:
        """UsageError for episodes that the part cannot give, InputError for a part without classes."""
        assert recipe.classes is not None
        self.benchmark, self.section, self.seed, self.drawn = benchmark, recipe.classes, recipe.seed, drawn
        self.source = recipe.source[0]
        self.items = benchmark.part(self.source.part)
        if drawn == "episodes":
            self.episode_draw.check()
        self._flat = [(item, place) for place, items in enumerate(self.items.items) for item in items]

    @property
    def episode_draw(self) -> Draw:
        """What episodes are drawn from."""
        return self.items.draw(self.section.way, self.section.shot, self.section.query)

    def episode(self, index: int) -> Asked:
        """An episode."""
        return self.items.asked(episode_at(self.episode_draw, index, self.seed))

    def batch(self, index: int) -> list[tuple[Item, int]]:
        """Items with the place of their class: all of them in a new order, cut into batches, then in the next order; what is left over is left out."""
        size = min(self.section.batch, len(self._flat))
        rounds = len(self._flat) // size
        order = np.random.default_rng([self.seed, index // rounds]).permutation(len(self._flat))
        begin = index % rounds * size
        return [self._flat[place] for place in order[begin : begin + size]]

    def pairs(self, index: int) -> list[tuple[Item, Item, bool]]:
        """Pairs of two pictures of one class and of two classes in turn, their classes drawn evenly."""
        random, found = np.random.default_rng([self.seed, index]), []
        for place in range(self.section.batch):
            same = place % 2 == 0
            first, second = random.choice(len(self.items.names), 2, replace=False)
            if same:
                one, other = random.choice(len(self.items.items[first]), 2, replace=False)
                found.append((self.items.items[first][one], self.items.items[first][other], True))
            else:
                found.append((*(self.items.items[each][random.integers(len(self.items.items[each]))] for each in (first, second)), False))
        return found

    def names(self) -> list[tuple[ClassBenchmark, list[str]]]:
        """The items of the part."""
        return [(self.benchmark, [self.benchmark.digest(self.source.part)])]

    def told(self) -> list[dict[str, Any]]:
        """The source in words and numbers, for the card of a checkpoint."""
        facts = {"benchmark": self.benchmark.name, "part": self.source.part, "fold": 0, "classes": list(self.items.names)}
        return [facts | {"images": len(self._flat)}]


class Pictures:
    """Square pictures (3, s, s) of a benchmark, as a learner wishes for them, kept in memory while they fit."""

    def __init__(self, benchmark: ClassBenchmark, trainable: ClassTrainable[Any] | NetworkTraining) -> None:
        self.benchmark, self.side = benchmark, trainable.side
        (wish,) = trainable.wants()
        self._size = (wish.side, wish.side)
        self._kept = Kept[Picture](KEPT_BYTES, lambda picture: picture.nbytes)

    def __call__(self, item: Item) -> Tensor:
        """The picture, squeezed."""
        return _planes(self._kept(item, lambda: squash_image(self.benchmark.picture(item), self._size)))

    def altered(self, item: Item, random: np.random.Generator) -> Tensor:
        """An altered part (3, side, side) of the picture."""
        return _planes(altered_picture(self._kept((item, "whole"), lambda: self.benchmark.picture(item)), self.side, random))

    def episode(self, asked: Asked) -> ImageEpisode:
        """The tensors of an episode."""
        return ImageEpisode(*(torch.stack([torch.stack([self(item) for item in row]) for row in rows]) for rows in asked))


class TrainedAnswers:
    """Answers of what was trained to episodes of a benchmark; see `episodes.classification.answering.Answers`. Features are made once where they can be.

    compared: what compares features in place of the learner.
    """

    def __init__(self, trainable: ClassTrainable[Any], benchmark: ClassBenchmark, compared: Compared | None = None) -> None:
        self.trainable, self.pictures, self.compared = trainable, Pictures(benchmark, trainable), compared
        self._kept = Kept[Tensor](KEPT_BYTES, lambda features: features.nbytes)

    def __call__(self, asked: Asked) -> NDArray[np.integer]:
        """The place (N Q,) of the class that each query is said to be of."""
        own = self.trainable
        if not isinstance(own, EmbeddingTraining):
            return np.asarray(own.answers(self.pictures.episode(asked)).argmax(dim=1))
        supports = torch.stack([torch.stack([self._features(own, item) for item in row]) for row in asked.support])
        queries = torch.stack([self._features(own, item) for row in asked.query for item in row])
        return np.asarray((self.compared or own.answered)(supports, queries).argmax(dim=1))

    def _features(self, own: EmbeddingTraining, item: Item) -> Tensor:
        return self._kept(item, lambda: own.features(self.pictures(item)[None])[0])


def trained_of(folder: Path, **changes: Any) -> ClassTrainable[Any]:
    """What a run trained, with the tensors of its best validation, else its last. InputError where the folder holds no run.

    changes: settings of the method by name, in place of those of the run.
    """
    recipe = validate(Recipe, fixed_lists(read_json(folder / "recipe.json")), folder)
    best = folder / "best.safetensors"
    tensors, _ = weights.read_checkpoint(best if best.is_file() else folder / "last.safetensors")
    head = next((len(tensors[name]) for name in ("classifier.weight", "classifier.L.weight_v") if name in tensors), 1)
    return class_trainable(recipe.method.name, recipe.method.settings | changes, head, seed=recipe.seed, start=tensors)


class ClassFeed:
    """What is drawn, as tensors on a device."""

    def __init__(self, draws: ClassDraws, pictures: Pictures) -> None:
        self.draws, self.pictures = draws, pictures

    def __call__(self, index: int, device: torch.device) -> ImageEpisode | ImageBatch | ImagePairs:
        """The episode, batch or pairs of an index."""
        random = np.random.default_rng([self.draws.seed, index, 1])

        def shown(items: Sequence[Item]) -> Tensor:
            return torch.stack([self.pictures.altered(item, random) if self.draws.section.altered else self.pictures(item) for item in items]).to(device)

        if self.draws.drawn == "episodes":
            support, query = ([shown(row) for row in rows] for rows in self.draws.episode(index))
            return ImageEpisode(torch.stack(support), torch.stack(query))
        if self.draws.drawn == "batches":
            batch = self.draws.batch(index)
            return ImageBatch(shown([item for item, _ in batch]), torch.tensor([place for _, place in batch], device=device))
        pairs = self.draws.pairs(index)
        first, second = shown([one for one, _, _ in pairs]), shown([other for _, other, _ in pairs])
        return ImagePairs(first, second, torch.tensor([float(same) for _, _, same in pairs], device=device))


class ClassValidation:
    """Accuracy on episodes of classes that are not trained; see `validation.Validation`."""

    columns = (ACCURACY,)

    def __init__(self, section: ValidationSection, classes: ClassesSection, pictures: Pictures) -> None:
        """UsageError for episodes that the part cannot give, InputError for a part without classes."""
        self.pictures, self.count, self.seed = pictures, section.episodes, section.seed
        self.items: ClassItems = pictures.benchmark.part(section.part)
        self.draw = self.items.draw(section.way, section.shot, classes.validation_query)
        self.draw.check()

    def scores(self, trainable: Trainable[Any], rank: int, world: int, device: torch.device) -> dict[str, float]:
        """The mean accuracy in percent over this process's share of the episodes."""
        assert isinstance(trainable, ClassTrainable)
        right = []
        for index in range(rank, self.count, world):
            episode = self.pictures.episode(self.items.asked(episode_at(self.draw, index, self.seed)))
            episode = ImageEpisode(episode.support.to(device), episode.query.to(device))
            right.append((trainable.answers(episode).argmax(dim=1) == episode.labels).float().mean())
        return {ACCURACY: 100 * float(torch.stack(right).mean())}


class Opened(NamedTuple):
    """What `opened_classes` makes."""

    draws: ClassDraws
    feed: ClassFeed
    validation: ClassValidation | None


def opened_classes(recipe: Recipe, benchmarks: dict[str, ClassBenchmark], trainable: ClassTrainable[Any]) -> Opened:
    """Draws, tensors and validation of a recipe of classes."""
    assert recipe.classes is not None
    draws = ClassDraws(recipe, benchmarks[recipe.source[0].data], trainable.drawn)
    feed = ClassFeed(draws, Pictures(draws.benchmark, trainable))
    section = recipe.validation
    if section is None:
        return Opened(draws, feed, None)
    return Opened(draws, feed, ClassValidation(section, recipe.classes, Pictures(benchmarks[section.data], trainable)))


def _planes(picture: Picture) -> Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1).copy())
