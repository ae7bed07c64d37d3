"""Dense targets of `analogy`: the same regression, its strength and link chosen by left-out prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.functional.links import Link, decode, link_of
from likewise.functional.regression import apply_ridge, left_out, ridge, sums
from likewise.methods.dense import ValueRows

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2)


@dataclass(frozen=True)
class ValueReadout:
    """Coefficients (D+1, C) under a link, and the left-out error: relative for positive values, else normalised."""

    coefficients: Tensor
    link: Link
    strength: float
    error: float


def fit_values(rows: ValueRows, folds: Sequence[Tensor]) -> ValueReadout:
    """The read-out of a target. folds: for each example the fold (P,) in which each of its patches is left out.

    Positive real values are tried with a logarithm too, and judged by their mean relative error, which a logarithm
    serves and a plain regression does not; other values by the mean error over the mean deviation.
    """
    fold = _gather(rows, folds)
    present = torch.unique(fold).tolist()
    links = _links(rows)
    best: ValueReadout | None = None
    for link in links:
        components = rows.components(link)
        parts = [sums(rows.tokens[fold == k], components[fold == k], rows.weight[fold == k]) for k in present]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        for strength in STRENGTHS:
            predicted = torch.zeros_like(components)
            coefficients = left_out(parts, [[index] for index in range(len(present))], strength) if len(present) > 1 else [ridge(total, strength)]
            for k, own in zip(present, coefficients, strict=True):
                predicted[fold == k] = apply_ridge(rows.tokens[fold == k], own)
            error = _error(decode(predicted, link), rows)
            if best is None or error < best.error:
                best = ValueReadout(ridge(total, strength), link, strength, error)
    if best is None:
        raise AssertionError("no link was tried")
    return best


def _gather(rows: ValueRows, folds: Sequence[Tensor]) -> Tensor:
    longest = max(len(item) for item in folds)
    table = torch.stack([torch.nn.functional.pad(item, (0, longest - len(item))) for item in folds])
    return table[rows.example, rows.patch]


def _links(rows: ValueRows) -> tuple[Link, ...]:
    own = link_of(rows.kind)
    if rows.kind == "real" and bool((rows.values > 0).all()):
        return ("identity", "log")
    return (own,)


def _error(predicted: Tensor, rows: ValueRows) -> float:
    """Mean relative error where all values are positive, else mean absolute error over the mean absolute deviation."""
    weight = rows.weight[:, None] / rows.weight.sum()
    off = (predicted - rows.values).abs()
    if bool((rows.values > 0).all()):
        return float((off / rows.values * weight).sum() / rows.values.shape[1])
    centre = (rows.values * weight).sum(0)
    return float((off * weight).sum() / ((rows.values - centre).abs() * weight).sum().clamp_min(1e-9))
