"""Dense labels as rows for methods on patch tokens: the mean known value of each patch, as components to fit.

A density is learned as the count that an image would have that is everywhere like the patch: images of any size are shown to
the backbone at one area, so this is what a token shows, and a count a pixel is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.data import Support
from likewise.data.geometry import area_resize
from likewise.data.target import DIRECTED
from likewise.errors import InputError
from likewise.functional.links import Link, decode, encode, link_of


@dataclass(frozen=True)
class ValueRows:
    """The patches of a support with known values: example (R,) index, tokens (R, D), values (R, C), weight (R,) above 0.

    kind, unit: of the target.
    """

    example: Tensor
    patch: Tensor
    tokens: Tensor
    values: Tensor
    weight: Tensor
    kind: str
    unit: str = ""

    def components(self, link: Link | None = None) -> Tensor:
        """What is fitted: the values under a link, by default that of the target's kind."""
        return encode(self.values, link or link_of(self.kind, self.unit))


def value_rows(support: Support, features: Sequence[ImageFeatures], target: str, mirrored: Sequence[bool] = ()) -> ValueRows:
    """Every patch with a known value of a target. InputError if there is none.

    mirrored: for each example whether its features are of the mirrored picture, put back in place. There vectors point
    the other way along x; angles, of which nobody says what they are measured from, are not learned from it.
    """
    about = support.targets[target]
    examples, patches, tokens, values, weights = [], [], [], [], []
    for index, (example, item) in enumerate(zip(support.examples, features, strict=True)):
        if target not in example.labels.dense:
            continue
        turned = bool(mirrored) and mirrored[index]
        if turned and about.kind == "angle":
            continue
        link = link_of(about.kind, about.unit)
        mean, weight = _patch_means(example.labels.dense[target], item.grid, link)
        if turned and about.kind in DIRECTED:
            mean[:, 0] *= -1
        if about.kind == "density":
            mean *= example.labels.size[0] * example.labels.size[1]
        kept = weight > 0
        places = torch.nonzero(kept)[:, 0]
        examples.append(torch.full_like(places, index))
        patches.append(places)
        tokens.append(item.joined()[kept])
        values.append(mean[kept])
        weights.append(weight[kept])
    if not tokens:
        raise InputError(f"no example has values of {target!r}", where="support", remedy="Give at least one dense map, or leave the target out")
    return ValueRows(torch.cat(examples), torch.cat(patches), torch.cat(tokens), torch.cat(values), torch.cat(weights), about.kind, about.unit)


def _patch_means(values: np.ndarray, grid: tuple[int, int], link: Link) -> tuple[Tensor, Tensor]:
    """Mean of the known values of each patch and the share of the patch that is known: (H, W, C) -> (P, C), (P,).

    Angles and directions are averaged as points on the circle or the sphere: the mean of 1 and 359 degrees is 0.
    """
    known = np.isfinite(values).all(axis=2)
    turning = link in ("angle", "degrees")
    if turning:
        values = encode(torch.from_numpy(values), link).numpy()
    weight = area_resize(known, grid)
    filled = np.where(known[:, :, None], values, 0)
    means = np.stack([area_resize(filled[:, :, c], grid) for c in range(values.shape[2])], axis=-1)
    means /= np.maximum(weight, 1e-6)[:, :, None]
    weight = np.where(weight > 1e-3, weight, 0)
    rows = torch.from_numpy(means.reshape(-1, values.shape[2]).astype(np.float32))
    return decode(rows, link) if turning or link == "unit" else rows, torch.from_numpy(weight.reshape(-1).astype(np.float32))


def as_grid(components: Tensor, item: ImageFeatures, link: Link) -> Tensor:
    """Components (P, C) of the patches of an image as a map (C, h, w); counts of images like the patch become those of a pixel."""
    if link == "count":
        components = components / (item.size[0] * item.size[1])
    return components.T.reshape(-1, *item.grid)
