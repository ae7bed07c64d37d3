"""Masks split into objects by a task: how, as it was chosen while learning, and the splitting of one answer.

Each class that has objects has a `Split`: a way of `functional.splitting` with its numbers. The learned ways read maps from the tokens of the examples
(a ridge regression, as the read-outs of masks are): offsets to the middle of the object, in units of the class's usual size, and depth in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.backbones import FeatureSpec, ImageFeatures
from likewise.data import Prediction
from likewise.errors import UsageError, close_match
from likewise.functional import splitting
from likewise.functional.regression import apply_ridge
from likewise.functional.splitting import TARGETS, Numbers
from likewise.functional.upsample import FloatMap, enlarge
from likewise.methods.base import Memory, RawPrediction

Way = Literal["parts", "watershed", "depth", "offsets"]
Asked = Literal["auto", "off", "parts", "watershed", "depth", "offsets"]
LEARNED: tuple[Way, ...] = ("depth", "offsets")
FACT, ASKED, READOUT = "objects", "objects_asked", "objects/readout"  # in a memory: what was chosen, and what was asked for unless it was "auto"
SIDE = 1024  # longer side at which masks are split; a larger answer takes the object of the nearest pixel
WIDEST = 4096  # features that the read-out takes, of the deepest layers


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the mask of a class is split.

    share: how far the middle of an object stands out; blur: smoothing, in units of the usual size; unit: that size, the side of a square of
    the median area of an object, in pixels; quality: panoptic quality on the examples, None where nobody told objects apart.
    """

    way: Way = "watershed"
    share: float = 0.1  # of 0.05 to 0.3 the middle; on the nuclei of the benchmark 0.05 and 0.1 are best by 0.01
    blur: float = 0.06
    unit: float = 0.0
    quality: float | None = None

    def numbers(self, mask: NDArray[np.bool_], maps: FloatMap | None, scale: float = 1.0) -> Numbers:
        """The objects (H, W) of a mask (H, W) that is drawn at a scale of the picture, numbered from 1.

        maps (TARGETS, H, W): what was read from the tokens, None for nothing.
        """
        unit = self.unit * scale
        if self.way == "parts":
            return splitting.parts(mask)
        if self.way == "watershed" or maps is None:
            return splitting.watershed(mask, self.share, self.blur * unit)
        if self.way == "depth":
            height = np.maximum(maps[2], 0) * np.sqrt(splitting.edge_distance(mask))
            return splitting.by_height(mask, splitting.smoothed(height, self.blur * unit), self.share)
        return splitting.by_votes(mask, maps[:2] * np.float32(unit), self.share, self.blur * unit)


@dataclass(frozen=True)
class Splitter:
    """The splits of a task by class number, and the read-out of the maps (D+1, TARGETS), None where no class needs it."""

    splits: Mapping[int, Split]
    readout: Tensor | None = None

    @classmethod
    def of(cls, memory: Memory) -> Splitter | None:
        """What a memory knows of objects; None for a task that does not tell them apart."""
        facts = memory.facts.get(FACT)
        if not facts:
            return None
        return cls({int(number): Split(**split) for number, split in facts.items()}, memory.tensors.get(READOUT))

    def kept_in(self, memory: Memory) -> Memory:
        """A memory that knows it too."""
        facts = {**memory.facts, FACT: {str(number): asdict(split) for number, split in self.splits.items()}}
        return Memory({**memory.tensors, **({} if self.readout is None else {READOUT: self.readout})}, facts)

    def told_apart(self, found: Prediction, raw: RawPrediction, features: ImageFeatures | None) -> Prediction:
        """The answer with its objects, and how sure each is: the mean probability of its class over its pixels."""
        if raw.logits is None:
            return found
        numbers, scores = np.zeros(found.size, np.int32), dict[int, float]()
        small, chances = reduced(found.labels), torch.softmax(raw.logits.cpu().float(), dim=0).numpy()
        maps = None if self.readout is None or features is None else maps_of(features, self.readout, (small.shape[0], small.shape[1]))
        for place, number in enumerate(found.classes.numbers, start=1):
            mask = np.asarray(found.labels == number)
            if number not in self.splits or not mask.any():
                continue
            told = self.splits[number].numbers(np.asarray(small == number), maps, small.shape[0] / mask.shape[0])
            own = splitting.spread_over(mask, told)
            means = splitting.mean_over(own, enlarge(np.ascontiguousarray(chances[place]), found.size, corners=raw.corners))
            first = len(scores)
            scores |= {first + index: float(score) for index, score in enumerate(means) if index}
            numbers += np.where(mask, own + first, 0).astype(np.int32)
        return dataclasses.replace(found, instances=numbers, object_scores=scores)


def checked(asked: str) -> Asked:
    """What was asked for; UsageError with the closest match for anything else."""
    known: tuple[Asked, ...] = get_args(Asked)
    for one in known:
        if one == asked:
            return one
    raise UsageError(f"there is no way {asked!r} to tell objects apart", where="--instances", remedy=close_match(asked, known))


def spec_of(wishes: tuple[FeatureSpec, ...]) -> FeatureSpec | None:
    """The finest features of the backbone that cover a picture and nothing else; None where there are none."""
    fit = [spec for spec in wishes if spec.backbone is not None and not spec.pad and not spec.copy]
    return max(fit, key=lambda spec: spec.side, default=None)


def rows_of(features: ImageFeatures) -> Tensor:
    """What the read-out reads of each token: (P, D)."""
    return features.joined()[:, -WIDEST:]


def maps_of(features: ImageFeatures, readout: Tensor, size: tuple[int, int]) -> FloatMap:
    """The maps (TARGETS, H, W) that a read-out gives at a size (H, W)."""
    values = apply_ridge(rows_of(features), readout.float()).numpy().T.reshape(TARGETS, *features.grid)
    return np.stack([enlarge(np.ascontiguousarray(plane, dtype=np.float32), size) for plane in values])


def reduced(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """A label map at the size at which masks are split."""
    height, width = labels.shape
    scale = min(1.0, SIDE / max(height, width))
    if scale == 1:
        return labels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST))
