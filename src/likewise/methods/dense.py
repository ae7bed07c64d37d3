"""Dense labels as rows for methods on patch tokens: the mean known value of each patch, as components to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.data import Support
from likewise.data.geometry import area_resize
from likewise.errors import InputError
from likewise.functional.links import Link, encode, link_of


@dataclass(frozen=True)
class ValueRows:
    """The patches of a support with known values: example (R,) index, tokens (R, D), values (R, C), weight (R,) above 0."""

    example: Tensor
    patch: Tensor
    tokens: Tensor
    values: Tensor
    weight: Tensor
    kind: str

    def components(self, link: Link | None = None) -> Tensor:
        """What is fitted: the values under a link, by default that of the target's kind."""
        return encode(self.values, link or link_of(self.kind))


def value_rows(support: Support, features: Sequence[ImageFeatures], target: str) -> ValueRows:
    """Every patch with a known value of a target. InputError if there is none."""
    examples, patches, tokens, values, weights = [], [], [], [], []
    for index, (example, item) in enumerate(zip(support.examples, features, strict=True)):
        if target not in example.labels.dense:
            continue
        mean, weight = _patch_means(example.labels.dense[target], item.grid)
        kept = weight > 0
        places = torch.nonzero(kept)[:, 0]
        examples.append(torch.full_like(places, index))
        patches.append(places)
        tokens.append(item.joined()[kept])
        values.append(mean[kept])
        weights.append(weight[kept])
    if not tokens:
        raise InputError(f"no example has values of {target!r}", where="support", remedy="Give at least one dense map, or leave the target out")
    return ValueRows(torch.cat(examples), torch.cat(patches), torch.cat(tokens), torch.cat(values), torch.cat(weights), support.targets[target].kind)


def _patch_means(values: np.ndarray, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Mean of the known values of each patch and the share of the patch that is known: (H, W, C) -> (P, C), (P,)."""
    known = np.isfinite(values).all(axis=2)
    weight = area_resize(known, grid)
    filled = np.where(known[:, :, None], values, 0)
    means = np.stack([area_resize(filled[:, :, c], grid) for c in range(values.shape[2])], axis=-1)
    means /= np.maximum(weight, 1e-6)[:, :, None]
    weight = np.where(weight > 1e-3, weight, 0)
    return torch.from_numpy(means.reshape(-1, values.shape[2]).astype(np.float32)), torch.from_numpy(weight.reshape(-1).astype(np.float32))


def as_grid(components: Tensor, grid: tuple[int, int]) -> Tensor:
    """Components (P, C) as a map (C, h, w)."""
    return components.T.reshape(-1, *grid)
