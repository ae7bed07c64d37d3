"""Hallucinated features by analogy: as cluster c of a base class is to d, so is a seed to a new example (Hariharan and Girshick 2017).

mined_analogies     pairs (a, b) of clusters of a class, each with the most parallel pair (c, d) of another class
AnalogyRegressor    predicts b from a, c and d
generated_examples  new examples of novel classes: seeds carried along pairs of clusters of base classes
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, mse_loss

UNIT_FLOOR = 1e-5  # added to the length of a difference of centres
ROWS = 2048  # pairs (a, b) that are compared with all of another class at once


@dataclass(frozen=True)
class Analogies:
    """Analogies a : b = c : d: rows (M, 4) of indices class * K + cluster, and the cosine (M,) of both differences."""

    rows: Tensor
    scores: Tensor


@dataclass(frozen=True)
class AnalogyLoss:
    """The regressor's loss and its two terms, scalars."""

    total: Tensor
    classes: Tensor
    squares: Tensor


class AnalogyRegressor(nn.Module):
    """Three linear layers with ReLU behind each: seed, c and d (..., D) -> the hallucinated feature (..., D), not negative."""

    def __init__(self, width: int, inner: int = 512) -> None:
        super().__init__()
        self.fc1 = nn.Linear(3 * width, inner)
        self.fc2 = nn.Linear(inner, inner)
        self.fc3 = nn.Linear(inner, width)

    def forward(self, seed: Tensor, c: Tensor, d: Tensor) -> Tensor:
        """The feature that is to the seed as d is to c."""
        x = torch.cat([seed, c, d], dim=-1)
        for layer in (self.fc1, self.fc2, self.fc3):
            x = layer(x).relu()
        return x


def mined_analogies(centres: Tensor) -> Analogies:
    """The best analogy of every ordered pair of different clusters of a class, where its cosine is positive.

    centres (C, K, D), K clusters of each base class; pairs in the order of class, a, b. Raises ValueError for fewer than
    two classes, as c and d are of another one, or two clusters.
    """
    classes, clusters, _ = centres.shape
    if classes < 2 or clusters < 2:
        raise ValueError(f"centres {tuple(centres.shape)}: an analogy takes two clusters of a class and two of another")
    first, second = _ordered_pairs(clusters, centres.device)
    pairs = first.numel()
    found = [_best_elsewhere(centres, own, first, second) for own in range(classes)]
    scores, places = torch.cat([one[0] for one in found]), torch.cat([one[1] for one in found])
    theirs, pair = places // pairs * clusters, places % pairs
    mine = torch.arange(classes, device=centres.device).repeat_interleave(pairs) * clusters
    rows = torch.stack([mine + first.repeat(classes), mine + second.repeat(classes), theirs + first[pair], theirs + second[pair]], dim=1)
    kept = scores > 0
    return Analogies(rows[kept], scores[kept])


def _ordered_pairs(clusters: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Both members of all ordered pairs of different clusters."""
    first, second = torch.cartesian_prod(torch.arange(clusters, device=device), torch.arange(clusters, device=device)).unbind(dim=1)
    return first[first != second], second[first != second]


def _best_elsewhere(centres: Tensor, own: int, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The largest cosine of each pair of class `own` with a pair of another class, and where that is: (P,) each, place = class * P + pair.

    A class at a time, as the differences of all classes may not fit into memory (8 GB for the published 389 classes of 100 clusters).
    """

    def units(of: int) -> Tensor:
        differences = centres[of, first] - centres[of, second]
        return differences / (differences.norm(dim=1, keepdim=True) + UNIT_FLOOR)

    mine = units(own)
    best = mine.new_full((len(mine),), -torch.inf)
    place = torch.zeros(len(mine), dtype=torch.int64, device=mine.device)
    for other in (index for index in range(len(centres)) if index != own):
        theirs = units(other)
        cosine, pair = zip(*((part @ theirs.T).max(dim=1) for part in torch.split(mine, ROWS)), strict=True)
        better = torch.cat(cosine) > best
        best = torch.where(better, torch.cat(cosine), best)
        place = torch.where(better, other * len(mine) + torch.cat(pair), place)
    return best, place


def analogy_loss(regressor: AnalogyRegressor, classifier: Tensor, centres: Tensor, rows: Tensor, *, weight: float = 10.0) -> AnalogyLoss:
    """Cross entropy of the fixed base classifier on the predicted b, and `weight` times its squared error.

    classifier (C, D) without bias, centres (C, K, D), rows (M, 4) of `Analogies`; the label of a row is the class of b.
    """
    flat = centres.flatten(0, 1)
    a, b, c, d = (flat[rows[:, place]] for place in range(4))
    predicted = regressor(a, c, d)
    classes = cross_entropy(linear(predicted, classifier), rows[:, 1] // centres.shape[1])
    squares = mse_loss(predicted, b)
    return AnalogyLoss(classes + weight * squares, classes, squares)


def generated_examples(
    regressor: AnalogyRegressor, features: Tensor, labels: Tensor, centres: Tensor, generator: np.random.RandomState, *, per_class: int = 5
) -> tuple[Tensor, Tensor]:
    """Features (P + G, D) and labels (P + G,): those given, and behind them new ones until a class has `per_class`.

    features (P, D), labels (P,), centres (C, K, D). A new example has a seed among those of its class, and two clusters
    (which may be one) of any base class. Classes in the order of their labels; each draws seeds, base classes, c and d.
    """
    base_classes, clusters, _ = centres.shape
    drawn: list[NDArray[np.int64]] = []
    new_labels: list[int] = []
    for label in torch.unique(labels).tolist():
        own = torch.nonzero(labels == label)[:, 0].cpu().numpy()
        missing = max(0, per_class - len(own))
        seeds, base = own[generator.choice(len(own), missing)], generator.choice(base_classes, missing)
        drawn.append(np.stack([seeds, base, generator.choice(clusters, missing), generator.choice(clusters, missing)]))
        new_labels += [label] * missing
    seed, base, c, d = torch.from_numpy(np.concatenate(drawn, axis=1)).to(features.device)
    with torch.no_grad():
        new = regressor(features[seed], centres[base, c], centres[base, d])
    return torch.cat([features, new]), torch.cat([labels, torch.tensor(new_labels, dtype=labels.dtype, device=labels.device)])
