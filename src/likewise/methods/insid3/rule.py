"""INSID3's algorithm (arXiv 2603.28480) as pure functions: from tokens of examples and of a query to a token mask of one class.

Two forms of each token are used: X, scaled to length 1, and D, which is X without what it says of its place (`functional.debiasing`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor
from torch.nn.functional import normalize

from likewise.functional.resize import resize_grid, resize_nearest

FORWARD_QUANTILE = 0.9  # of the similarities, where none is above 0
_AT_ONCE = 1024  # tokens of a query compared at once, so that no map of all pairs is in memory


@dataclass(frozen=True)
class Clustered:
    """A query's tokens in groups: member (P,) the number of each token's cluster, x and d (G, C) the mean X and D of each, scaled to length 1."""

    member: Tensor
    x: Tensor
    d: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """The mean of values (P,) over each cluster: (G,)."""
        sums = values.new_zeros(len(self.x)).index_add(0, self.member, values)
        return sums / torch.bincount(self.member, minlength=len(self.x))


@dataclass(frozen=True)
class Judged:
    """What is said of each of G clusters.

    seed: the cluster that is most alike the prototype of those that hold a candidate, -1 where none does; seed_similarity, cross, intra, area (G,): the four
    numbers behind it; combined (G,): cross * intra * area, by which a cluster is kept, 0 everywhere without a seed.
    """

    seed: int
    seed_similarity: Tensor
    cross: Tensor
    intra: Tensor
    area: Tensor
    combined: Tensor


def squared(mask: Tensor, side: int) -> Tensor:
    """A mask (H, W) bool at side x side pixels, each from the pixel at its corner; the one at the mean place where none of these is the object's (ours).

    Raises ValueError for an empty mask.
    """
    if not bool(mask.any()):
        raise ValueError("the mask is empty")
    found = resize_nearest(mask, (side, side))
    if not bool(found.any()):
        row, column = (torch.nonzero(mask).double().mean(dim=0) * side / torch.tensor(mask.shape)).long().tolist()
        found[row, column] = True
    return found


def token_mask(mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """The patches (h, w) bool that a mask (S, S) of 0 and 1 covers: by the four pixels in the middle of each, or what stands in for that.

    Where no patch is covered: by the first pixel of each; where that finds none either: the one at the mean place. Raises ValueError for an empty mask.
    """
    covered = mask > 0
    if not bool(covered.any()):
        raise ValueError("the mask is empty")
    found = resize_grid(covered.float(), grid) > 0.5
    if not bool(found.any()):
        found = resize_nearest(covered.float(), grid) > 0.5
    if not bool(found.any()):
        row, column = (torch.nonzero(covered).double().mean(dim=0) / (mask.shape[1] // grid[1])).long().tolist()
        found[min(row, grid[0] - 1), min(column, grid[1] - 1)] = True
    return found


def prototype(d: Tensor, masks: Tensor) -> Tensor:
    """The prototype (C,) of length 1: the mean over examples of the mean token under the mask, each example alike whatever its area.

    d (E, P, C), masks (E, P) bool; examples without a token are left out. Raises ValueError where none has any.
    """
    counts = masks.sum(dim=1)
    if not bool(counts.any()):
        raise ValueError("no example has a token under its mask")
    means = torch.einsum("epc,ep->ec", d, masks.to(d.dtype))[counts > 0] / counts[counts > 0, None]
    return normalize(means.mean(dim=0), dim=0)


def nearest(d: Tensor, examples: Tensor) -> Tensor:
    """The most similar token of each example for each token of a query: d (P, C), examples (E, Q, C) -> (E, P) in 0..Q-1."""
    return torch.stack([torch.cat([(part @ tokens.T).argmax(dim=1) for part in torch.split(d, _AT_ONCE)]) for tokens in examples])


def votes(likest: Tensor, masks: Tensor) -> Tensor:
    """In how many examples the most similar token lies under the mask: likest (E, P) as of `nearest`, masks (E, Q) bool -> (P,)."""
    return masks.gather(1, likest).sum(dim=0)


def candidates(forward: Tensor, backward: Tensor, shots: int) -> Tensor:
    """The tokens (P,) bool that are like the prototype, by forward (P,), and are voted for, by backward (P,), in half of the examples at least.

    Like it: similarity above 0, or where none is above the 0.9 quantile. Of two examples one vote is enough, of four two.
    """
    alike = forward > 0
    if not bool(alike.any()):
        alike = forward > torch.quantile(forward, FORWARD_QUANTILE)
    return alike & (backward >= (shots + 1) // 2)


def clustered(x: Tensor, d: Tensor, tau: float) -> Clustered:
    """Groups of a query's tokens x (P, C): average linkage of 1 - cosine, merged below 1 - tau; numbered by first appearance.

    Clusters of exactly that distance stay apart, as in scikit-learn, which the official code uses.
    """
    if len(x) == 1:
        return Clustered(torch.zeros(1, dtype=torch.long), x, d)
    distances = (1 - (x @ x.T).clamp(-1, 1)).numpy()
    tree = linkage(distances[np.triu_indices(len(x), k=1)].astype(np.float64), "average")
    numbers = fcluster(tree, np.nextafter(1 - tau, 0), "distance")
    _, first, own = np.unique(numbers, return_index=True, return_inverse=True)
    member = torch.from_numpy(np.argsort(np.argsort(first))[own])
    return Clustered(member, *(_means(tokens, member) for tokens in (x, d)))


def judged(groups: Clustered, chosen: Tensor, forward: Tensor, likest: Tensor) -> Judged:
    """What is said of each cluster, given the candidates `chosen` (P,) bool, their similarities `forward` (P,) and the prototype `likest` (C,).

    The seed counts whole, however few of its tokens are candidates. Its similarity to the other clusters is of X, all others of D.
    """
    similarity, cross, area = groups.d @ likest, groups.mean(forward), groups.mean(chosen.to(forward.dtype))
    if not bool(chosen.any()):
        nothing = torch.zeros_like(cross)
        return Judged(-1, similarity, cross, nothing, area, nothing)
    seed = int(similarity.masked_fill(area == 0, -torch.inf).argmax())
    area = area.index_fill(0, torch.tensor(seed), 1.0)
    intra = groups.x @ groups.x[seed]
    return Judged(seed, similarity, cross, intra, area, cross * intra * area)


def enlarged(tokens: Tensor, side: int) -> Tensor:
    """Masks (..., h, w) of tokens, 0 or 1, at side x side pixels: bilinear, 1 above a half."""
    return (resize_grid(tokens.float(), (side, side)) > 0.5).float()


def _means(tokens: Tensor, member: Tensor) -> Tensor:
    sums = tokens.new_zeros(int(member.max()) + 1, tokens.shape[1]).index_add(0, member, tokens)
    return normalize(sums, dim=1)
