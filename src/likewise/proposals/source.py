"""Where proposals come from: one interface for every source, whatever it is made of.

    merging    regions of the picture that merge by likeness of frozen features, trees of them; learns nothing
    trained    the segmenter of MM-Former's first stage, trained here
    points     SAM and SAM 2, asked about a grid of points

A source says which features it needs and turns those of an image into soft masks on a grid. Others join by being a `Source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from likewise.backbones.features import FeatureSpec, ImageFeatures


@dataclass(frozen=True)
class Proposals:
    """Masks (N, h, w) in 0..1 of what might be a thing in an image, the likeliest first; N may be 0."""

    masks: Tensor

    def __len__(self) -> int:
        return len(self.masks)


class Source(Protocol):
    """Makes proposals of features. tensors, facts: what a task keeps, from which `opening.restored_source` makes it again."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Its weights, where they are small enough for a task."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """The rest, as JSON can hold it; "kind" names it."""
        ...

    def wants(self) -> FeatureSpec:
        """The features that it needs."""
        ...

    def propose(self, item: ImageFeatures) -> Proposals:
        """The proposals of an image."""
        ...


def token_means(item: ImageFeatures, proposals: Proposals) -> Tensor:
    """The mean token (N, L D) of each proposal, of length 1; tokens of the layers side by side."""
    return normalize(patch_shares(proposals, item.grid) @ item.joined(), dim=1)


def patch_shares(proposals: Proposals, grid: tuple[int, int]) -> Tensor:
    """How much of each patch of a grid each proposal covers, (N, P) in 0..1."""
    return adaptive_avg_pool2d(proposals.masks[:, None], grid).flatten(1)


def covered_mean(proposals: Proposals, values: Tensor, weight: Tensor) -> Tensor:
    """What the proposals that cover a place say of it, (C, h, w): the mean of their values (N, C), each by its weight (N,).

    Where none covers, the first value is 1 and the others are 0, as for the background.
    """
    masks = proposals.masks.flatten(1) * weight[:, None]
    cover = masks.sum(dim=0)
    found = values.T @ masks / cover.clamp_min(1e-9)
    empty = torch.zeros(values.shape[1], 1)
    empty[0] = 1
    return torch.where(cover > 1e-3, found, empty).reshape(-1, *proposals.masks.shape[1:])
