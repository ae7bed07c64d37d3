"""Hallucinated examples beside the real ones of a support, by what was trained on base classes: analogies of features, and images of a DAGAN.

analogies_of      a regressor on the clusters of base classes, trained within minutes, and kept below bench/
analogy_compared  a comparison of features of a support with such examples
FeatureAnswers    answers by any features of pictures, and of images made of them, and any comparison
DaganFeatures     features of a drawing and of further ones by a DAGAN
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from adapting import Labels
from common import BENCH
from likewise.episodes.classification.benchmark import Asked, ClassBenchmark, ClassItems, Item
from likewise.episodes.kept import Kept
from likewise.methods.classifiers.analogies import RegressorTraining, clusters_of_classes, regressor_steps
from likewise.methods.classifiers.analogies_model import AnalogyRegressor, generated_examples, mined_analogies
from likewise.methods.classifiers.dagan import further_images
from likewise.methods.classifiers.dagan_model import DaganGenerator
from likewise.methods.classifiers.episode_training import EmbeddingTraining, support_labels
from likewise.methods.classifiers.training_table import class_trainable
from likewise.training.classes import KEPT_BYTES, Compared, Pictures
from likewise.weights import read_checkpoint, write_checkpoint

DAGAN, ANALOGIES = BENCH / "dagan" / "generator.safetensors", BENCH / "analogies"
CLUSTERS = 5  # of a class of twenty pictures; published: 100 of a class of ImageNet


class Analogous(NamedTuple):
    """A regressor and the clusters (C, K, D) that it was trained on, of features divided by `scale`, a scalar."""

    regressor: AnalogyRegressor
    centres: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Told:
    """How a regressor came out: the analogies that were found, and the loss of its first and last hundred steps."""

    rows: int
    first: float
    last: float


def class_features(learner: EmbeddingTraining, benchmark: ClassBenchmark, items: ClassItems) -> list[Tensor]:
    """The features (M, D) of the pictures of each class."""
    pictures = Pictures(benchmark, learner)
    return [learner.features(torch.stack([pictures(item) for item in row])) for row in items.items]


def analogies_of(classifier: Tensor, classes: Sequence[Tensor], training: RegressorTraining, seed: int = 0) -> tuple[Analogous, Told]:
    """A regressor trained on the clusters of base classes, whose features (M, D) are given with the weights (C, D) of their classifier.

    Features are divided by the root of their mean square, since the published rate is for features of about 1; the classifier says the same of them.
    """
    generator, scale = np.random.RandomState(seed), torch.cat(list(classes)).square().mean().sqrt()
    centres = clusters_of_classes([(features / scale).double().numpy() for features in classes], CLUSTERS, generator)
    rows = mined_analogies(centres).rows
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        regressor = AnalogyRegressor(centres.shape[2])
    losses = [float(loss.total) for loss in regressor_steps(regressor, classifier * scale, centres, rows, training, generator)]
    return Analogous(regressor.eval(), centres, scale), Told(len(rows), float(np.mean(losses[:100])), float(np.mean(losses[-100:])))


def save_analogies(found: Analogous, path: Path) -> None:
    """Keep a regressor with its clusters."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint({"centres": found.centres, "scale": found.scale, **found.regressor.state_dict()}, path)


def read_analogies(path: Path) -> Analogous:
    """A regressor as it was kept."""
    tensors = dict(read_checkpoint(path)[0])
    centres, scale = tensors.pop("centres"), tensors.pop("scale")
    regressor = AnalogyRegressor(centres.shape[2])
    regressor.load_state_dict(tensors)
    return Analogous(regressor.eval(), centres, scale)


def analogy_compared(found: Analogous, compared: Compared, more: int) -> Compared:
    """A comparison of a support with so many hallucinated examples a class; always by the same draws."""

    def compare(supports: Tensor, queries: Tensor) -> Tensor:
        n_way, n_shot, _ = supports.shape
        labels, generator = support_labels(supports), np.random.RandomState(0)
        features, classes = generated_examples(found.regressor, supports.flatten(0, 1) / found.scale, labels, found.centres, generator, per_class=n_shot + more)
        return compared(found.scale * torch.stack([features[classes == place] for place in range(n_way)]), queries)

    return compare


class FeatureAnswers:
    """Answers by features of pictures, made once.

    features: those of a picture (1 + G, D), its own and, of a support, further ones; compared: what compares them.
    """

    def __init__(self, features: Callable[[Item], Tensor], compared: Compared) -> None:
        self._make, self.compared = features, compared
        self._kept = Kept[Tensor](KEPT_BYTES, lambda features: features.nbytes)

    def __call__(self, asked: Asked) -> Labels:
        """See `Answers`."""
        supports = torch.stack([torch.cat([self._features(item) for item in row]) for row in asked.support])
        queries = torch.stack([self._features(item)[0] for row in asked.query for item in row])
        return np.asarray(self.compared(supports, queries).argmax(dim=1))

    def _features(self, item: Item) -> Tensor:
        return self._kept(item, lambda: self._make(item))


class DaganFeatures:
    """Features (1 + more, D) of a drawing and of further ones that a DAGAN makes of it, always by the same noise."""

    def __init__(self, learner: EmbeddingTraining | None, benchmark: ClassBenchmark, network: DaganGenerator, more: int) -> None:
        """learner: whose features, None for the pixels themselves, of length 1."""
        self.learner, self.network, self.more, self.reader = learner, network, more, ink_reader()
        self.pictures = Pictures(benchmark, self.reader)

    def __call__(self, item: Item) -> Tensor:
        """The features of a picture."""
        ink = self.reader.numbers(self.pictures(item)[None])[:, :1]
        if self.more:
            ink = torch.cat([ink, further_ink(self.network, ink, self.more)[0]])
        if self.learner is None:
            return torch.nn.functional.normalize(ink.flatten(1), dim=1)
        self.learner.network.eval()
        with torch.no_grad():
            return self.learner.embedded(ink.expand(-1, 3, -1, -1))


def ink_reader() -> EmbeddingTraining:
    """A learner that nothing was trained of, which reads characters as the recipes do."""
    found = class_trainable("prototypical", {"encoder": "conv4s", "side": 28, "pixels": "ink"}, 1)
    assert isinstance(found, EmbeddingTraining)
    return found


def further_ink(network: DaganGenerator, ink: Tensor, count: int, seed: int = 0) -> Tensor:
    """Images (S, count, 1, H, H) made of drawings (S, 1, H, H), ink 1 and paper 0."""
    return (further_images(network, 2 * ink - 1, count, torch.Generator().manual_seed(seed)) + 1) / 2


def nearest_compared(supports: Tensor, queries: Tensor) -> Tensor:
    """The largest product (M, N) with an example of each class: supports (N, K, D), queries (M, D)."""
    return torch.einsum("nkd,md->mnk", supports, queries).amax(dim=2)
