"""Prototypes of classes: means of feature vectors, scores by distance or cosine, and sums that grow by further examples.

Source: Snell, Swersky and Zemel 2017. Letters: N classes, S supports, Q queries, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize


class ClassSums(NamedTuple):
    """What is known of each class: the sum (N, D) of its vectors and how many (N,) these are."""

    sums: Tensor
    counts: Tensor

    def means(self) -> Tensor:
        """The prototypes (N, D). ValueError where a class has no example."""
        empty = (self.counts == 0).nonzero().flatten().tolist()
        if empty:
            raise ValueError(f"the classes {empty} have no example, so no mean")
        return self.sums / self.counts[:, None].to(self.sums.dtype)

    def plus(self, features: Tensor, labels: Tensor) -> ClassSums:
        """The same with further vectors (S, D) of classes (S,); one that is not known yet is added behind the last."""
        known = len(self.counts)
        n_way = max(known, int(labels.max()) + 1) if len(labels) else known
        more = class_sums(features, labels, n_way)
        return ClassSums(torch.cat([self.sums + more.sums[:known], more.sums[known:]]), torch.cat([self.counts + more.counts[:known], more.counts[known:]]))


def class_sums(features: Tensor, labels: Tensor, n_way: int) -> ClassSums:
    """Sums and counts of vectors (S, D) by class (S,).

    >>> class_sums(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 5.0]]), torch.tensor([0, 0, 1]), 2).means().tolist()
    [[2.0, 3.0], [5.0, 5.0]]
    """
    sums = features.new_zeros(n_way, features.shape[1]).index_add(0, labels, features)
    return ClassSums(sums, torch.bincount(labels, minlength=n_way))


def distance_scores(queries: Tensor, prototypes: Tensor) -> Tensor:
    """Negative squared distances (Q, N) of queries (Q, D) from prototypes (N, D), from differences so that large norms do not cancel."""
    return torch.stack([-(queries - prototype).square().sum(dim=-1) for prototype in prototypes], dim=-1)


def distance_head(prototypes: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (N, D) and bias (N,) of the linear layer that gives the distance scores but for the squared length of the query.

    That is the same for all classes, so probabilities are the same; exact up to rounding.
    """
    return 2 * prototypes, -prototypes.square().sum(dim=-1)


def cosine_scores(queries: Tensor, prototypes: Tensor, scale: float = 1.0) -> Tensor:
    """Scaled cosines (Q, N) of queries (Q, D) with prototypes (N, D); 0 for a vector of zeros."""
    return scale * normalize(queries, dim=-1) @ normalize(prototypes, dim=-1).T
