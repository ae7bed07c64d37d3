"""GF-SAM's graph of points and masks, and its two gates.

    clusters     masks that cover each other's points, directly or by way of others
    positive     in a cluster the masks that are most like the object come first; one stays if what it adds is more often positive than not
    consistent   a point is consistent if, of all clusters, its own is most like it for its distance; a cluster needs a half of its points to be

Every mask belongs to the point it was asked for: mask i to point i.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from likewise.functional.resize import resize_grid, resize_nearest
from likewise.methods.gf_sam.priors import SMALL, Priors, weighed

REJECTED, SELECTED, UNDECIDED = 0, 1, 2


@dataclass(frozen=True)
class Graph:
    """The cluster (M,) of each mask, numbered by first appearance, and how many strong components the graph has, of which nothing is made."""

    clusters: Tensor
    strong: int


def clustered(masks: Tensor, points: Tensor, grid: tuple[int, int]) -> Graph:
    """The graph of masks (M, H, W) bool and points (M, 2), x before y: mask i leads to the points that it covers."""
    small = resize_nearest(masks.to(torch.uint8), grid)
    edges = csr_array(small[:, points[:, 1], points[:, 0]].numpy())
    _, labels = connected_components(edges, directed=True, connection="weak")
    strong, _ = connected_components(edges, directed=True, connection="strong")
    _, first, own = np.unique(labels, return_index=True, return_inverse=True)
    return Graph(torch.from_numpy(np.argsort(np.argsort(first))[own]), int(strong))


def positive(masks: Tensor, clusters: Tensor, found: Priors) -> tuple[Tensor, Tensor]:
    """Which masks (M, P) in 0..1 of the tokens add to the object, (M,) bool, and the score (M,) of their cluster.

    official: the score of a whole cluster is by how much its last mask's addition is positive; which of equal masks comes first, and so is the one that
    adds, is left to a sort that keeps no order.
    """
    middle = (found.mean.max() + found.mean.min()) / 2
    contrast = found.mean**2 - found.negative * middle
    more = (contrast > 0).to(masks.dtype)
    likeness = masks @ contrast / (masks.sum(dim=1) + SMALL)
    foreground, scores = torch.zeros(len(masks), dtype=torch.bool), torch.zeros(len(masks))
    for cluster in range(int(clusters.max()) + 1):
        own = torch.nonzero(clusters == cluster)[:, 0]
        inner, ahead = torch.zeros_like(masks[0]), 0.0
        for place in own[likeness[own].argsort(descending=True)].tolist():
            new = masks[place] * (1 - inner)
            ahead = float((more * new).sum() - ((1 - more) * new).sum())
            if ahead > 0:
                foreground[place] = True
                inner = inner + new
        scores[own] = ahead
    return foreground, scores


def consistent(whole: Tensor, clusters: Tensor, points: Tensor, itself: Tensor, width: int) -> Tensor:
    """Which points (M, 2) are consistent, (M,) bool. whole (C, P): the union of the masks of each cluster in 0..1 of the tokens; itself (P, P): cosines of the
    target's tokens with each other.
    """
    at = points[:, 1] * width + points[:, 0]
    values = torch.stack([weighed(itself, union)[1][at] for union in whole], dim=1)  # (M, C)
    apart = torch.cdist(points.double(), points.double())
    nearest = torch.stack([apart[:, clusters == cluster].amin(dim=1) for cluster in range(len(whole))], dim=1)
    best = (values / torch.where(nearest == 0, 1.0, nearest).to(values)).argmax(dim=1)
    good = best == clusters
    share = torch.stack([good[clusters == cluster].float().mean() for cluster in range(len(whole))])
    return good & (share >= 0.5)[clusters]


def unions(masks: Tensor, clusters: Tensor) -> Tensor:
    """The union (C, H, W) of the masks (M, H, W) bool of each cluster."""
    return torch.stack([masks[clusters == cluster].any(dim=0) for cluster in range(int(clusters.max()) + 1)])


def labels_of(foreground: Tensor, steady: Tensor, scores: Tensor) -> Tensor:
    """`SELECTED`, `UNDECIDED` or `REJECTED` for each mask, (M,): whether both gates, one or none let it pass.

    Where none is selected the undecided one of the best cluster is, and all others are rejected; so nothing is never the answer, unless no gate let
    anything pass.
    """
    labels = torch.where(foreground & steady, SELECTED, torch.where(foreground | steady, UNDECIDED, REJECTED))
    if bool((labels == SELECTED).any()) or not bool((labels == UNDECIDED).any()):
        return labels
    best = torch.where(labels == UNDECIDED, scores, -torch.inf).argmax()
    return torch.zeros_like(labels).index_fill(0, best, SELECTED)


@dataclass(frozen=True)
class Gates:
    """foreground (M,) bool: masks that add to the object; scores (M,): of their clusters; steady (M,) bool: masks whose points are consistent."""

    graph: Graph
    foreground: Tensor
    scores: Tensor
    steady: Tensor

    @property
    def labels(self) -> Tensor:
        """What becomes of each mask, see `labels_of`."""
        return labels_of(self.foreground, self.steady, self.scores)


def gates(masks: Tensor, points: Tensor, found: Priors, itself: Tensor, grid: tuple[int, int]) -> Gates:
    """The graph and both gates. masks (M, H, W) bool, M at least 1; points (M, 2): their tokens, x before y; itself (P, P): see `consistent`."""
    graph = clustered(masks, points, grid)
    foreground, scores = positive(resize_grid(masks.float(), grid).flatten(1), graph.clusters, found)
    whole = resize_grid(unions(masks, graph.clusters).float(), grid).flatten(1)
    return Gates(graph, foreground, scores, consistent(whole, graph.clusters, points, itself, grid[1]))
