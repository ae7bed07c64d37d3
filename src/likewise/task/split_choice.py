"""Which way of splitting masks into objects suits a support: tried on its examples, chosen class by class.

The task draws the examples as it would draw any image (where their features tell it enough), so that masks are as rough as they will be, and each way
splits them; the read-out of the learned ways is fitted without the example that it is tried on. What counts is the panoptic quality against the objects
that somebody drew, the mean over examples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.backbones import FeatureSpec
from likewise.data import LabelledImage, Labels, OutputKind, Support
from likewise.data.geometry import area_resize
from likewise.data.instance import Instance, overlaps
from likewise.functional import splitting
from likewise.functional.object_scores import panoptic_quality
from likewise.functional.regression import left_out, ridge, sums
from likewise.methods.base import Memory, Method
from likewise.task.finish import finish
from likewise.task.learning import Kept, among, raw_answer
from likewise.task.splitting import ASKED, LEARNED, Asked, Split, Splitter, Way, maps_of, reduced, rows_of, spec_of

Draw = Callable[[int], NDArray[np.integer]]
STRENGTH = 0.1  # of the ridge: of 0.001, 0.01 and 0.1 the best on the nuclei of the benchmark, examples and queries alike
GRID: dict[Way, tuple[tuple[float, ...], tuple[float, ...]]] = {  # shares and blurs that are tried
    "parts": ((0.0,), (0.0,)),
    "watershed": ((0.05, 0.1), (0.03, 0.06, 0.12)),
    "depth": ((0.05, 0.1), (0.06, 0.12)),
    "offsets": ((0.3, 0.5), (0.12, 0.2)),
}
MOST = 16  # examples that are tried
GAIN = 0.005  # of quality that a later way must bring over an earlier, simpler one


def with_objects(memory: Memory, method: Method, support: Support, kept: Kept, asked: Asked) -> Memory:
    """A memory that knows how masks are split into objects, as `splitter_for` finds it; the same where they are not."""
    if asked != "auto":
        memory = Memory(memory.tensors, {**memory.facts, ASKED: asked})
    if OutputKind.MASKS not in method.gives:
        return memory
    wishes = method.wants(memory)
    known = [among(own, wishes) for own in kept]

    def draw(index: int) -> NDArray[np.integer]:
        labels = support.examples[index].labels
        size = labels.size
        if len(known[index]) < len(wishes) and labels.label_map is not None:
            return np.maximum(labels.label_map, 0)
        return finish(raw_answer(method, memory, known[index], size), size, classes=support.classes, targets=support.targets, image=None).labels

    found = splitter_for(support, known, wishes, draw, asked)
    return memory if found is None else found.kept_in(memory)


def splitter_for(support: Support, kept: Kept, wishes: tuple[FeatureSpec, ...], draw: Draw, asked: Asked) -> Splitter | None:
    """How the masks of a task are split; None where they are not.

    draw: the label map (H, W) that the task draws of an example; asked: a way for all classes, "off", or "auto": the best one for classes of
    which some example shows several objects told apart, none for the others. Without such objects a way that is asked for has its usual
    numbers, and a learned one becomes "watershed".
    """
    if asked == "off":
        return None
    apart = {number for example in support.examples if _is_drawn(example.labels) for number, objects in example.labels.instances.items() if len(objects) > 1}
    numbers = sorted(apart if asked == "auto" else support.classes.numbers)
    if not numbers:
        return None
    units = {number: _unit(support.examples, number) for number in numbers}
    ways = tuple(GRID) if asked == "auto" else (asked,)
    trial = _Trial(support.examples, kept, spec_of(wishes), units, draw)
    splits = {number: trial.best(number, ways) if number in apart else _usual(asked, units[number]) for number in numbers}
    learned = any(split.way in LEARNED for split in splits.values())
    return Splitter(splits, trial.readout if learned else None)


class _Trial:
    """The examples of a support with what is needed to split their masks: what the task draws, and maps read without the example itself."""

    def __init__(self, examples: Sequence[LabelledImage], kept: Kept, spec: FeatureSpec | None, units: dict[int, float], draw: Draw) -> None:
        self._examples, self._units = examples, units
        self._shown = [index for index, example in enumerate(examples) if _is_drawn(example.labels) and units.keys() & example.labels.instances.keys()]
        self._drawn = {index: draw(index) for index in self._shown[:MOST]}
        self.readout: Tensor | None = None
        self._maps: dict[int, NDArray[np.float32]] = {}
        if spec is not None and len(self._shown) > 1 and all(spec in kept[index] for index in self._shown):
            self._read(kept, spec)

    def best(self, number: int, ways: Sequence[Way]) -> Split:
        """The split of a class with the highest quality, an earlier way unless a later one gains on it."""
        chosen: Split | None = None
        for way in ways:
            found = max(self._tried(number, way), key=lambda split: split.quality or 0.0, default=None)
            if found is not None and (chosen is None or (found.quality or 0.0) > (chosen.quality or 0.0) + GAIN):
                chosen = found
        return chosen or _usual(ways[-1], self._units[number])

    def _tried(self, number: int, way: Way) -> list[Split]:
        """All splits of one way with their quality."""
        if way in LEARNED and not self._maps:
            return []
        shown = [index for index in self._drawn if number in self._examples[index].labels.instances]
        found = []
        for share, blur in product(*GRID[way]):
            split = Split(way=way, share=share, blur=blur, unit=self._units[number])
            scores = [self._quality(split, number, index) for index in shown]
            found += [dataclasses.replace(split, quality=float(np.mean(scores)))] if scores else []
        return found

    def _quality(self, split: Split, number: int, index: int) -> float:
        whole = self._drawn[index]
        small = reduced(whole)
        told = split.numbers(np.asarray(small == number), self._maps.get(index), small.shape[0] / whole.shape[0])
        numbers = splitting.spread_over(np.asarray(whole == number), told)
        return panoptic_quality(overlaps(numbers, np.arange(1, int(numbers.max()) + 1), self._examples[index].labels.instances[number]))

    def _read(self, kept: Kept, spec: FeatureSpec) -> None:
        """Fit the read-out of all examples, and the maps of each by the one of the others."""
        features = [kept[index][spec] for index in self._shown]
        groups = []
        for index, each in zip(self._shown, features, strict=True):
            targets, weight = _cells(self._examples[index].labels, self._units, each.grid)
            groups.append(sums(rows_of(each), targets, weight))
        total = groups[0]
        for group in groups[1:]:
            total = total + group
        self.readout = ridge(total, STRENGTH)
        without = left_out(groups, [[place] for place in range(len(groups))], STRENGTH)
        for place, index in enumerate(self._shown[:MOST]):
            height, width = reduced(self._drawn[index]).shape
            self._maps[index] = maps_of(features[place], without[place], (height, width))


def _is_drawn(labels: Labels) -> bool:
    return labels.label_map is not None


def _usual(asked: Asked, unit: float) -> Split:
    return Split(way="parts" if asked == "parts" else "watershed", unit=unit)


def _unit(examples: Sequence[LabelledImage], number: int) -> float:
    """The side of a square of the median area of an object; connected parts stand for objects where nobody told them apart."""
    areas = [one.area for example in examples for one in example.labels.instances.get(number, ())]
    if not areas:
        areas = [int(area) for example in examples for area in np.bincount(splitting.parts(example.labels.mask(number)).ravel())[1:]]
    return float(np.sqrt(np.median(areas))) if areas else 0.0


def _cells(labels: Labels, units: dict[int, float], grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """What is to be read of each token (P, TARGETS), the mean over the objects' pixels below it, and its weight (P,): their share, 1 in sum over an example."""
    values, covered = np.zeros((splitting.TARGETS, *labels.size), np.float32), np.zeros(labels.size, np.float32)
    for number, objects in labels.instances.items():
        if number in units:
            numbers = _numbered(objects, labels.size)
            targets = splitting.object_targets(numbers) / np.array([units[number], units[number], 1], np.float32)[:, None, None]
            values, covered = np.where(numbers > 0, targets, values), np.maximum(covered, numbers > 0)
    share = area_resize(covered, grid)
    means = np.stack([area_resize(plane, grid) / np.maximum(share, 1e-6) for plane in values], axis=-1)
    weight = torch.from_numpy(share.reshape(-1) / max(float(share.sum()), 1e-6))
    return torch.from_numpy(means.reshape(-1, splitting.TARGETS)), weight


def _numbered(objects: Sequence[Instance], size: tuple[int, int]) -> NDArray[np.int32]:
    numbers = np.zeros(size, np.int32)
    for number, one in enumerate(objects, start=1):
        one.mark(numbers, number)
    return numbers
