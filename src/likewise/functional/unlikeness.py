"""How unlike anything known a token is, and from where on that is worth an alarm.

Distances to the nearest known token are after PatchCore (Roth et al. 2022). The alarm is a conformal rule (Vovk et al. 2005; Papadopoulos et al. 2002):
of n + 1 numbers that could have come in any order, the last is above the k-th smallest of the others with a probability of at most (n + 1 - k) / (n + 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from likewise.functional.matching import cosine

_CHUNK = 4096  # tokens that are compared with the memory at once


@dataclass(frozen=True)
class Alarm:
    """A threshold, and the share 0..1 of good pictures that is expected above it at most."""

    threshold: float
    promised: float


def nearest_distance(tokens: Tensor, memory: Tensor) -> Tensor:
    """1 - the largest cosine of each token with the memory: (P, D), (K, D) -> (P,) in 0..2. ValueError for an empty memory."""
    if not len(memory):
        raise ValueError("the memory is empty: nothing can be near to it")
    return torch.cat([1 - cosine(part, memory).amax(1) for part in torch.split(tokens, _CHUNK)]) if len(tokens) else tokens.new_zeros(0)


def own_distance(tokens: Tensor, grid: tuple[int, int], known: Tensor, apart: int) -> Tensor:
    """The same with the picture's own known tokens more than `apart` cells away as memory: (P, D) of a grid (h, w), known (P,) bool -> (P,).

    0 where there is none so far away.
    """
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    places = torch.stack([rows, columns], dim=-1).reshape(-1, 2)
    found = []
    for part, place in zip(torch.split(tokens, _CHUNK), torch.split(places, _CHUNK), strict=True):
        near = (place[:, None] - places[None]).abs().amax(-1) <= apart
        best = cosine(part, tokens).masked_fill(near | ~known, -torch.inf).amax(1)
        found.append(torch.where(best.isinf(), 0.0, 1 - best))
    return torch.cat(found)


def left_out_distances(tokens: Sequence[Tensor], memories: Sequence[Tensor]) -> Iterator[Tensor]:
    """The distance of each picture's tokens [(P, D)] to the memories [(K, D)] of all others, in order, each (P,). ValueError where the others have none."""
    for index, own in enumerate(tokens):
        yield nearest_distance(own, torch.cat([memory for other, memory in enumerate(memories) if other != index]))


def smoothed(distances: Tensor, grid: tuple[int, int], known: Tensor | None = None) -> Tensor:
    """The mean over each cell and its eight neighbours, of those that lie in the grid and are known: (P,), known (P,) bool -> (P,), 0 where none is."""
    weight = torch.ones_like(distances) if known is None else known.to(distances.dtype)
    total, share = (avg_pool2d(pad(part.reshape(1, 1, *grid), (1, 1, 1, 1)), 3, stride=1).flatten() for part in (distances * weight, weight))
    return total / share.clamp_min(1e-6)


def alarm_above(highest: Tensor, share: float) -> Alarm:
    """The threshold that at most a `share` of good pictures exceed, from the highest distance (n,) of n left-out good ones.

    It is the k-th smallest, k = ceil((n + 1)(1 - share)). Where n is too small for that it is the largest, and what is promised is 1 / (n + 1).
    ValueError for no picture, and a share outside of 0..1.

    >>> alarm_above(torch.tensor([4.0, 1.0, 3.0, 2.0]), 0.4)
    Alarm(threshold=3.0, promised=0.4)
    """
    count = len(highest)
    if not count or not 0 < share < 1:
        raise ValueError(f"no threshold for a share of {share} from {count} pictures")
    place = min(count, max(1, math.ceil(round((count + 1) * (1 - share), 9))))
    return Alarm(float(highest.sort().values[place - 1]), (count + 1 - place) / (count + 1))


def best_cut(distances: Tensor, shares: Tensor) -> float:
    """The threshold above which cells overlap best with what is to be found: distances (R,) >= 0, shares (R,) of each cell in 0..1 -> by soft IoU.

    The middle between the last distance above and the first below, 0 where there is none. ValueError where there is nothing to find.
    """
    total = float(shares.sum())
    if not total > 0:
        raise ValueError("no cell has a share of what is to be found")
    ordered, order = distances.double().sort(descending=True)
    both = shares[order].double().cumsum(0)
    overlap = both / (torch.arange(1, len(order) + 1) + total - both)
    last = torch.ones(len(order), dtype=torch.bool)
    last[:-1] = ordered[:-1] > ordered[1:]  # equal distances lie on one side together
    best = int(overlap.masked_fill(~last, -1.0).argmax())
    below = float(ordered[best + 1]) if best + 1 < len(ordered) else 0.0
    return (float(ordered[best]) + below) / 2
