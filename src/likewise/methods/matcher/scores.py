"""Matcher's choice among masks of the target: three scores, filters by them, and the union of the best (section 3.3 of the paper).

emd       1 - the earth mover's distance from the object tokens of the references to the tokens of the mask, at the cost (1 - cosine) / 2
purity    points inside for every token of the mask
coverage  the share of the points that is inside
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data.geometry import area_resize
from likewise.functional.transport import earth_mover

LITTLE = 1e-6


@dataclass(frozen=True)
class Scores:
    """purity, coverage, emd of M masks, each (M,)."""

    purity: Tensor
    coverage: Tensor
    emd: Tensor

    def total(self, alpha: float, beta: float, exponent: float) -> Tensor:
        """The sums (M,) of alpha * emd + beta * purity * coverage ** exponent."""
        return alpha * self.emd + beta * self.purity * self.coverage**exponent


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How masks are chosen. coverage, emd, purity: thresholds of the filters, none at 0; by_score: the rule of absolute distances, else that of
    shares of the best; below: distance 1 - score that is near enough; apart: by how much of the largest distance a mask may be behind the best;
    share: of the best score; most: masks at most.
    """

    coverage: float = 0.0
    emd: float = 0.0
    purity: float = 0.0
    by_score: bool = True
    below: float = 0.33
    apart: float = 0.1
    share: float = 0.7
    most: int = 10


def scored(masks: NDArray[np.bool_], points: NDArray[np.int64], similarity: Tensor, grid: tuple[int, int], parts: int = 0) -> Scores:
    """The scores of masks (M, H, W) of a picture.

    points (K, 2): x before y, in its pixels; similarity (O, P): cosines of the object tokens of the references with the tokens of the grid;
    parts: see `earth_mover`. A token is of a mask that has any of its pixels, all are of an empty mask.
    """
    inside = masks[:, points[:, 1], points[:, 0]].sum(axis=1)
    tokens = np.stack([_tokens(mask, grid) for mask in masks]) if len(masks) else np.zeros((0, grid[0] * grid[1]), bool)
    cost = (1 - similarity.double().numpy()) / 2
    emd = [1 - earth_mover(cost[:, own], parts) for own in tokens]
    purity = inside / np.maximum(tokens.sum(axis=1), 1) + LITTLE
    return Scores(*(torch.from_numpy(np.asarray(values, np.float64)) for values in (purity, inside / max(len(points), 1) + LITTLE, emd)))


def _tokens(mask: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = area_resize(mask, grid).ravel() > 0
    return found if found.any() else np.ones_like(found)


def passing(scores: Scores, choice: Choice) -> Tensor:
    """The places of the masks that pass the filters, one after another; the best of each always passes."""
    kept = torch.arange(len(scores.emd))
    for values, least in ((scores.coverage, choice.coverage), (scores.emd, choice.emd), (scores.purity, choice.purity)):
        if least > 0 and len(kept):
            kept = kept[values[kept] >= values[kept].max().clamp_max(least)]
    return kept


def chosen(total: Tensor, choice: Choice) -> Tensor:
    """The places of the masks to be joined, the best first, of their scores (M,); at least one if there are any."""
    order = total.argsort(descending=True, stable=True)[: choice.most]
    if not len(order):
        return order
    if not choice.by_score:
        return order[total[order] / total[order[0]] > choice.share]
    distance = 1 - total.sort(descending=True, stable=True).values
    near = distance < choice.below
    near[0] = True
    behind = (distance - distance[0]) / (distance[near].max() + LITTLE)
    return order[(near & (behind < choice.apart))[: len(order)]]
