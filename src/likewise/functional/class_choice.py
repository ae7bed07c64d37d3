"""From scores of classes to probabilities: a temperature from left-out examples, and "none of these" by a threshold on the best score.

Letters: n left-out examples, N classes, B queries.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

_STEPS, _REACH = 121, 3.0  # temperatures looked at, over so many powers of ten on each side of the spread of the scores
_SOFTEST = 1e-9


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature by which left-out logits (n, N) of classes (n,) become the probabilities that say most of them.

    It minimises the cross entropy with labels of which 1 / (n + 2) is shared among all classes: after n right answers the next may still be
    wrong (Laplace), so that a support without any error does not make probabilities of 1. 1 where there is no example or a single class.

    >>> sharp = torch.tensor([[0.0, -9.0], [-9.0, 0.0], [0.0, -9.0]])
    >>> 1 < fit_temperature(sharp, torch.tensor([0, 1, 0])) < fit_temperature(sharp, torch.tensor([0, 1, 1]))
    True
    """
    count, n_way = logits.shape
    if not count or n_way < 2:
        return 1.0
    logits = logits.double()
    spread = float((logits.amax(dim=1) - logits.mean(dim=1)).mean())
    if spread < _SOFTEST:
        return 1.0
    share = 1 / (count + 2)
    wanted = (1 - share) * one_hot(labels, n_way).double() + share / n_way
    candidates = spread * torch.logspace(-_REACH, _REACH, _STEPS, dtype=torch.float64)
    losses = -(wanted * torch.log_softmax(logits / candidates[:, None, None], dim=-1)).sum(dim=-1).mean(dim=-1)
    return float(candidates[int(losses.argmin())])


class NoneRule(NamedTuple):
    """From which distance on an image shows none of the classes, and over how much of it the probability of that rises."""

    threshold: float
    width: float

    def probability(self, distances: Tensor) -> Tensor:
        """The probability (B,) that an image at these distances (B,) from the nearest class shows none of them; 1/2 at the threshold."""
        return torch.sigmoid((distances - self.threshold) / self.width)


def fit_none(known: Tensor, strange: Tensor, rate: float) -> NoneRule:
    """The threshold by which about a share `rate` of the images that show a class is said to show none.

    known: (n,) distances of left-out examples from the nearest class; strange: (m,) those of examples that show none, which only choose the
    place within the gap between two known ones. With no known ones it is the median of the strange ones: that refuses half of their like, and of
    the rate nothing is known. Of n examples the threshold is the ((n+1)(1-rate))-th distance, between two of them by proportion, since a new
    image is as likely to fall into each of the n+1 gaps; the largest where that is beyond it: then the rate may be higher, since n are too few to
    know. ValueError without any.
    """
    if not len(known) and not len(strange):
        raise ValueError("there is no distance to fit a threshold on")
    if not len(known):
        threshold = float(strange.double().median())
        return NoneRule(threshold, _positive(0.1 * abs(threshold)))
    ordered = known.double().sort().values
    place = (len(ordered) + 1) * (1 - rate)  # from 1
    low = min(max(int(place), 1), len(ordered)) - 1
    below, next_one = float(ordered[low]), float(ordered[min(low + 1, len(ordered) - 1)])
    threshold = below + max(place - low - 1, 0) * (next_one - below)
    above = strange.double()[strange > below]
    if len(above):
        between = (below + float(above.min())) / 2
        threshold = min(threshold, between) if threshold > below else between
    elif threshold == below:
        threshold += 1e-6 * abs(threshold) + _SOFTEST  # the example there is accepted
    middle = float(ordered.median())
    return NoneRule(threshold, _positive((threshold - middle) / math.log((1 - rate) / rate) if rate < 0.5 else 0.1 * abs(threshold)))


def _positive(width: float) -> float:
    return max(width, _SOFTEST)
