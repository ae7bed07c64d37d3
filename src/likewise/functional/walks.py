"""Random walks over the patches of a picture: what a walker reaches, and how soon it leaves.

The walk goes from patch to patch the likelier the more their tokens look alike, wherever they lie, and can leave from patches of the
border alone. Each question is one system of linear equations. After saliency by absorbing Markov chains (Jiang et al. 2013)
and segmentation by random walkers (Grady 2006), with the tokens of a self-supervised network for likeness.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

LARGEST = 32  # side of the grid on which one walks; larger ones are averaged, since the equations grow with its sixth power


def likeness(tokens: Tensor, sharpness: float) -> Tensor:
    """How alike patches are, (P, P) in 0..1, of tokens (P, D): the cosine of what is left without their mean, sharpened."""
    unit = normalize(tokens - tokens.mean(dim=0), dim=-1)
    return torch.exp(sharpness * (unit @ unit.T - 1))


def shrunk(tokens: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """Tokens (P, D) of a grid as those of one that is not larger than `LARGEST` a side, averaged, and that grid."""
    small = (min(grid[0], LARGEST), min(grid[1], LARGEST))
    if small == grid:
        return tokens.double(), grid
    return adaptive_avg_pool2d(tokens.double().T.reshape(-1, *grid), small).flatten(1).T, small


def border_of(grid: tuple[int, int]) -> Tensor:
    """The patches (P,) bool at the border of a grid."""
    border = torch.ones(grid, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    return border.flatten()


def time_to_leave(alike: Tensor, border: Tensor) -> Tensor:
    """How many steps a walk takes to leave the picture from each patch, (P,): from a border patch it leaves every second time."""
    degree = alike.sum(dim=1)
    return torch.linalg.solve(torch.diag(degree * (1 + border.to(degree))) - alike, degree)


def chance_to_reach(alike: Tensor, border: Tensor, seeds: Tensor, leaving: float) -> Tensor:
    """How likely a walk from each patch comes to a seed of each group before it leaves: (P, G) of seeds (P, G) bool.

    A walk ends at the seeds of every group, and at a border patch with the odds `leaving` to going on. A patch
    that is a seed of several groups belongs to the first.
    """
    taken = seeds.any(dim=1)
    first = torch.zeros(seeds.shape, dtype=alike.dtype, device=alike.device)
    first[taken, seeds[taken].int().argmax(dim=1)] = 1
    alike = alike - torch.diag(alike.diag())  # staying tells nothing
    degree = alike.sum(dim=1)
    system = torch.diag(degree * (1 + leaving * border.to(degree))) - alike
    free = ~taken
    first[free] = torch.linalg.solve(system[free][:, free], alike[free][:, taken] @ first[taken])
    return first


def two_groups(values: Tensor) -> Tensor:
    """The number between two groups of values, each as uniform as can be (Otsu 1979), halfway between its neighbours."""
    ordered = values.flatten().sort().values
    count = len(ordered)
    if count < 2:
        return ordered[-1]
    below = torch.arange(1, count, device=values.device)
    sums = ordered.cumsum(dim=0)
    apart = below * (count - below) * (sums[:-1] / below - (sums[-1] - sums[:-1]) / (count - below)) ** 2
    place = int(apart.argmax())
    return (ordered[place] + ordered[place + 1]) / 2
