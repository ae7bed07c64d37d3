"""What an image of a benchmark shows of an episode's classes: a label map, and objects one by one where the data tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from likewise.episodes.benchmark import Benchmark
from likewise.episodes.items import VOID, relative_labels
from likewise.episodes.prompted.annotations import Annotation
from likewise.episodes.prompting import parts_of


@runtime_checkable
class Annotating(Protocol):
    """A benchmark that knows its objects one by one, which may overlap: what covers a pixel depends on the classes that are asked for."""

    def labels_among(self, name: str, classes: Sequence[int]) -> NDArray[np.uint8]:
        """The label map (H, W) of an image: place + 1 of each class."""
        ...

    def objects(self, name: str, classes: Sequence[int]) -> list[Annotation]:
        """The objects of classes in an image, whose categories are place + 1 of each class."""
        ...


def truth_of(benchmark: Benchmark, name: str, classes: Sequence[int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The label map (H, W) of an image, place + 1 of each class and 0 elsewhere, and where it is void."""
    if isinstance(benchmark, Annotating):
        found = benchmark.labels_among(name, classes)
        return found, np.zeros(found.shape, bool)
    labels = benchmark.labels(name)
    return relative_labels(labels, classes), labels == VOID


def objects_in(benchmark: Benchmark, name: str, classes: Sequence[int]) -> tuple[list[Annotation], tuple[int, int]]:
    """The objects of classes in an image, by place + 1, and its size (H, W). Where the data do not tell them apart, connected parts of a class are objects."""
    own, _ = truth_of(benchmark, name, classes)
    size = (own.shape[0], own.shape[1])
    if isinstance(benchmark, Annotating):
        return benchmark.objects(name, classes), size
    return [_object(part, place) for place in range(1, len(classes) + 1) if (own == place).any() for part in parts_of(own == place)], size


def _object(part: NDArray[np.bool_], place: int) -> Annotation:
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    box = (float(columns[0]), float(rows[0]), float(columns[-1] - columns[0] + 1), float(rows[-1] - rows[0] + 1))
    return Annotation(0, place, box, float(part.sum()), part)
