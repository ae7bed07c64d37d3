"""A few rows that stand for many: chosen by what they hold, so neither by chance nor by the order in which they came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_DIRECTIONS = 32  # principal directions that cells are cut along; 16 and 64 covered real tokens no better
_SAMPLE = 20_000  # rows that these directions are taken from
_CHUNK = 16_384  # rows that are held a second time while they are hashed and projected


@dataclass(frozen=True)
class Coreset:
    """Indices (K,) of the kept rows, ascending, and the mass (K,): the weight of all rows that each stands for, its own included."""

    rows: Tensor
    mass: Tensor


def coreset(tokens: Tensor, labels: Tensor, weight: Tensor, budget: int, *, by_class: bool) -> Coreset:
    """At most `budget` rows that cover all; with no more rows than that, every row with its own weight.

    tokens (R, D), labels (R, C), weight (R,) > 0, all float32. by_class: the labels are shares of classes, of which each
    that has any keeps as many rows as it has, or an equal part of the budget and more by its size if some is left. The
    rows of a class are halved along their longest direction until there are as many cells as rows to keep; of each cell
    the row nearest to its mean is kept. Rows in another order give the same rows.
    Raises ValueError for shapes that do not agree and for a budget below 1.
    """
    if not len(tokens) == len(labels) == len(weight) or budget < 1:
        raise ValueError(f"tokens {tuple(tokens.shape)}, labels {tuple(labels.shape)}, weight {tuple(weight.shape)}, budget {budget} do not fit")
    if len(tokens) <= budget:
        return Coreset(torch.arange(len(tokens)), weight)
    group = _classes(labels) if by_class else torch.zeros(len(tokens), dtype=torch.long)
    order = _canonical(tokens, labels, weight)
    points, group_there, weight_there = _projected(tokens, order), group[order].numpy(), weight[order].double().numpy()
    kept, mass = [], []
    for number, quota in quotas(np.bincount(group_there), budget).items():
        for cell in _cells(points, np.flatnonzero(group_there == number), quota):
            kept.append(cell[((points[cell] - points[cell].mean(0)) ** 2).sum(1).argmin()])
            mass.append(weight_there[cell].sum())
    rows, ascending = order[torch.from_numpy(np.array(kept))].sort()
    return Coreset(rows, torch.tensor(mass, dtype=weight.dtype)[ascending])


def quotas(counts: NDArray[np.integer], budget: int) -> dict[int, int]:
    """How many rows each group keeps: counts (G,) -> {group: rows} for groups that keep some; together the budget.

    Each keeps all it has or an equal part of the budget, then more in proportion to what it would lose.
    Raises ValueError for a budget above the number of rows.

    >>> quotas(np.array([90, 0, 10, 2]), 12)
    {0: 6, 2: 4, 3: 2}
    """
    some = np.flatnonzero(counts)
    if budget > counts.sum():
        raise ValueError(f"a budget of {budget} is more than the {counts.sum()} rows")
    first = np.minimum(counts[some], budget // len(some))
    lost, left = counts[some] - first, budget - int(first.sum())
    edges = np.floor(np.cumsum(lost) * (left / max(1, int(lost.sum()))) + 0.5).astype(int)
    more = np.diff(edges, prepend=0)
    return {group: rows for group, rows in zip(some.tolist(), (first + more).tolist(), strict=True) if rows}


def _classes(shares: Tensor) -> Tensor:
    """The class (R,) that each row stands for: the one whose share comes closest to the largest that this class has anywhere.

    So a thin class, which covers no patch by half, has rows too.
    """
    return (shares / shares.max(0).values.clamp_min(1e-9)).argmax(1)


def _canonical(tokens: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """The rows (R,) sorted by a hash of their bits, so in an order that does not depend on where they stood."""
    columns = tokens.shape[1] + labels.shape[1] + 1
    factors = torch.randint(-(2**62), 2**62, (columns,), generator=torch.Generator().manual_seed(0))
    hashes = [
        (torch.cat([*parts[:2], parts[2][:, None]], dim=1).view(torch.int32).long() * factors).sum(1)
        for parts in zip(*(torch.split(part, _CHUNK) for part in (tokens, labels, weight)), strict=True)
    ]
    return torch.cat(hashes).argsort(stable=True)


def _projected(tokens: Tensor, order: Tensor) -> NDArray[np.float32]:
    """The rows in that order along their principal directions: (R, D) -> (R, 32 or D)."""
    sample = tokens[order[:_SAMPLE]]
    centred = sample - sample.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    found: NDArray[np.float32] = torch.cat([tokens[part] @ directions[:, -_DIRECTIONS:] for part in torch.split(order, _CHUNK)]).numpy()
    return found


def _cells(points: NDArray[np.float32], members: NDArray[np.integer], count: int) -> Iterator[NDArray[np.integer]]:
    """The members, cut into `count` cells of nearly as many rows each, every time across the direction of the largest variance."""
    waiting = [(members, count)]
    while waiting:
        own, parts = waiting.pop()
        if parts == 1:
            yield own
            continue
        there = points[own]
        along = there[:, there.var(0).argmax()].argsort(kind="stable")
        place = round(len(own) * (parts // 2) / parts)
        waiting += [(own[along[place:]], parts - parts // 2), (own[along[:place]], parts // 2)]
