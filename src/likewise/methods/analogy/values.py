"""Dense targets of `analogy`: two regressions, one linear in the tokens and one of kernels, averaged.

The linear one follows what grows steadily (brightness, texture), the kernel one what belongs to a thing (a heat map, the depth
of a chair). Their penalties, shares and link are chosen by predicting the support from itself where whole images can be left out.
Blocks of one image flatter weak penalties, and cannot choose: there the usual ones stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.functional.expected_error import expected_error
from likewise.functional.links import Link, decode, link_of
from likewise.functional.regression import apply_ridge, left_out, ridge, sums
from likewise.methods.analogy.kernel import landmark_places, likeness, strangeness, whitening
from likewise.methods.dense import ValueRows

STRENGTHS = {"linear": (1e-2, 1e-1, 1e-3, 1e-4), "kernel": (1e-1, 1.0, 1e-2)}  # of the penalties; the first of each is the usual one
_SHARES = (0.5, 1.0, 0.0)  # of the linear regression in the answer; the first is the usual one
_IMAGES = 3  # and copies of them, left out, from which the level of counts can be told
_NOISE = 1.1  # errors within this factor of the best are as good: left-out errors of a few images tell no more


@dataclass(frozen=True)
class ValueFit:
    """Two regressions: linear (D+1, C) on tokens, kernel (M+1, C) on their likeness to the landmarks (M, D), and the share () of the first."""

    linear: Tensor
    kernel: Tensor
    landmarks: Tensor
    share: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """The tensors to keep."""
        return {"linear": self.linear, "kernel": self.kernel, "landmarks": self.landmarks, "share": self.share}

    @classmethod
    def of(cls, kept: Mapping[str, Tensor]) -> ValueFit:
        """The fit that `tensors` were kept of."""
        return cls(kept["linear"], kept["kernel"], kept["landmarks"], kept["share"])

    def answers(self, tokens: Tensor) -> tuple[Tensor, float]:
        """Components (P, C) of tokens (P, D), and how strange the tokens are to the landmarks."""
        like = likeness(tokens, self.landmarks)
        linear, kernel = apply_ridge(tokens, self.linear), apply_ridge(like, self.kernel)
        return self.share * linear + (1 - self.share) * kernel, strangeness(like)


@dataclass(frozen=True)
class ValueReadout:
    """A fit under a link and its left-out error: relative for positive values, else over the mean deviation.

    strengths: those whose fits were averaged, by regression; strange: how strange left-out patches are to the landmarks.
    """

    fit: ValueFit
    link: Link
    error: float
    strengths: dict[str, list[float]]
    strange: float


@dataclass(frozen=True)
class _Regression:
    """Coefficients (D+1, C), the left-out components (R, C) and the strengths of the penalties that were averaged."""

    coefficients: Tensor
    left_out: Tensor
    strengths: tuple[float, ...]


def fit_values(rows: ValueRows, folds: Sequence[Tensor]) -> ValueReadout:
    """The read-out of a target. folds: for each example the fold (P,) in which each of its patches is left out.

    Positive real values are judged by their mean relative error and fitted under a logarithm, which serves it, unless a
    plain regression is better beyond noise; other values are judged by the mean error over the mean deviation.
    """
    fold = _gather(rows, folds)
    whole = any(len(torch.unique(folds[place])) == 1 for place in torch.unique(rows.example).tolist())
    strengths = {name: found if whole else found[:1] for name, found in STRENGTHS.items()}
    places = landmark_places(len(rows.tokens))
    marks = rows.tokens[places].half()
    like, white, links = likeness(rows.tokens, marks), whitening(marks), _links(rows)
    strange = strangeness(like.masked_fill(fold[:, None] == fold[places], 0.0) if len(torch.unique(fold)) > 1 else like)
    components = torch.cat([rows.components(link) for link in links], dim=1)
    tried = {
        "linear": _regressions(rows.tokens, components, fold, rows.weight, strengths["linear"]),
        "kernel": _regressions(like @ white, components, fold, rows.weight, strengths["kernel"]),
    }
    found = []
    for place, link in enumerate(links):
        own = {name: _near_best([_part(item, place, len(links)) for item in items], link, rows) for name, items in tried.items()}
        fit, error = _blended(own, link, rows, marks, white, _SHARES if whole else _SHARES[:1])
        found.append(ValueReadout(fit, link, error, {name: list(item.strengths) for name, item in own.items()}, strange))
    best = min(found, key=lambda readout: readout.error)
    return found[0] if found[0].error <= _NOISE * best.error else best


def _regressions(features: Tensor, components: Tensor, fold: Tensor, weight: Tensor, strengths: Sequence[float]) -> list[_Regression]:
    """A regression for every strength."""
    present = torch.unique(fold).tolist()
    parts = [sums(features[fold == k], components[fold == k], weight[fold == k]) for k in present]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    found = []
    for strength in strengths:
        whole = ridge(total, strength)
        left = left_out(parts, [[index] for index in range(len(present))], strength) if len(present) > 1 else [whole]
        predicted = torch.zeros_like(components)
        for k, own in zip(present, left, strict=True):
            predicted[fold == k] = apply_ridge(features[fold == k], own)
        found.append(_Regression(whole, predicted, (strength,)))
    return found


def _part(regression: _Regression, place: int, count: int) -> _Regression:
    """What a regression on the components of `count` links found for one of them."""
    return _Regression(regression.coefficients.chunk(count, dim=1)[place], regression.left_out.chunk(count, dim=1)[place], regression.strengths)


def _near_best(tried: Sequence[_Regression], link: Link, rows: ValueRows) -> _Regression:
    """The mean of those that do as well as the best: less at the mercy of noise than a choice."""
    errors = [_error(decode(item.left_out, link), rows) for item in tried]
    kept = [item for item, error in zip(tried, errors, strict=True) if error <= _NOISE * min(errors)]
    coefficients, left = torch.stack([item.coefficients for item in kept]), torch.stack([item.left_out for item in kept])
    return _Regression(coefficients.mean(0), left.mean(0), tuple(strength for item in kept for strength in item.strengths))


def _blended(own: Mapping[str, _Regression], link: Link, rows: ValueRows, marks: Tensor, white: Tensor, shares: Sequence[float]) -> tuple[ValueFit, float]:
    """Both regressions by the share that does best, the first unless another is better beyond noise; and the left-out error."""
    linear, kernel = own["linear"], own["kernel"]
    blends = [share * linear.left_out + (1 - share) * kernel.left_out for share in shares]
    errors = [_error(decode(blend, link), rows) for blend in blends]
    chosen = 0 if errors[0] <= _NOISE * min(errors) else errors.index(min(errors))
    level = _level(blends[chosen], rows) if link == "log" else 0.0
    factor = _factor(blends[chosen], rows) if link == "count" and len(shares) > 1 else 1.0
    coefficients = {name: item.coefficients * factor for name, item in own.items()}
    for each in coefficients.values():
        each[-1] += level
    on_likeness = torch.cat([white @ coefficients["kernel"][:-1], coefficients["kernel"][-1:]])
    fit = ValueFit(coefficients["linear"], on_likeness, marks, torch.tensor(shares[chosen]))
    return fit, _error(decode(factor * blends[chosen] + level, link), rows)


def _level(predicted: Tensor, rows: ValueRows) -> float:
    """What to add to left-out logarithms (R, C) so that the mean relative error is least.

    The factor s that makes sum of w |s p / t - 1| = sum of (w p / t) |s - t / p| least is the median of t / p under the
    weights w p / t. It is below 1 where errors are large, for answers above the truth cost more than those below.
    """
    ratio = (predicted.exp() / rows.values).flatten()
    weight = rows.weight[:, None].expand_as(predicted).flatten() * ratio
    order = torch.argsort(1 / ratio)
    middle = torch.searchsorted(weight[order].double().cumsum(0), float(weight.double().sum()) / 2)
    return -float(ratio[order][min(int(middle), len(order) - 1)].log())


def _factor(predicted: Tensor, rows: ValueRows) -> float:
    """What to multiply left-out counts (R, 1) with so that the counts of whole images are off by the least sum.

    It is the median of true over predicted under the weights predicted. Squares follow the images that hold most, and count
    too many in all others: from ten images of nuclei, of which one holds 250, the error falls from 45 to 18 an image, from
    five of 47 to 32. With fewer than three examples, copies counted, the factor is 1.
    """
    places = torch.unique(rows.example)
    weight = [rows.weight[rows.example == place][:, None] for place in places]
    said, true = (
        torch.stack([(values[rows.example == place] * own).sum() / own.sum() for place, own in zip(places, weight, strict=True)])
        for values in (decode(predicted, "count"), rows.values)
    )
    kept = said > 1e-6 * true.max()
    if int(kept.sum()) < _IMAGES:
        return 1.0
    ratio, heavy = (true / said)[kept], said[kept]
    order = torch.argsort(ratio)
    middle = int(torch.searchsorted(heavy[order].cumsum(0), float(heavy.sum()) / 2))
    return float(ratio[order][min(middle, len(order) - 1)].clamp(0.2, 5.0))


def _gather(rows: ValueRows, folds: Sequence[Tensor]) -> Tensor:
    longest = max(len(item) for item in folds)
    table = torch.stack([torch.nn.functional.pad(item, (0, longest - len(item))) for item in folds])
    return table[rows.example, rows.patch]


def _links(rows: ValueRows) -> tuple[Link, ...]:
    own = link_of(rows.kind, rows.unit)
    if rows.kind == "real" and bool((rows.values > 0).all()):
        return ("log", "identity")
    return (own,)


def _error(predicted: Tensor, rows: ValueRows) -> float:
    return expected_error(predicted, rows.values, rows.weight, rows.kind, rows.unit)
