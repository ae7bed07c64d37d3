"""Dense targets made from the mask of an object: values that a labeller would have to draw, for meta-training.

All take masks (N, H, W) of 0 and 1 and where these are known (N, H, W), and give values (N, C, H, W) in 0..1 with where
they are known (N, C, H, W). Lengths are shares of the height. `MASK_TARGETS` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from likewise.functional.picture_targets import Made, smoothed

SOFT, REACH, BUMP, ROUND = 1 / 20, 1 / 4, 1 / 14, 1 / 40  # blur, the distance at which it ends, spread of a bump, blur of a bulge
SMALL = 0.1  # share of the largest piece below which a piece is no object


@dataclass(frozen=True)
class MaskTarget:
    """A family of targets: how many channels it has, how they are made, and whether a value is the chance of something being there."""

    channels: int
    make: Callable[[Tensor, Tensor], Made]
    chance: bool


def mask(masks: Tensor, known: Tensor) -> Made:
    """The mask itself."""
    return masks[:, None] * known[:, None], known[:, None]


def soft(masks: Tensor, known: Tensor) -> Made:
    """The mask with a wide border."""
    return smoothed(masks[:, None], SOFT * masks.shape[-2]), known[:, None]


def distance(masks: Tensor, known: Tensor) -> Made:
    """How far inside (above 1/2) or outside of the border a place is."""
    signed = torch.stack([torch.from_numpy(_inside(one) - _inside(~one)) for one in _arrays(masks)])[:, None].to(masks)
    return (0.5 + signed / (2 * REACH * masks.shape[-2])).clamp(0, 1), known[:, None]


def centre(masks: Tensor, known: Tensor) -> Made:
    """A bump in the middle of every piece."""
    return torch.stack([torch.from_numpy(_bumps(one)) for one in _arrays(masks)])[:, None].to(masks), known[:, None]


def within(masks: Tensor, known: Tensor) -> Made:
    """How far to the right and how far down in the object's box a place is; unknown outside of the object."""
    values = torch.stack([torch.from_numpy(_box_ramps(one)) for one in _arrays(masks)]).to(masks)
    return values, (masks * known)[:, None].expand_as(values)


def bulge(masks: Tensor, known: Tensor) -> Made:
    """Whereto an object leans, right and down, were it inflated; 1/2 where it is flat, and outside."""
    inner = torch.stack([torch.from_numpy(_inside(one)) for one in _arrays(masks)])[:, None].to(masks)
    down, across = torch.gradient(smoothed(inner, ROUND * masks.shape[-2]), dim=(-2, -1))
    values = 0.5 - torch.cat([across, down], dim=1) / 2
    return values.clamp(0, 1), known[:, None].expand_as(values)


def _arrays(masks: Tensor) -> list[NDArray[np.bool_]]:
    return [one > 0 for one in masks.numpy()]


def _inside(one: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The distance of each place of a mask to what is not in it, beyond the picture nothing is; a mask that fills the picture has that to the frame."""
    return (
        ndimage.distance_transform_edt(np.pad(one, 1))[1:-1, 1:-1].astype(np.float32) if one.all() else ndimage.distance_transform_edt(one).astype(np.float32)
    )


def _bumps(one: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The greatest of a bump for each piece: (H, W)."""
    pieces, count = ndimage.label(one)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    rows, columns = np.mgrid[: one.shape[0], : one.shape[1]]
    found = np.zeros(one.shape, np.float32)
    for place in np.flatnonzero(areas >= SMALL * areas.max()) if count else ():
        row, column = ndimage.center_of_mass(pieces == place + 1)
        bump = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * (BUMP * one.shape[0]) ** 2))
        found = np.maximum(found, bump.astype(np.float32))
    return found


def _box_ramps(one: NDArray[np.bool_]) -> NDArray[np.float32]:
    """0 to 1 across and down the box of the largest piece, beyond it its ends: (2, H, W)."""
    pieces, count = ndimage.label(one)
    if not count:
        return np.zeros((2, *one.shape), np.float32)
    main = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    rows, columns = (np.flatnonzero(main.any(axis=axis)) for axis in (1, 0))
    ramps = ((np.arange(size) - at[0]) / max(1, at[-1] - at[0]) for size, at in zip(one.shape, (rows, columns), strict=True))
    down, across = (ramp.clip(0, 1).astype(np.float32) for ramp in ramps)
    return np.stack([np.broadcast_to(across, one.shape), np.broadcast_to(down[:, None], one.shape)])


MASK_TARGETS = {
    "mask": MaskTarget(1, mask, chance=True),
    "soft": MaskTarget(1, soft, chance=True),
    "distance": MaskTarget(1, distance, chance=False),
    "centre": MaskTarget(1, centre, chance=True),
    "within": MaskTarget(2, within, chance=False),
    "bulge": MaskTarget(2, bulge, chance=False),
}
