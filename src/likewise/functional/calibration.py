"""Presence and confidence: from maps of probabilities to numbers that can be trusted."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

PRESENT_FROM = 0.5  # the probability from which a class is said to be in the image


def peak(probabilities: Tensor, share: float = 0.01) -> Tensor:
    """How strongly each class shows itself: the mean of its largest `share` of cells, at least 3.

    probabilities (C, P) -> (C,). A single stray cell counts little, an object of one per cent of the image fully.
    """
    count = min(max(3, round(share * probabilities.shape[1])), probabilities.shape[1])
    return probabilities.topk(count, dim=1).values.mean(dim=1)


def lead(probabilities: Tensor) -> Tensor:
    """By how much each class is ahead of the best of the others, negative where it is behind: (C, P) -> (C, P)."""
    best, second = probabilities.topk(2, dim=0).values
    winner = torch.nn.functional.one_hot(probabilities.argmax(0), probabilities.shape[0]).T.bool()
    return probabilities - torch.where(winner, second, best)


def fit_presence(peaks: Tensor, present: Tensor, slope: float = 8.0, middle: float = 0.5, trust: float = 4.0) -> tuple[float, float]:
    """Slope and middle of P(present) = sigmoid(slope * (peak - middle)), pulled towards the given ones.

    peaks (n,) and present (n,) of 0 and 1 come from left-out predictions. Where images with and without the class were
    seen, the best curve for them is taken; both outcomes count the same in all, and the given values are worth `trust`
    observations. Where only images with it were seen, nothing says where the others begin: the middle is the given one,
    or half the median peak where that is lower (thin and faint things never peak high), slope * middle kept.
    """
    yes, no = present > 0.5, present <= 0.5
    if not bool(yes.any()):
        return slope, middle
    if not bool(no.any()):
        lower = min(middle, max(0.05, 0.5 * float(peaks[yes].median())))
        return slope * middle / lower, lower
    weight = torch.where(yes, 0.5 / yes.sum(), 0.5 / no.sum()) * len(peaks)
    factors, middles = torch.tensor([0.5, 0.75, 1.0, 1.5, 2.0, 3.0]), torch.linspace(0.05, 0.95, 37)
    logits = slope * factors[:, None, None] * (peaks - middles[:, None])  # (factors, middles, n)
    loss = binary_cross_entropy_with_logits(logits, present.float().expand_as(logits), weight.expand_as(logits), reduction="none").sum(-1)
    loss = loss + trust * ((middles - middle) ** 2 / 0.1 + factors[:, None].log() ** 2 / 2)
    best = int(loss.argmin())
    return slope * float(factors[best // len(middles)]), float(middles[best % len(middles)])


def dice_confidence(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """The Dice score that the probabilities themselves expect of their arg-max, by class, and which classes are found.

    probabilities (C, P) with the background first -> confidence (C,), found (C,) bool; classes that are not found
    get 0. After Borges et al., soft Dice confidence (arXiv 2402.10665): 2 sum(p * y) / (sum(p) + sum(y)), y the arg-max.
    """
    chosen = torch.nn.functional.one_hot(probabilities.argmax(0), probabilities.shape[0]).T.to(probabilities.dtype)
    both = (probabilities * chosen).sum(1)
    confidence = 2 * both / (probabilities.sum(1) + chosen.sum(1)).clamp_min(1e-12)
    found = chosen.sum(1) > 0
    return torch.where(found, confidence, torch.zeros_like(confidence)), found


def gated(logits: Tensor, presence: Tensor) -> Tensor:
    """Logits (P, N+1) without the classes that are said to be absent, presence (N,) below a half: -inf."""
    absent = torch.cat([presence.new_zeros(1, dtype=torch.bool), presence < PRESENT_FROM])
    return logits.masked_fill(absent, -torch.inf)


def nothing_there(presence: Tensor) -> float:
    """The probability that no class is in the image, from that of each (N,) as if they did not depend on each other."""
    return float((1 - presence).prod())


def soft_iou(logits: Tensor, shares: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection and union of the arg-max with soft labels: logits (P, C), shares (P, C), weight (P,) -> (C,), (C,).

    The arg-max is 0 or 1, so min(y, s) is s where y is 1, and min + max = y + s: no (P, C) mask is made.
    """
    chosen = logits.argmax(1)
    both = shares.new_zeros(shares.shape[1]).index_add_(0, chosen, shares.gather(1, chosen[:, None])[:, 0] * weight)
    taken = shares.new_zeros(shares.shape[1]).index_add_(0, chosen, weight)
    return both, taken + (shares * weight[:, None]).sum(0) - both
