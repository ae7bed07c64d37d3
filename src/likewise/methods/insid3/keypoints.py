"""INSID3's matching of keypoints: the place of a token of one picture in another, by a soft arg max in a window around the hard one."""

from __future__ import annotations

import torch
from torch import Tensor

TEMPERATURE, SIGMA = 0.04, 7.0  # of the softmax; of the window, in tokens


def matched(
    points: Tensor, size: tuple[int, int], tokens: Tensor, other: Tensor, other_size: tuple[int, int], *, sigma: float = SIGMA, temperature: float = TEMPERATURE
) -> Tensor:
    """Where points (n, 2) x, y of a picture of `size` (H, W) lie in another of `other_size`, in pixels: (n, 2) x, y.

    tokens (h, w, C) and other (h', w', C): of length 1, raw or without positions. official: places are not moved by half a token.
    """
    rows, columns = tokens.shape[:2]
    scaled = (points * torch.tensor([columns / size[1], rows / size[0]])).round()
    at = scaled.long().clamp(torch.zeros(2, dtype=torch.long), torch.tensor([columns - 1, rows - 1]))
    return torch.stack([_matched(tokens[y, x], other, sigma, temperature) for x, y in at.tolist()]) * torch.tensor(
        [other_size[1] / other.shape[1], other_size[0] / other.shape[0]]
    )


def _matched(token: Tensor, other: Tensor, sigma: float, temperature: float) -> Tensor:
    """x, y on the grid of `other` (h, w, C) where a token (C,) is found."""
    rows, columns = other.shape[:2]
    similarity = other @ token
    down, across = torch.arange(rows, dtype=torch.float32)[:, None], torch.arange(columns, dtype=torch.float32)
    top, left = divmod(int(similarity.argmax()), columns)
    window = torch.exp(-((down - top) ** 2 + (across - left) ** 2) / (2 * sigma**2))
    chance = torch.softmax((similarity * window).flatten() / temperature, dim=0).reshape(rows, columns)
    return torch.stack([(chance * across).sum(), (chance * down).sum()])
