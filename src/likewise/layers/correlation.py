"""Correlation tokens: cosines of every query token with every support token, by layer and head of a transformer.

Source: Kang et al. 2023 (CST), section 3.1; EMAT (2025) uses the same ones. Letters: X pairs of a query and a support
image, L layers, A heads, Q query patches, S support tokens (the class token first), d = D/A channels of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from likewise.functional.heads import by_head
from likewise.functional.resize import resize_corners


def unit_query(patches: Tensor, heads: int) -> Tensor:
    """Patch tokens by head, each of length 1: (X, L, Q, D) -> (X, L, A, Q, d)."""
    return normalize(by_head(patches, heads), dim=-1)


def unit_support(class_token: Tensor, patches: Tensor, grid: tuple[int, int], side: int, heads: int) -> Tensor:
    """Class token and patch tokens on a square of side x side, by head, each of length 1.

    class_token (X, L, D), patches (X, L, h*w, D) with grid = (h, w) -> (X, L, A, 1 + side*side, d). The patches are resized
    before they are scaled to length 1. Raises ValueError where the grid does not fit.
    """
    if patches.shape[-2] != grid[0] * grid[1]:
        raise ValueError(f"{patches.shape[-2]} patches are no grid of {grid[0]}x{grid[1]}")
    maps = patches.transpose(-1, -2).reshape(*patches.shape[:-2], -1, *grid)
    small = resize_corners(maps, (side, side)).flatten(-2).transpose(-1, -2)
    return normalize(by_head(torch.cat([class_token[..., None, :], small], dim=-2), heads), dim=-1)


def correlation(query: Tensor, support: Tensor) -> Tensor:
    """All cosines as channels of a map over query and support: (X, L, A, Q, d), (X, L, A, S, d) -> (X, A*L, Q, S).

    The head is the slow index of the channels, the layer the fast one.
    """
    return (query @ support.transpose(-1, -2)).transpose(1, 2).flatten(1, 2)


def pool_square(tokens: Tensor, kernel: int) -> Tensor:
    """The first token as it is, the others, seen as a square, averaged kernel by kernel: (..., 1 + s*s) -> (..., 1 + (s // kernel)**2).

    Raises ValueError where the others are no square.
    """
    side = square_side(tokens.shape[-1])
    maps = tokens[..., 1:].reshape(1, -1, side, side)
    return torch.cat([tokens[..., :1], avg_pool2d(maps, kernel).reshape(*tokens.shape[:-1], -1)], dim=-1)


def square_side(count: int) -> int:
    """The side of the square of all support tokens but the first; ValueError where there is none.

    >>> square_side(145)
    12
    """
    side = math.isqrt(count - 1)
    if side * side != count - 1 or side == 0:
        raise ValueError(f"{count} support tokens are not a class token and a square")
    return side


def hidden_tokens(masks: Tensor, side: int) -> Tensor:
    """Which tokens of a square no mask touches: masks (X, H, W), 0 outside -> (X, side*side) bool.

    A token is hidden where the mask, resized with its corners on those of the square, is exactly 0. Nothing is averaged
    over a token's cell, so a small object may be missed; trained weights know it so.
    """
    return (resize_corners(masks.float(), (side, side)) == 0).flatten(1)
