"""What methods on patch tokens share: the support as rows, and the answer for a grid of patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.data import Support
from likewise.functional.calibration import dice_confidence, lead, peak
from likewise.functional.links import Link
from likewise.methods.base import RawPrediction
from likewise.methods.prompts import patch_labels, require_some

PRESENCE_SLOPE = 8.0  # of P(present) on the lead over the other classes: 0 -> 0.5, 0.3 -> 0.92


@dataclass(frozen=True)
class Rows:
    """The labelled patches of a support: tokens (R, D) of length 1 a layer, shares (R, N+1), weight (R,) above 0."""

    tokens: Tensor
    shares: Tensor
    weight: Tensor


def rows_of(support: Support, features: Sequence[ImageFeatures]) -> Rows:
    """Every labelled patch of every example, in order. InputError if there is none."""
    labels = patch_labels(support, features)
    require_some(labels)
    tokens, shares, weights = [], [], []
    for item, label in zip(features, labels, strict=True):
        kept = label.weight > 0
        tokens.append(item.joined()[kept])
        shares.append(label.shares[kept])
        weights.append(label.weight[kept])
    return Rows(torch.cat(tokens), torch.cat(shares), torch.cat(weights))


def answer(
    logits: Tensor | None,
    grid: tuple[int, int],
    *,
    presence: Tensor | None = None,
    dense: Mapping[str, Tensor] | None = None,
    links: Mapping[str, Link] | None = None,
    confidence: float = 1.0,
) -> RawPrediction:
    """A raw prediction from logits (P, N+1) of a grid (h, w) and dense maps (C, h, w).

    presence (N,), unless given: whether the class leads all others on the patches where it is strongest, which asks
    nothing of the scale of the probabilities; confidence is that of the dense answer and is multiplied with the
    classes' own.
    """
    if logits is None:
        return RawPrediction(None, dense=dense or {}, links=links or {}, confidence=confidence)
    probabilities = torch.softmax(logits.float(), dim=1).T
    if presence is None:
        presence = torch.sigmoid(PRESENCE_SLOPE * peak(lead(probabilities))[1:])
    by_class, found = dice_confidence(probabilities)
    things = found.clone()
    things[0] = False
    overall = by_class[things].mean() if bool(things.any()) else by_class[0]
    finite = torch.nan_to_num(logits.float(), neginf=-1e4)
    shaped = finite.T.reshape(-1, *grid)
    return RawPrediction(shaped, presence, dense or {}, links or {}, float(overall) * confidence, by_class[1:])
