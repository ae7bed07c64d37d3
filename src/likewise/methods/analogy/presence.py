"""Whether a class is in an image: how high its probability peaks, and how like the support the image is.

A logistic curve on these two numbers, fitted once on other sets, makes a probability; examples without the class, where
there are some, move it for that class. Tried beside them and of no use on sets that the curve had not seen: likeness to
the class's prototype, the peaks that left-out answers reach where the class is and beside it, the class's share of the examples.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from likewise.functional.calibration import peak

_LIMIT = 4.0  # log-odds beyond which a peak says nothing more
_TRUST = 3.0  # observations that the shipped curve is worth beside a support's own


def peaks(probabilities: Tensor) -> Tensor:
    """Log-odds (N,) of the peak of every class but the background, from probabilities (N+1, ...)."""
    return torch.logit(peak(probabilities.flatten(1))[1:].clamp(1e-4, 1 - 1e-4)).clamp(-_LIMIT, _LIMIT)


def scene_vector(tokens: Tensor, width: int) -> Tensor:
    """An image as one vector (W,) of length 1: the mean of the last layer, `width` wide, of its tokens (P, D)."""
    return normalize(tokens[:, -width:].mean(0), dim=0)


def nearest_example(scene: Tensor, scenes: Tensor) -> float:
    """Cosine of an image (W,) with the most similar example (E, W)."""
    return float((scenes @ scene).max())


def nearest_others(scenes: Tensor) -> Tensor:
    """Cosine (E,) of each example (E, W) with the most similar other; 1 for a single one."""
    if len(scenes) == 1:
        return torch.ones(1)
    return (scenes @ scenes.T - 2 * torch.eye(len(scenes))).max(1).values


def score(peaked: Tensor, alike: float, seen: Tensor) -> Tensor:
    """Log-odds (N,) of the shipped curve from peaks (N,) and the likeness to the nearest example; -inf for classes not seen (N,)."""
    bias, by_peak, by_likeness = shipped_curve()
    return torch.where(seen, bias + by_peak * peaked + by_likeness * alike, -torch.inf)


def adjust(scores: Tensor, present: Tensor) -> tuple[float, float]:
    """Slope and shift of the curve's log-odds for a class, from left-out scores (E,) and presence (E,): 1, 0, NaN for unknown.

    (1, 0) unless the class is in some examples and not in others; both outcomes count the same in all.
    """
    known = ~present.isnan() & scores.isfinite()
    scores, present = scores[known], present[known]
    yes = present == 1
    if not bool(yes.any()) or bool(yes.all()):
        return 1.0, 0.0
    weight = torch.where(yes, 0.5 / yes.sum(), 0.5 / (~yes).sum()) * len(scores)
    slopes, shifts = torch.tensor([0.5, 0.7, 1.0, 1.4, 2.0]), torch.linspace(-4, 4, 33)
    logits = slopes[:, None, None] * scores + shifts[:, None]
    loss = binary_cross_entropy_with_logits(logits, present.float().expand_as(logits), weight.expand_as(logits), reduction="none").sum(-1)
    loss = loss + _TRUST * (slopes[:, None].log() ** 2 + shifts**2 / 8)
    best = int(loss.argmin())
    return float(slopes[best // len(shifts)]), float(shifts[best % len(shifts)])


@cache
def shipped_curve() -> tuple[float, float, float]:
    """Bias, weight of the peak's log-odds and weight of the likeness, from presence.json, which says what they were fitted on."""
    facts = json.loads((files("likewise.methods.analogy") / "presence.json").read_text(encoding="utf-8"))
    return float(facts["bias"]), float(facts["peak"]), float(facts["likeness"])
