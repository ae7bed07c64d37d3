"""What an image shows of each class: where its probabilities lead, and how its tokens compare with a few of the support's.

Of the support a thousand tokens of the last two layers are kept, every class its part. The last layer but one tells
pictures apart: how well the tokens of a class find their like in the image, against how alike they are to everything else
in the support, needs no scale of its own from one set to the next. The last layer tells classes apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from json import loads

import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.functional.calibration import lead, peak
from likewise.functional.coreset import coreset
from likewise.methods.analogy.folds import FOLDS, patch_folds
from likewise.methods.analogy.trial import map_at
from likewise.methods.prompts import PatchLabels

KEPT = 1024  # tokens of a support
_FEWEST = 3  # patches that stand for a class that claims fewer
_NOWHERE = -1.0  # the likeness to a class without a token


@dataclass(frozen=True)
class Reference:
    """Tokens kept of a support: tokens (K, 2W) half precision, the last layer but one before the last; places (K,) of their
    classes; usual (N+1,): how alike the tokens of a class are to the nearest of other classes in other parts of the support.
    """

    tokens: Tensor
    places: Tensor
    usual: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """The tensors to keep."""
        return {"tokens": self.tokens, "places": self.places, "usual": self.usual}

    @classmethod
    def of(cls, kept: Mapping[str, Tensor]) -> Reference:
        """The reference that `tensors` were kept of."""
        return cls(kept["tokens"], kept["places"], kept["usual"])

    def without(self, gone: Tensor) -> Reference:
        """The reference without the tokens of a mask (K,)."""
        return Reference(self.tokens[~gone], self.places[~gone], self.usual)

    def nearest(self, likeness: Tensor) -> Tensor:
        """The largest (P, N+1) of likenesses (P, K) to the tokens of each class, -1 for a class that has none."""
        found = likeness.new_full((len(likeness), len(self.usual)), _NOWHERE)
        return found.scatter_reduce(1, self.places.expand(len(likeness), -1), likeness, "amax")


@dataclass(frozen=True)
class Evidence:
    """What an image shows of each class (N,).

    lead: by how much its probability leads where it is strongest, -1..1; found: how well its kept tokens find their like in
    the image, over what is usual between classes; familiar: how well the image's tokens find theirs among all that are
    kept; margin: how much nearer what it claims is to its tokens than to
    those of any other class.
    """

    lead: Tensor
    found: Tensor
    familiar: Tensor
    margin: Tensor


def reference_of(
    features: Sequence[ImageFeatures], labels: Sequence[PatchLabels], whole: Sequence[int | None], order: Sequence[int]
) -> tuple[Reference, Tensor]:
    """The reference of a support and the example (K,) that each token is from.

    whole: for each example the fold in which it is left out whole, None for by blocks; order: places of the classes in an
    order that does not depend on their numbers.
    """
    tokens = torch.cat([last_two(item) for item in features])
    shares, weight = torch.cat([item.shares for item in labels])[:, list(order)], torch.cat([item.weight for item in labels])
    part = torch.cat([FOLDS * place + patch_folds(item.grid, None if whole[place] is None else 0) for place, item in enumerate(features)])
    source = torch.cat([torch.full((len(item.weight),), place) for place, item in enumerate(labels)])
    known = weight > 0
    tokens, shares, weight, part, source = tokens[known], shares[known], weight[known], part[known], source[known]
    width = tokens.shape[1] // 2
    rows = coreset(tokens[:, :width].contiguous(), shares, weight, KEPT, by_class=True).rows
    nearest_class = (shares / shares.max(0).values.clamp_min(1e-9)).argmax(1)[rows]
    kept = Reference(tokens[rows].half(), torch.tensor(order)[nearest_class], torch.zeros(shares.shape[1]))
    return Reference(kept.tokens, kept.places, _usual(kept, part[rows])), source[rows]


def evidence_of(probabilities: Tensor, item: ImageFeatures, reference: Reference) -> Evidence:
    """What probabilities (N+1, h, w) and an image's tokens show."""
    tokens, kept = last_two(item), reference.tokens.float()
    width = tokens.shape[1] // 2
    coarse = map_at(probabilities, item.grid).flatten(1)
    claimed = _claimed(coarse)
    before, last = tokens[:, :width] @ kept[:, :width].T, tokens[:, width:] @ kept[:, width:].T
    nearest = reference.nearest(before)
    count = torch.bincount(reference.places, minlength=len(reference.usual))
    found = torch.zeros_like(reference.usual).index_add_(0, reference.places, before.max(0).values) / count.clamp_min(1)
    margins = lead(reference.nearest(last).T)[1:]
    flat = probabilities.flatten(1)
    return Evidence(
        peak(lead(flat))[1:],
        (found - reference.usual)[1:],
        nearest.max(1).values.mean().expand(len(flat) - 1),
        (margins * claimed).sum(1) / claimed.sum(1),
    )


def last_two(item: ImageFeatures) -> Tensor:
    """The tokens (P, 2W) of the last two layers, or of the only one twice, each of length 1."""
    tokens, width = item.joined(), item.tokens.shape[2]
    return tokens[:, -2 * width :] if tokens.shape[1] > width else tokens.repeat(1, 2)


@cache
def shipped(name: str) -> dict[str, float]:
    """The weights of a curve, "presence" or "quality", from trust.json, which says what they were fitted on."""
    facts = loads((files("likewise.methods.analogy") / "trust.json").read_text(encoding="utf-8"))
    return {key: float(value) for key, value in facts[name].items()}


def _claimed(probabilities: Tensor) -> Tensor:
    """Which patches (N, P) stand for each class: those it claims of probabilities (N+1, P), or its strongest few."""
    claimed = torch.nn.functional.one_hot(probabilities.argmax(0), len(probabilities)).T[1:].to(probabilities.dtype)
    strongest = torch.zeros_like(claimed).scatter_(1, probabilities[1:].topk(min(_FEWEST, probabilities.shape[1]), dim=1).indices, 1.0)
    return torch.where(claimed.sum(1, keepdim=True) < _FEWEST, torch.maximum(claimed, strongest), claimed)


def _usual(reference: Reference, part: Tensor) -> Tensor:
    """How alike (N+1,) the tokens of each class are to the nearest of other classes in other parts (K,) of the support; 0 if there is none."""
    before = reference.tokens.float()[:, : reference.tokens.shape[1] // 2]
    apart = (part[:, None] != part[None]) & (reference.places[:, None] != reference.places[None])
    other = (before @ before.T).masked_fill(~apart, _NOWHERE).max(1).values
    known = other > _NOWHERE
    total = torch.zeros_like(reference.usual).index_add_(0, reference.places[known], other[known])
    return total / torch.bincount(reference.places[known], minlength=len(reference.usual)).clamp_min(1)
