"""Dense targets of `analogy`: the same regression, its strength and link chosen by left-out prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.functional.links import Link, decode, link_of
from likewise.functional.regression import apply_ridge, left_out, ridge, sums
from likewise.methods.dense import ValueRows

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class ValueReadout:
    """Coefficients (D+1, C) under a link, and the left-out error: relative for positive values, else normalised.

    folds (K, D+1, C): the fits that each left a fold out, whose disagreement tells how sure an answer is; spread:
    their usual disagreement on the support itself.
    """

    coefficients: Tensor
    link: Link
    strength: float
    error: float
    folds: Tensor
    spread: float


def fit_values(rows: ValueRows, folds: Sequence[Tensor]) -> ValueReadout:
    """The read-out of a target. folds: for each example the fold (P,) in which each of its patches is left out.

    Positive real values are tried with a logarithm too, and judged by their mean relative error, which a logarithm
    serves and a plain regression does not; other values by the mean error over the mean deviation.
    """
    fold = _gather(rows, folds)
    best: ValueReadout | None = None
    for link in _links(rows):
        for readout in _candidates(rows, fold, link):
            if best is None or readout.error < best.error:
                best = readout
    if best is None:
        raise AssertionError("no link was tried")
    return best


def disagreement(tokens: Tensor, folds: Tensor) -> float:
    """How far the fits of `folds` (K, D+1, C) lie apart on tokens (P, D): the mean standard deviation of their components."""
    answers = torch.stack([apply_ridge(tokens, coefficients) for coefficients in folds])
    return float(answers.std(0, correction=0).mean())


def _candidates(rows: ValueRows, fold: Tensor, link: Link) -> Iterator[ValueReadout]:
    """A read-out for every strength under a link."""
    components, present = rows.components(link), torch.unique(fold).tolist()
    parts = [sums(rows.tokens[fold == k], components[fold == k], rows.weight[fold == k]) for k in present]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    for strength in STRENGTHS:
        whole = ridge(total, strength)
        left = left_out(parts, [[index] for index in range(len(present))], strength) if len(present) > 1 else [whole]
        predicted = torch.zeros_like(components)
        for k, own in zip(present, left, strict=True):
            predicted[fold == k] = apply_ridge(rows.tokens[fold == k], own)
        folds = torch.stack(left)
        yield ValueReadout(whole, link, strength, _error(decode(predicted, link), rows), folds, disagreement(rows.tokens, folds))


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
