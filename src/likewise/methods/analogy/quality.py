"""How good an answer will be: the IoU to expect of each class that it finds, by a curve fitted on other sets.

The Dice score that the probabilities expect of their own arg-max orders answers best, but is far too sure where the image
is not like the support: how well the class's tokens are found there and the margin of those it claims put it right. The
left-out score of the support, presence and area added nothing on sets that the curve had not seen, nor did lowering an answer
for classes that are not found but might be there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from likewise.methods.analogy.evidence import Evidence, shipped

_LIMIT = 0.01  # from 0 and 1, beyond which a score says nothing more


def expected(dice: Tensor, evidence: Evidence) -> Tensor:
    """The IoU (N,) to expect of each class found, from soft Dice (N,) and what the image shows of it."""
    by = shipped("quality")
    return torch.sigmoid(by["bias"] + by["dice"] * limited(dice) + by["found"] * evidence.found + by["margin"] * evidence.margin)


def limited(probability: Tensor) -> Tensor:
    """Log-odds of probabilities that are not too near 0 and 1."""
    return torch.logit(probability.clamp(_LIMIT, 1 - _LIMIT))
