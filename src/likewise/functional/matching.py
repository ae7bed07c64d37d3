"""Comparing query tokens with support tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def class_means(tokens: Tensor, shares: Tensor) -> Tensor:
    """The mean token of every class, scaled to length 1: tokens (P, D), shares (P, C) >= 0 -> (C, D).

    A class without any share gets zeros, whose cosine with everything is 0.
    """
    mass = shares.sum(0)
    means = (shares.T @ tokens) / mass.clamp_min(1e-12)[:, None]
    return torch.where(mass[:, None] > 0, normalize(means, dim=1), torch.zeros_like(means))


def cosine(queries: Tensor, keys: Tensor) -> Tensor:
    """Cosine of every query with every key: (P, D), (K, D) -> (P, K)."""
    return normalize(queries, dim=1) @ normalize(keys, dim=1).T


def nearest_by_class(queries: Tensor, keys: Tensor, shares: Tensor, count: int) -> Tensor:
    """For each class the mean of the `count` largest cosines to its keys: (P, D), (K, D), (K, C) -> (P, C).

    A key belongs to the classes whose share of it is a half or more. Classes without keys get -1.
    """
    similarity = cosine(queries, keys)
    scores = queries.new_full((queries.shape[0], shares.shape[1]), -1.0)
    for index in range(shares.shape[1]):
        own = similarity[:, shares[:, index] >= 0.5]
        if own.shape[1]:
            scores[:, index] = own.topk(min(count, own.shape[1]), dim=1).values.mean(dim=1)
    return scores


def attend(queries: Tensor, keys: Tensor, values: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Values of the keys, averaged by softmax of scaled cosine: (P, D), (K, D), (K, C), (K,) -> (P, C).

    weight multiplies the attention of a key; keys of weight 0 are not seen.
    """
    logits = cosine(queries, keys) / temperature + weight.clamp_min(1e-30).log()
    return torch.softmax(logits, dim=1) @ values


def spread_out(count: int, budget: int) -> Tensor:
    """At most `budget` indices out of `count`, evenly spaced, so that a choice of rows needs no random numbers."""
    if count <= budget:
        return torch.arange(count)
    return (torch.arange(budget, dtype=torch.float64) * (count / budget)).long()
