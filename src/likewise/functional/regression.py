"""Ridge regression in closed form, from sums that can be added, subtracted and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sums:
    """What a weighted least-squares fit needs to know of its rows.

    gram (D+1, D+1) and cross (D+1, C) in float64; the last feature is the constant 1, so gram[-1, -1] is the total weight.
    """

    gram: Tensor
    cross: Tensor

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.gram + other.gram, self.cross + other.cross)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.gram - other.gram, self.cross - other.cross)


def sums(features: Tensor, targets: Tensor, weight: Tensor) -> Sums:
    """The sums of rows: features (P, D), targets (P, C), weight (P,) >= 0 -> Sums.

    Products are taken in float32 and kept in float64. Raises ValueError for shapes that do not agree.
    """
    if features.shape[0] != targets.shape[0] or weight.shape != features.shape[:1]:
        raise ValueError(f"features {tuple(features.shape)}, targets {tuple(targets.shape)}, weight {tuple(weight.shape)} do not agree")
    kept = weight > 0
    rows = with_constant(features[kept].float())
    weighted = rows * weight[kept, None].float()
    return Sums((weighted.T @ rows).double(), (weighted.T @ targets[kept].float()).double())


def with_constant(features: Tensor) -> Tensor:
    """Features (P, D) with a column of ones behind: (P, D+1)."""
    return torch.cat([features, features.new_ones(features.shape[0], 1)], dim=1)


def ridge(total: Sums, strength: float) -> Tensor:
    """Coefficients (D+1, C) float32 that minimise the weighted squared error + penalty * |coefficients|^2.

    The penalty is `strength` times the mean of the gram matrix's diagonal, so that it means the same for any number
    of rows and any scale of the features; the constant is not penalised.
    Raises ValueError if nothing has weight.
    """
    gram = total.gram
    size = gram.shape[0] - 1
    if float(gram[-1, -1]) <= 0:
        raise ValueError("no row has weight: nothing to regress on")
    penalty = strength * float(gram.diagonal()[:size].mean())
    regular = gram.clone()
    regular.diagonal()[:size] += max(penalty, 1e-12)
    factor, failed = torch.linalg.cholesky_ex(regular)
    if int(failed):
        regular.diagonal()[:size] += 1e-6 * float(gram.diagonal().mean())
        return torch.linalg.solve(regular, total.cross).float()
    return torch.cholesky_solve(total.cross, factor).float()


def apply_ridge(features: Tensor, coefficients: Tensor) -> Tensor:
    """Values (P, C) of features (P, D) under coefficients (D+1, C)."""
    return features @ coefficients[:-1].to(features.dtype) + coefficients[-1].to(features.dtype)


def balanced_weight(shares: Tensor, weight: Tensor, power: float = 0.5) -> Tensor:
    """Row weights (P,) that raise rare classes: each row's weight times the mean of its classes' frequency^-power.

    shares (P, C) summing to 1 where weight > 0. Scaled so that the total weight is unchanged.
    """
    area = (shares * weight[:, None]).sum(0)
    frequency = area / area.sum().clamp_min(1e-12)
    factor = torch.where(frequency > 0, frequency.clamp_min(1e-6) ** -power, torch.zeros_like(frequency))
    raised = weight * (shares @ factor)
    return raised * (weight.sum() / raised.sum().clamp_min(1e-12))


def left_out(parts: Sequence[Sums], folds: Sequence[Sequence[int]], strength: float) -> list[Tensor]:
    """One set of coefficients a fold, fitted without the parts of that fold.

    parts: sums of disjoint groups of rows; folds: indices of the parts that are left out together. A fold that holds
    all the weight cannot be left out: it gets the fit of everything.
    """
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    found = []
    for fold in folds:
        rest = total
        for index in fold:
            rest = rest - parts[index]
        nothing_left = float(rest.gram[-1, -1]) <= 1e-9 * float(total.gram[-1, -1])
        found.append(ridge(total if nothing_left else rest, strength))
    return found
