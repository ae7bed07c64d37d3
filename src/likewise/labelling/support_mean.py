"""The answer of one who looks at the examples alone: what every figure of targets and keypoints is to be read beside."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.data import LabelledImage, Prediction, Support, Target
from likewise.functional.links import decode, encode, link_of

_ROUND = ("angle", "degrees", "unit")  # links under which values are averaged: 359 and 1 degrees make 0


@dataclasses.dataclass(frozen=True)
class SupportMean:
    """The mean of the known values of every target (C,), of a density the mean count of an image; the mean place of points, as shares of width and height."""

    values: Mapping[str, NDArray[np.float32]]
    counts: Mapping[str, float]
    places: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, support: Support) -> Self | None:
        """That of a support; None where its examples have neither dense values nor visible points (any more)."""
        densities = {name for name, target in support.targets.items() if target.kind == "density"}
        given = {name: [example for example in support.examples if name in example.labels.dense] for name in support.targets}
        values = {name: _mean(name, examples, support.targets[name]) for name, examples in given.items() if examples and name not in densities}
        counts = {name: float(np.mean([_count(name, example) for example in examples])) for name, examples in given.items() if examples and name in densities}
        places = {name: place for name in support.keypoints if (place := _place(name, support.examples)) is not None}
        return cls(values, counts, places) if values or counts or places else None

    def prediction(self, like: Prediction) -> Prediction:
        """The same answer for every image, in the form of another prediction: no class, the mean values, the mean count, points at their mean place."""
        height, width = like.size
        means = {**self.values, **{name: np.array([count / (height * width)], np.float32) for name, count in self.counts.items()}}
        dense = {name: np.broadcast_to(value, (height, width, len(value))) for name, value in means.items()}
        points = {name: (x * width, y * height, 1.0) for name, (x, y) in self.places.items()}
        return dataclasses.replace(like, dense=dense, keypoints=points, labels=np.zeros_like(like.labels), present={})


def _mean(name: str, examples: Sequence[LabelledImage], target: Target) -> NDArray[np.float32]:
    """The mean over all known pixels of all examples: (C,)."""
    link = link_of(target.kind, target.unit)
    total, count = torch.zeros(1, dtype=torch.float64), 0
    for example in examples:
        values = example.labels.dense[name]
        rows = torch.from_numpy(values.reshape(-1, values.shape[2]).astype(np.float64))  # a copy: those of a task file may not be written to
        rows = rows[torch.isfinite(rows).all(dim=1)]
        total = total + (encode(rows, link) if link in _ROUND else rows).sum(0)
        count += len(rows)
    mean = total / max(count, 1)
    return (decode(mean, link) if link in _ROUND else mean).float().numpy()


def _count(name: str, example: LabelledImage) -> float:
    height, width = example.labels.size
    return float(np.nanmean(example.labels.dense[name], dtype=np.float64)) * height * width


def _place(name: str, examples: Sequence[LabelledImage]) -> tuple[float, float] | None:
    """Where a point is on the average, None if no example shows it."""
    shares = [np.array(point) / example.labels.size[::-1] for example in examples if (point := example.labels.keypoints.get(name)) is not None]
    if not shares:
        return None
    x, y = np.mean(shares, axis=0)
    return float(x), float(y)
