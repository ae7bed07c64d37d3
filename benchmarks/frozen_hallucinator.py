"""A hallucinator before prototypes of features of the frozen backbone (Wang et al. 2018), trained on photographs within minutes and kept below bench/."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from common import BENCH
from experiments import CALTECH, opened
from likewise.episodes.classification.benchmark import ClassBenchmark, Item
from likewise.methods.classifiers.hallucinator import HallucinatorTraining, episode_steps, prototypical
from likewise.methods.classifiers.hallucinator_model import Hallucinator, drawn_seeds, enlarged_support
from likewise.methods.classifiers.reading import backbone_wish, whole_vectors
from likewise.task.equipping import equip
from likewise.task.learning import Place, open_provider
from likewise.training.classes import Compared
from likewise.weights import read_checkpoint, write_checkpoint

KEPT = BENCH / "hallucinator" / "frozen.safetensors"
SCALE = 5.0  # of vectors of length 1 or 2, so that squared distances of prototypes say something


class FrozenFeatures:
    """Features (1, 2 D) of the frozen backbone, not negative: what of each number is above zero, and what is below, times `SCALE`."""

    def __init__(self, benchmark: ClassBenchmark) -> None:
        self.benchmark, self.wish = benchmark, backbone_wish(0)
        ready = equip("prototypical", "default", {}, None, "auto")
        self.provider = open_provider(ready.backbone, Place(), ready.method)

    def __call__(self, item: Item) -> Tensor:
        """The features of a picture."""
        prepared = self.provider.prepare(self.benchmark.picture(item), (self.wish,))
        return unsigned(SCALE * whole_vectors(self.provider.extract([prepared], self.wish)))


def unsigned(vectors: Tensor) -> Tensor:
    """Vectors (M, D) as (M, 2 D) without negative numbers: their positive parts, then those of their opposites."""
    return torch.cat([vectors.relu(), (-vectors).relu()], dim=1)


def trained_hallucinator(classes: Sequence[Tensor], training: HallucinatorTraining, seed: int = 0) -> Hallucinator:
    """A hallucinator trained with prototypes on features (M, D) of base classes."""
    width = classes[0].shape[1]
    hallucinator, generator = Hallucinator(width, width), torch.Generator().manual_seed(seed)
    for _ in episode_steps(hallucinator, prototypical, classes, training, generator):
        pass
    return hallucinator.eval()


@cache
def kept_hallucinator() -> Hallucinator:
    """The hallucinator on photographs, trained where it is not kept yet."""
    if not KEPT.is_file():
        benchmark = opened(CALTECH)
        features = FrozenFeatures(benchmark)
        classes = [torch.cat([features(item) for item in row]) for row in benchmark.part("train").items]
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(trained_hallucinator(classes, HallucinatorTraining()).state_dict(), KEPT)
    tensors = read_checkpoint(KEPT)[0]
    found = Hallucinator(len(tensors["fc3.weight"]), len(tensors["fc1.weight"]))
    found.load_state_dict(dict(tensors))
    return found.eval()


def hallucinator_compared(hallucinator: Hallucinator, compared: Compared, more: int, *, silent: bool = False) -> Compared:
    """A comparison of a support with so many hallucinated examples a class; always by the same draws. silent: with noise of zeros, so without variety."""

    def compare(supports: Tensor, queries: Tensor) -> Tensor:
        seeds, noise = drawn_seeds(supports, more, torch.Generator().manual_seed(0))
        with torch.no_grad():
            return compared(enlarged_support(hallucinator, supports, seeds, torch.zeros_like(noise) if silent else noise), queries)

    return compare
