"""What to expect of VTM on other pictures: each example answered from the others alone.

Keys and values of the others are there already, so that an example costs one matching and one decoding. Of a single picture
one half is answered from the other, which flatters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from likewise.data import Target
from likewise.data.target import KEYPOINT
from likewise.functional.expected_error import expected_error
from likewise.functional.links import decode
from likewise.methods.vtm.channels import Channels
from likewise.methods.vtm.model import Encoded, Vtm
from likewise.methods.vtm.tuning import Labelled, fitted

_FAMILIAR = 0.1  # a picture is taken for no less strange than this share of the examples


@dataclass(frozen=True)
class LeftOut:
    """Answers for patches that were left out: values, truth and the share that is known, (C, R) each; strange: as `Head.strangeness`."""

    values: Tensor
    truth: Tensor
    known: Tensor
    strange: float


def left_out(vtm: Vtm, encoded: Encoded, examples: Labelled, chunk: int) -> LeftOut | None:
    """Every patch of the examples, answered without the picture (of a single one: the half) that it belongs to; None where that cannot be."""
    grid = vtm.grid(examples.images)
    folds = _folds(examples.pictures, grid)
    if len(set(examples.pictures)) == 1 and (vtm.pooling.fineness == "region" or grid[1] < 2):
        return None
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    strange = torch.zeros(len(folds), grid[0] * grid[1])
    for fold in torch.unique(folds).tolist():
        asked = torch.nonzero((folds == fold).any(dim=1))[:, 0]
        mine = folds[asked] == fold
        others = encoded.memory.without(folds.flatten() == fold).pooled(vtm.pooling, grid)
        tokens = [level[:, asked] for level in encoded.tokens]
        logits = vtm.head.logits(tokens, others, grid, chunk=chunk).transpose(0, 1)
        labels, known = examples.labels[:, asked], examples.known[:, asked]
        rows = _patches(fitted(logits, labels).sigmoid(), labels, known, grid)
        found.append((rows[0][:, mine], rows[1][:, mine], rows[2][:, mine]))
        strange[folds == fold] = vtm.head.strangeness(tokens, others)[mine]
    values, truth, share = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
    return LeftOut(values, truth, share, float(strange.mean()))


def expectations(channels: Channels, places: list[int], found: LeftOut, targets: Mapping[str, Target]) -> dict[str, dict[str, Any]]:
    """What to expect of each target that has its channels at `places`: its left-out error, and how strange what was left out was."""
    full = torch.zeros(3, len(channels), found.values.shape[1], 1)
    full[:, places] = torch.stack([found.values, found.truth, found.known])[..., None]
    predicted, truth = (channels.values(each, 1) for each in full[:2])
    told = {}
    for name, about in targets.items():
        own = channels.of_targets([name])
        if own and set(own) <= set(places) and not name.startswith(KEYPOINT):
            weight = full[2, own, :, 0].amin(dim=0)
            values = [decode(each[name][:, weight > 0, 0].T, channels.links[name]) for each in (predicted, truth)]
            error = expected_error(values[0], values[1], weight[weight > 0], about.kind, about.unit)
            told[name] = {"error": round(error, 4), "strange": round(found.strange, 6)}
    return told


def confidence(told: Mapping[str, Any], strange: float) -> float:
    """1 less the error to expect of a picture: the left-out one, times how much stranger it is than what was left out."""
    return float(min(1.0, max(0.0, 1 - told["error"] * max(strange / max(told["strange"], 1e-9), _FAMILIAR))))


def _folds(pictures: tuple[int, ...], grid: tuple[int, int]) -> Tensor:
    """What is left out together: (E, h*w), the picture of a crop, or of a single picture its left and right half."""
    if len(set(pictures)) > 1:
        return torch.tensor(pictures)[:, None].expand(-1, grid[0] * grid[1])
    half = torch.arange(grid[1]) >= grid[1] // 2
    return half.long().expand(len(pictures), grid[0], -1).flatten(1)


def _patches(values: Tensor, truth: Tensor, known: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Means over the known pixels of each patch, and their share: (C, B, H, W) each -> (C, B, h*w)."""
    share = adaptive_avg_pool2d(known, grid)
    means = [adaptive_avg_pool2d(each * known, grid) / share.clamp_min(1e-6) for each in (values, truth)]
    return means[0].flatten(2), means[1].flatten(2), share.flatten(2)
