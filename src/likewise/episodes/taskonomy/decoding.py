"""Stored labels of Taskonomy as values in 0..1 and where they are known (Kim et al. 2023, and its code).

Arrays in, tensors (N, C, H, W) out. 16-bit files hold raw numbers, 8-bit ones colours. Unknown pixels are holes of the scan,
seen by the euclidean depth of the same picture.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.episodes.taskonomy.tasks import DEPTH_BOUNDS, HOLE, KEYPOINTS2D_CLIP, OCCLUSION_EDGES, SEGMENTATION, TASKS
from likewise.functional.texture import texture_edges

SPAN = 65536.0
METRES = 1 / 512  # a raw unit of depth, after the documentation of Taskonomy


@dataclass(frozen=True)
class Decoded:
    """Values (N, C, H, W) in 0..1 and where they are known, uint8 of the same shape."""

    label: Tensor
    known: Tensor


def decode(task: str, stored: Mapping[str, NDArray[np.generic]], *, each_alone: bool = True) -> Decoded:
    """The label of a task. stored: arrays (N, H, W) or (N, H, W, 3) by task as in the files, "rgb" the pictures.

    Needs that of the task, of depths, occlusion edges, three-dimensional key points and curvature also "depth_euclidean",
    of texture edges "rgb" alone. each_alone: texture edges scaled by the maximum of each picture; False, official: of all N.
    """
    label = _label(task, stored, each_alone).clamp(0, 1)
    known = torch.ones(label.shape, dtype=torch.uint8)
    if task in _WITH_HOLES:
        known = _known(stored)[:, None].expand(label.shape).to(torch.uint8)
    return Decoded(label, known)


_WITH_HOLES = {"depth_euclidean", "depth_zbuffer", "edge_occlusion", "keypoints3d", "principal_curvature"}


def segmentation(raw: NDArray[np.generic], number: int) -> Tensor:
    """Where a class is, of raw maps (N, H, W): (N, 1, H, W) of 0 and 1; raw 0 ("uncertain") and 1 are background."""
    wanted = torch.from_numpy(np.asarray(raw, np.int64))
    return (wanted.clamp_min(1) - 1 == number)[:, None].float()


def metres(task: str, label: Tensor) -> Tensor:
    """Depths (N, H, W) of labels (N, C, H, W) of a depth task: their inverse, exact above the least boundary."""
    bounds = DEPTH_BOUNDS[task]
    if label.shape[1] == 1:
        logarithm = bounds[0] + label[:, 0].double() * (bounds[-1] - bounds[0])
    else:
        steps = torch.tensor([high - low for low, high in itertools.pairwise(bounds)], dtype=torch.float64)
        logarithm = bounds[0] + (label.double() * steps[:, None, None]).sum(dim=1)
    return (SPAN**logarithm - 1) * METRES


def _label(task: str, stored: Mapping[str, NDArray[np.generic]], each_alone: bool) -> Tensor:
    if task == "edge_texture":
        pictures = torch.from_numpy(np.asarray(stored["rgb"], np.float32)).movedim(-1, 1) / 255
        return texture_edges(pictures, each_alone=each_alone)
    if task == "segment_semantic":
        return torch.cat([segmentation(stored[task], number) for number in SEGMENTATION], dim=1)
    raw = torch.from_numpy(np.asarray(stored[task], np.float32))
    if task in ("normal", "reshading", "principal_curvature"):
        return raw.movedim(-1, 1)[:, : TASKS[task].channels] / 255
    if task in DEPTH_BOUNDS:
        return _depth(task, raw, _known(stored))
    share = raw / SPAN
    if task == "edge_occlusion":
        share = torch.where(_known(stored), share, torch.zeros_like(share))
        return torch.stack([share.clamp_max(bound) / bound for bound in OCCLUSION_EDGES], dim=1)
    if task == "keypoints2d":
        return share.clamp_max(KEYPOINTS2D_CLIP)[:, None] / KEYPOINTS2D_CLIP
    return share[:, None]


def _depth(task: str, raw: Tensor, known: Tensor) -> Tensor:
    """Logarithms of depth, cut at boundaries: what lies between two of them is a channel, of z-buffers one for all."""
    bounds = DEPTH_BOUNDS[task]
    pairs = list(itertools.pairwise(bounds)) if TASKS[task].channels > 1 else [(bounds[0], bounds[-1])]
    logarithm = torch.log1p(raw) / math.log(SPAN)
    return torch.stack([(torch.where(known, logarithm, torch.full_like(raw, low)).clamp(low, high) - low) / (high - low) for low, high in pairs], dim=1)


def _known(stored: Mapping[str, NDArray[np.generic]]) -> Tensor:
    return torch.from_numpy(np.asarray(stored["depth_euclidean"], np.int64) < HOLE)
