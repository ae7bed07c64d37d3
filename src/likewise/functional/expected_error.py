"""How far answers are from the truth in a number that can be compared between kinds of targets: 0 is right, 1 as good as no answer."""

from __future__ import annotations

import torch
from torch import Tensor

from likewise.functional.links import Link, decode, encode, link_of


def expected_error(predicted: Tensor, truth: Tensor, weight: Tensor, kind: str, unit: str = "") -> float:
    """Mean relative error of positive quantities, else the mean error over the mean deviation from one value for all.

    predicted, truth (R, C) values of a target of that kind and unit, weight (R,). Errors of angles go the shorter way round,
    those of unit vectors are the angle between the two.

    >>> expected_error(torch.tensor([[2.0], [3.0]]), torch.tensor([[4.0], [3.0]]), torch.tensor([1.0, 1.0]), "real")
    0.25
    """
    share = weight[:, None] / weight.sum()
    if kind in ("real", "log") and bool((truth > 0).all()):
        return float(((predicted - truth).abs() / truth * share).sum() / truth.shape[1])
    link = link_of(kind, unit)
    centre = decode((encode(truth, link) * share).sum(0, keepdim=True), link)
    off, deviation = (_apart(values, truth, link) for values in (predicted, centre))
    return float((off * share).sum() / (deviation * share).sum().clamp_min(1e-9))


def _apart(values: Tensor, truth: Tensor, link: Link) -> Tensor:
    """How far values (R or 1, C) are from the truth (R, C): (R, C), of directions (R, 1)."""
    if link in ("angle", "degrees"):
        turn = 360.0 if link == "degrees" else 2 * torch.pi
        return ((values - truth + turn / 2) % turn - turn / 2).abs()
    if link == "unit":
        return (values * truth).sum(1, keepdim=True).clamp(-1, 1).arccos()
    return (values - truth).abs()
