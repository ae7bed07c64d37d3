"""Pyramids of correlations: products of every place of a query with every place of a support image, at three levels of a network.

Sources: Min et al. 2021 (HSNet), Kang and Cho 2022 (ASNet), and their code. A level is (X, T, C, h, w): the T maps of C channels that
one stage of a network gives, of X images; levels stand deepest first. Letters: X pairs of a query and a support image, h w places
of the query, s t of the support.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from likewise.functional.resize import resize_corners

EPSILON = 1e-5  # added to lengths, not their minimum
LARGE = 50  # columns from which on ASNet pools a map of the support


def pooled_support(maps: Tensor, large: int = LARGE) -> Tensor:
    """Maps (X, C, h, w) of a support image; those of at least `large` columns averaged 3x3 with stride 2, zeros around them counted."""
    return avg_pool2d(maps, 3, stride=2, padding=1) if maps.shape[-1] >= large else maps


def unit(level: Tensor) -> Tensor:
    """Every place of maps (..., C, h, w) divided by its length over the channels and 1e-5, so that a place without length stays 0."""
    return level / (level.norm(dim=-3, keepdim=True) + EPSILON)


def masked(level: Tensor, masks: Tensor) -> Tensor:
    """Maps (X, T, C, h, w) times masks (X, H, W), resized with their corners on those of the maps."""
    return level * resize_corners(masks.float(), (level.shape[-2], level.shape[-1]))[:, None, None]


def correlations(query: Tensor, support: Tensor) -> Tensor:
    """Products of unit maps, those below 0 as 0: (X, T, C, h, w), (X, T, C, s, t) -> (X, T, h, w, s, t)."""
    products = query.flatten(3).transpose(-1, -2) @ support.flatten(3)
    return products.clamp_(min=0).reshape(*query.shape[:2], *query.shape[-2:], *support.shape[-2:])


def resize_query(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (X, C, h, w, s, t) over query and support at another size (h, w) of the query, corners on corners."""
    if tuple(x.shape[2:4]) == size:
        return x
    moved = x.permute(0, 1, 4, 5, 2, 3)
    return resize_corners(moved, size).permute(0, 1, 4, 5, 2, 3)


class PyramidLearner(nn.Module):
    """What HSNet and ASNet train.

    channels: maps of each level, deepest first; squeezes: for each level what brings its support to 2 x 2 places.
    """

    channels: tuple[int, ...]
    squeezes: tuple[Any, ...]

    @abstractmethod
    def forward(self, pyramid: Sequence[Tensor], masks: Tensor | None = None) -> Tensor:
        """Logits (X, 2, 2h, 2w) of correlations (X, T, h, w, s, t) of three levels, deepest first, and masks (X, H, W), None for none."""
