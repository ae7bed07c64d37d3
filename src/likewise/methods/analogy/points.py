"""Keypoints of `analogy`: a score map a name at two working sizes, and a prior of where points lie relative to each other.

Scores are a ridge regression on the tokens in which the patches near points together weigh a tenth of all others: there
are few of them, and a plain regression to heat maps is content with zero everywhere. The coarse working size knows which
part it looks at, the fine one where it is; their mean is better than either. What points alone confuse, left and right
or two spots that look alike, their arrangement tells (`functional.constellations`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import Support
from likewise.functional.constellations import Constellation, constellation_of, placed
from likewise.functional.heatmaps import EVEN, centroid, point_map, probability, spread_of
from likewise.functional.regression import Sums, apply_ridge, ridge, sums
from likewise.methods.analogy.trial import map_at

SIDES = 2  # working sizes that are averaged
_STRENGTH = 1e-3  # of the penalty; 1e-2 is a tenth worse from one and five frames of a mouse
_SHARE = 0.1  # of the weight of all other patches, for those near points; 1 is as good, 0 a third worse
_SHARPNESS = 10.0  # scores times this are logarithms of how likely a place is; 5 and 20 do a little worse
_EVEN = 0.5  # of the median height of left-out peaks of visible points: the height of even odds, where none was hidden
Point = tuple[float, float, float]


@dataclass(frozen=True)
class PointFit:
    """Score regressions (D+1, K) by working size, the constellation (None for points alone), heights (K,) of even odds."""

    scores: dict[int, Tensor]
    sky: Constellation | None
    even: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """The tensors to keep."""
        kept = {f"scores {side}": tensor for side, tensor in self.scores.items()} | {"even": self.even}
        if self.sky is not None:
            shape = torch.from_numpy(np.stack([self.sky.shape.real, self.sky.shape.imag, self.sky.stray]))
            kept |= {"sky": shape, "size": torch.tensor(self.sky.size, dtype=torch.float64)}
        return kept

    @classmethod
    def of(cls, kept: Mapping[str, Tensor]) -> PointFit:
        """The fit that `tensors` were kept of."""
        sky = None
        if "sky" in kept:
            real, imaginary, stray = kept["sky"].cpu().double().numpy()
            mean, deviation = kept["size"].tolist()
            sky = Constellation(real + 1j * imaginary, stray, (mean, deviation))
        scores = {int(name.split()[1]): tensor for name, tensor in kept.items() if name.startswith("scores ")}
        return cls(scores, sky, kept["even"])

    def points(self, items: Mapping[int, ImageFeatures]) -> list[Point]:
        """(x, y, probability) of every name, in pixels, of an image with features by working size."""
        maps = [_scored(items[side], scores) for side, scores in self.scores.items()]
        found = _decoded(maps, self.sky, next(iter(items.values())).size)
        return [(x, y, probability(height, float(even))) for (x, y, height), even in zip(found, self.even, strict=True)]


@dataclass(frozen=True)
class Trial:
    """What left-out prediction says of the names (K): mean distance over the size of the image's points (NaN: not known), heights of
    peaks of visible points and of hidden ones, each a list a name.
    """

    error: list[float]
    shown: list[list[float]]
    hidden: list[list[float]]


def learn_points(support: Support, features: Mapping[FeatureSpec, Sequence[ImageFeatures]], whole: Sequence[int | None]) -> tuple[PointFit, dict[str, Any]]:
    """The fit of the support's names in alphabetical order, and what left-out prediction found, by name.

    features: by working size, of which the first `SIDES` are used; whole: for each example the fold in which it is left out, or None.
    """
    names = sorted(support.keypoints)
    specs = sorted(features, key=lambda spec: spec.side)[:SIDES]
    places = [place for place, example in enumerate(support.examples) if example.labels.keypoints]
    folds = [-1 if whole[place] is None else whole[place] for place in places]
    regressions = {spec.side: _Regressions.of(support, features[spec], places, folds, names) for spec in specs}
    truth = _Truth.of(support, places, names)
    trial = _tried(truth, [[features[spec][place] for spec in specs] for place in places], folds, [regressions[spec.side] for spec in specs])
    even = torch.tensor([_even(shown, hidden, trial) for shown, hidden in zip(trial.shown, trial.hidden, strict=True)])
    scores = {side: fitted for side, each in regressions.items() if (fitted := each.fitted(None)) is not None}
    fit = PointFit(scores, constellation_of(truth.points), even)
    told = {}
    for index, name in enumerate(names):
        count = int(np.isfinite(truth.points[:, index, 0]).sum())
        known = {} if math.isnan(trial.error[index]) else {"error": round(trial.error[index], 4)}
        told[f"point {name}"] = {**known, "images": count}
    return fit, told


@dataclass(frozen=True)
class _Regressions:
    """Sums by fold for the names whose examples are the same ones: (columns, {fold: sums})."""

    groups: list[tuple[list[int], dict[int, Sums]]]
    count: int

    @classmethod
    def of(cls, support: Support, items: Sequence[ImageFeatures], places: Sequence[int], folds: Sequence[int | None], names: Sequence[str]) -> _Regressions:
        """The sums of every example at one working size."""
        patterns: dict[tuple[int, ...], list[int]] = {}
        for column, name in enumerate(names):
            said = tuple(row for row, place in enumerate(places) if name in support.examples[place].labels.keypoints)
            patterns.setdefault(said, []).append(column)
        groups = []
        for said, columns in patterns.items():
            parts: dict[int, Sums] = {}
            for row in said:
                item, labels = items[places[row]], support.examples[places[row]].labels
                # a bump as wide as a patch: wider ones are located less well, narrower ones fall between patches
                spread = spread_of(labels.size, 1 / math.sqrt(item.grid[0] * item.grid[1]))
                heat = np.stack([point_map(labels.keypoints[names[column]], labels.size, item.grid, spread).ravel() for column in columns], axis=1)
                target = torch.from_numpy(heat)
                own = sums(item.joined(), target, _weight(target))
                fold = -1 if folds[row] is None else int(folds[row] or 0)
                parts[fold] = parts[fold] + own if fold in parts else own
            groups.append((columns, parts))
        return cls(groups, len(names))

    def fitted(self, without: int | None) -> Tensor | None:
        """Coefficients (D+1, K) of all folds but one; None where a name would have no example left."""
        found: Tensor | None = None
        for columns, parts in self.groups:
            kept = [part for fold, part in parts.items() if fold != without]
            if not kept:
                return None
            total = kept[0]
            for part in kept[1:]:
                total = total + part
            own = ridge(total, _STRENGTH)
            found = own.new_zeros(len(own), self.count) if found is None else found
            found[:, columns] = own
        return found


def _weight(heat: Tensor) -> Tensor:
    """The weight (P,) of patches with heat (P, K): those near points together `_SHARE` of all others, 1 on average."""
    near = heat.amax(1)
    total = float(near.sum())
    weight = (1 - near) + near * (_SHARE * float((1 - near).sum()) / total if total > 0 else 0.0)
    return weight / weight.mean()


@dataclass(frozen=True)
class _Truth:
    """points (E, K, 2) in shares of their image's side, the root of its area, NaN for hidden and unknown ones; hidden (E, K)."""

    points: NDArray[np.float64]
    hidden: NDArray[np.bool_]

    @classmethod
    def of(cls, support: Support, places: Sequence[int], names: Sequence[str]) -> _Truth:
        """What the examples at these places say of the names."""
        points = np.full((len(places), len(names), 2), np.nan)
        hidden = np.zeros((len(places), len(names)), bool)
        for row, place in enumerate(places):
            labels = support.examples[place].labels
            for column, name in enumerate(names):
                point = labels.keypoints.get(name)
                hidden[row, column] = point is None and name in labels.keypoints
                if point is not None:
                    points[row, column] = np.array(point) / math.sqrt(labels.size[0] * labels.size[1])
        return cls(points, hidden)


def _scored(item: ImageFeatures, scores: Tensor) -> Tensor:
    """Score maps (K, h, w) of an image at one working size."""
    return apply_ridge(item.joined(), scores).T.reshape(-1, *item.grid)


def _decoded(maps: Sequence[Tensor], sky: Constellation | None, size: tuple[int, int]) -> list[Point]:
    """(x, y, height) of every name, from score maps (K, h, w) at several working sizes."""
    finest = max((tuple(each.shape[1:]) for each in maps), key=lambda grid: grid[0] * grid[1])
    heat = torch.stack([map_at(each, finest) for each in maps]).mean(0).cpu().double().numpy()
    side = math.sqrt(size[0] * size[1])
    if sky is None:
        cells = heat.reshape(len(heat), -1).argmax(1)
    else:
        rows, columns = np.divmod(np.arange(finest[0] * finest[1]), finest[1])
        centres = np.stack([(columns + 0.5) * size[1] / finest[1], (rows + 0.5) * size[0] / finest[0]], axis=1) / side
        cells = placed(_SHARPNESS * heat.reshape(len(heat), -1).T, centres, size[1] / finest[1] / side, sky)
    return [(*centroid(own, int(cell), size), float(own.flat[cell])) for own, cell in zip(heat, cells, strict=True)]


def _tried(truth: _Truth, items: Sequence[Sequence[ImageFeatures]], folds: Sequence[int | None], regressions: Sequence[_Regressions]) -> Trial:
    """Every example that can be left out, predicted from the others; items: for each its features, and regressions, by working size."""
    count = truth.points.shape[1]
    apart: list[list[float]] = [[] for _ in range(count)]
    shown: list[list[float]] = [[] for _ in range(count)]
    hidden: list[list[float]] = [[] for _ in range(count)]
    for fold in sorted({int(fold) for fold in folds if fold is not None and fold >= 0}):
        left = [scores for scores in (each.fitted(fold) for each in regressions) if scores is not None]
        if not left:
            continue
        sky = constellation_of(truth.points[[row for row, own in enumerate(folds) if own != fold]])
        for row in (row for row, own in enumerate(folds) if own == fold):
            size = items[row][0].size
            side = math.sqrt(size[0] * size[1])
            extent = _extent(truth.points[row])
            maps = [_scored(item, scores) for item, scores in zip(items[row], left, strict=True)]
            for name, (x, y, height) in enumerate(_decoded(maps, sky, size)):
                where = truth.points[row, name]
                if np.isfinite(where).all():
                    shown[name].append(height)
                    apart[name].append(math.hypot(x / side - where[0], y / side - where[1]) / extent)
                elif truth.hidden[row, name]:
                    hidden[name].append(height)
    return Trial([float(np.mean(each)) if each else math.nan for each in apart], shown, hidden)


def _extent(points: NDArray[np.float64]) -> float:
    """The diagonal of the box around the points (K, 2) that are known, or 1, the image's side, where fewer than two are."""
    known = points[np.isfinite(points).all(axis=1)]
    return float(np.hypot(*np.ptp(known, axis=0))) or 1.0 if len(known) > 1 else 1.0


def _even(shown: Sequence[float], hidden: Sequence[float], trial: Trial) -> float:
    """The height of even odds of a name: midway between its left-out peaks where it was visible and where it was hidden.

    Where it was never hidden, half the height of visible peaks; where nothing could be left out, that of all names or the usual one.
    """
    heights = [height for height in shown or [height for own in trial.shown for height in own] if height > 0]
    if not heights:
        return EVEN
    visible = float(np.median(heights))
    if hidden:
        return max(1e-3, (visible + max(0.0, float(np.median(hidden)))) / 2)
    return max(1e-3, _EVEN * visible)
