"""Whether a class is in an image: a logistic curve on what the image shows of it, moved by examples without the class.

Tried beside this evidence and of no use on sets that the curve had not seen: likeness to the class's prototype, the class's
share of the examples, the share of the image that it claims, likeness to the nearest example as a whole, the contrast of the
class over the image, agreement between read-outs, and the same figures of left-out examples as a scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from likewise.methods.analogy.evidence import Evidence, shipped

_TRUST = 8.0  # observations that the shipped curve is worth beside a support's own


def score(evidence: Evidence) -> Tensor:
    """Log-odds (N,) of the shipped curve."""
    by = shipped("presence")
    return by["bias"] + by["lead"] * evidence.lead + by["found"] * evidence.found + by["familiar"] * evidence.familiar + by["margin"] * evidence.margin


def said(evidence: Evidence, moved: Tensor, seen: Tensor) -> Tensor:
    """The probability (N,) that each class is there; moved (N, 2): slope and shift of each curve; 0 for classes not seen (N,)."""
    slope, shift = moved.unbind(1)
    return torch.where(seen, torch.sigmoid(slope * score(evidence) + shift), 0.0)


def by_class(scores: Tensor, present: Tensor, moved: Tensor, names: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """{class: {"shown": probabilities of left-out examples that show it, "without": of those that do not}} of the classes that some of these show.

    scores (E, N) and presence (E, N), NaN for unknown; moved (N, 2): slope and shift of each curve.
    """
    said_there = torch.sigmoid(moved[:, 0] * scores + moved[:, 1])
    columns = zip(names, said_there.T, present.T, strict=True)
    return {name: {"shown": p[there == 1].tolist(), "without": p[there == 0].tolist()} for name, p, there in columns if bool((there == 1).any())}


def adjust(scores: Tensor, present: Tensor) -> tuple[float, float]:
    """Slope and shift of the curve's log-odds for a class, from left-out scores (E,) and presence (E,): 1, 0, NaN for unknown.

    (1, 0) unless the class is in some examples and not in others; both outcomes count the same in all. A slope of its own, from
    so few, changed nothing for the better.
    """
    known = ~present.isnan() & scores.isfinite()
    scores, present = scores[known], present[known]
    yes = present == 1
    if not bool(yes.any()) or bool(yes.all()):
        return 1.0, 0.0
    weight = torch.where(yes, 0.5 / yes.sum(), 0.5 / (~yes).sum()) * len(scores)
    shifts = torch.linspace(-4, 4, 33)
    logits = scores + shifts[:, None]
    loss = binary_cross_entropy_with_logits(logits, present.float().expand_as(logits), weight.expand_as(logits), reduction="none").sum(-1)
    return 1.0, float(shifts[(loss + _TRUST * shifts**2 / 8).argmin()])
