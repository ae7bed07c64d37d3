"""What answers episodes of classes: a method that learns from the support, and baselines without any network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.backbones import FeatureProvider, FeatureSpec, ImageFeatures
from likewise.data import ClassTable, LabelKind, OutputKind, Support
from likewise.data.resolve import Labels
from likewise.data.support import LabelledImage
from likewise.episodes.classification.benchmark import Asked, ClassBenchmark, Item
from likewise.episodes.classification.drawings import closer_look_crop
from likewise.episodes.kept import Kept
from likewise.errors import UsageError
from likewise.functional.hausdorff import ink_points, modified_hausdorff
from likewise.methods.base import Method, Query
from likewise.methods.registry import available, method_class
from likewise.task.learning import learn_memory

KEPT_BYTES = 2_000_000_000  # of features in memory
BRIGHT = 128  # paper from here on


class Answers(Protocol):
    """Answers to episodes; each by itself, whatever was asked before."""

    def __call__(self, asked: Asked) -> NDArray[np.integer]:
        """The place (N Q,) of the class that each query is said to be of, queries class by class."""
        ...


class _Seen(NamedTuple):
    """What is kept of a picture."""

    digest: str
    size: tuple[int, int]
    features: dict[FeatureSpec, ImageFeatures]


class MethodAnswers:
    """A method's answers: it learns from the support of each episode alone; features of a picture are made once."""

    def __init__(self, method: Method, provider: FeatureProvider, benchmark: ClassBenchmark) -> None:
        """UsageError as `check_classes`."""
        check_classes(method)
        self.method, self.provider, self.benchmark = method, provider, benchmark
        self._kept = Kept[_Seen](KEPT_BYTES, lambda seen: sum(each.tokens.nbytes + each.prefix.nbytes for each in seen.features.values()))

    def __call__(self, asked: Asked) -> NDArray[np.integer]:
        """See `Answers`."""
        seen = [(self._seen(item), way) for way, items in enumerate(asked.support) for item in items]
        examples = [LabelledImage(f"{way}-{place}", each.digest, Labels(each.size, label=way + 1)) for place, (each, way) in enumerate(seen)]
        support = Support.of(examples, ClassTable({way + 1: f"class {way + 1}" for way in range(len(asked.support))}), {})
        method = self.method.settled(support)
        memory = learn_memory(method, support, [each.features for each, _ in seen])
        queries = [self._seen(item) for items in asked.query for item in items]
        features = {spec: [query.features[spec] for query in queries] for spec in method.wants(memory)}
        with torch.inference_mode():
            found = method.predict([Query(query.size) for query in queries], features, memory)
        return np.array([int(raw.probabilities.argmax()) for raw in found if raw.probabilities is not None])

    def _seen(self, item: Item) -> _Seen:
        return self._kept(item, lambda: self._look(item))

    def _look(self, item: Item) -> _Seen:
        wishes = self.method.wants()
        prepared = self.provider.prepare(self.benchmark.picture(item), wishes)
        return _Seen(prepared.digest, prepared.size, {spec: self.provider.extract([prepared], spec)[0] for spec in wishes})


def check_classes(method: Method) -> None:
    """UsageError for a method that gives no classes of whole pictures, or learns them from something else than pictures."""
    if OutputKind.CLASS not in method.gives:
        raise UsageError(f"the method {method.name!r} gives no class for a whole picture", where="method", remedy=f"Use one of {', '.join(class_methods())}")
    if LabelKind.CLASS not in method.takes:
        raise UsageError(
            f"the method {method.name!r} learns from no pictures, which episodes are of", where="method", remedy="Measure it by `likewise label --truth`"
        )


def class_methods() -> list[str]:
    """The methods that give a class for a whole picture and need no checkpoint."""
    return [name for name in available() if OutputKind.CLASS in (found := method_class(name)).gives and not found.trained]


class PixelAnswers:
    """The class of the support whose pixels have the largest cosine with those of the query, of squares of `side`."""

    def __init__(self, benchmark: ClassBenchmark, side: int) -> None:
        self.benchmark, self.side = benchmark, side
        self._kept = Kept[NDArray[np.float32]](KEPT_BYTES, lambda row: row.nbytes)

    def __call__(self, asked: Asked) -> NDArray[np.integer]:
        """See `Answers`."""
        support, query = (np.stack([self._row(item) for items in rows for item in items]) for rows in asked)
        return _classes(asked)[(query @ support.T).argmax(axis=1)]

    def _row(self, item: Item) -> NDArray[np.float32]:
        return self._kept(item, lambda: self._unit(item))

    def _unit(self, item: Item) -> NDArray[np.float32]:
        row = 255 - closer_look_crop(self.benchmark.picture(item), self.side).astype(np.float32).ravel()
        return np.asarray(row / max(float(np.linalg.norm(row)), 1e-6), np.float32)


class HausdorffAnswers:
    """The class of the support whose ink is nearest by the modified Hausdorff distance (Lake et al. 2015); for drawings."""

    def __init__(self, benchmark: ClassBenchmark) -> None:
        self.benchmark = benchmark
        self._kept = Kept[NDArray[np.float64]](KEPT_BYTES, lambda points: points.nbytes)

    def __call__(self, asked: Asked) -> NDArray[np.integer]:
        """See `Answers`."""
        support, query = ([self._points(item) for items in rows for item in items] for rows in asked)
        return _classes(asked)[modified_hausdorff(query, support).argmin(axis=1)]

    def _points(self, item: Item) -> NDArray[np.float64]:
        return self._kept(item, lambda: ink_points(self.benchmark.picture(item)[..., 0] < BRIGHT))


def _classes(asked: Asked) -> NDArray[np.integer]:
    """The place of the class of each support."""
    return np.repeat(np.arange(len(asked.support)), _lengths(asked.support))


def _lengths(rows: Sequence[Sequence[Item]]) -> list[int]:
    return [len(row) for row in rows]
