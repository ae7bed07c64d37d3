"""Where proposals come from: one interface for every source, whatever it is made of.

    tokens     regions of the picture that merge by likeness of frozen features, a tree of them (`merging`); learns nothing
    segmenter  the trained segmenter of MM-Former's first stage (`segmenter`)

A source says which features it needs and turns those of an image into soft masks on a grid. Others join by being a `Source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures


@dataclass(frozen=True)
class Proposals:
    """Masks (N, h, w) in 0..1 of what might be a thing in an image, the likeliest first; N may be 0."""

    masks: Tensor

    def __len__(self) -> int:
        return len(self.masks)


class Source(Protocol):
    """Makes proposals of features."""

    def wants(self) -> FeatureSpec:
        """The features that it needs."""
        ...

    def propose(self, item: ImageFeatures) -> Proposals:
        """The proposals of an image."""
        ...
