"""The token read-out: three closed-form answers from the same sums, averaged, for each working size.

Ridge regression on the tokens of all layers knows texture and place, ridge regression on the last layer alone under a
strong penalty knows what a thing is, and prototypes of the last layer change least from one picture to the next. Their
mean was better than each of them on nearly every development set, most of all with one or two images a class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from likewise.backbones.features import ImageFeatures
from likewise.functional.regression import Sums, apply_ridge, balanced_weight, ridge, sums
from likewise.methods.prompts import PatchLabels

STRENGTHS = (1e-2, 1e-3, 1e-4)  # of the penalty on all layers; the first stands where left-out prediction cannot tell
_STEADY, _EVEN, _PLAIN = (1 / 3, 1 / 3, 1 / 3), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0)  # shares of all layers, last layer, prototypes
_LAST_STRENGTH = 1e-1  # of the penalty on the last layer
TEMPERATURE = 20.0  # of the cosines to the prototypes


def blends(examples: int, *, by_blocks: bool) -> tuple[tuple[float, float, float], ...]:
    """The blends to choose from, the first of which stands where left-out prediction cannot tell.

    Prototypes serve one or two images; over more, the mean of the background says less and less (-7 points on eight images
    of eight things). By blocks of one image blends cannot be told apart.
    """
    usual = _STEADY if examples <= 2 else _EVEN
    return (usual,) if by_blocks else (usual, *(blend for blend in (_STEADY, _EVEN, _PLAIN) if blend != usual))


@dataclass(frozen=True)
class TokenFit:
    """linear (D+1, N+1): both regressions by their shares; prototypes (N+1, W): class means of the last layer's W components;
    share (): that of the prototypes; seen (N+1,) bool.
    """

    linear: Tensor
    prototypes: Tensor
    share: Tensor
    seen: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """The tensors to keep."""
        return {"linear": self.linear, "prototypes": self.prototypes, "share": self.share, "seen": self.seen}

    @classmethod
    def of(cls, kept: Mapping[str, Tensor]) -> TokenFit:
        """The fit that `tensors` were kept of."""
        return cls(kept["linear"], kept["prototypes"], kept["share"], kept["seen"])


@dataclass(frozen=True)
class Parts:
    """What blends are made of: regression on all layers (D+1, N+1), on the last (W+1, N+1), prototypes (N+1, W), seen (N+1,)."""

    every: Tensor
    last: Tensor
    prototypes: Tensor
    seen: Tensor

    def blend(self, shares: Sequence[float]) -> TokenFit:
        """The fit that gives each part its share."""
        linear = shares[0] * self.every
        linear[-len(self.last) :] += shares[1] * self.last
        return TokenFit(linear, self.prototypes, torch.tensor(shares[2]), self.seen)


@dataclass(frozen=True)
class FoldSums:
    """The sums of each fold over all examples, and what a fit needs to know besides: the width of the last layer."""

    parts: list[Sums]
    width: int

    def fits(self, strength: float) -> tuple[Parts, list[Parts]]:
        """The parts of the fit of everything, and those that leave one fold out; a fold that holds everything cannot be left out."""
        total = self.parts[0]
        for part in self.parts[1:]:
            total = total + part
        whole = fit_parts(total, strength, self.width)
        left = []
        for part in self.parts:
            rest = total - part
            nothing = float(rest.gram[-1, -1]) <= 1e-9 * float(total.gram[-1, -1])
            left.append(whole if nothing or not bool((part.gram[-1, -1] > 0).any()) else fit_parts(rest, strength, self.width))
        return whole, left

    def lost(self) -> Tensor:
        """Whether a class (folds, N+1) is in a fold and nowhere outside it: nothing could have told what it is there."""
        areas = torch.stack([part.cross[-1] for part in self.parts])
        rest = areas.sum(0) - areas
        return (areas > 0) & (rest <= 1e-3 * areas.sum(0))


def fold_sums(features: Sequence[ImageFeatures], labels: Sequence[PatchLabels], folds: Sequence[Tensor], count: int) -> FoldSums:
    """The sums of a support, rare classes raised. folds: for each example the fold (P,), below `count`, of each patch."""
    shares, weight = torch.cat([item.shares for item in labels]), torch.cat([item.weight for item in labels])
    raised = torch.split(balanced_weight(shares, weight), [len(item.weight) for item in labels])
    parts: list[Sums | None] = [None] * count
    width = features[0].tokens.shape[2]
    for item, label, weights, fold in zip(features, labels, raised, folds, strict=True):
        tokens = item.joined()
        for place in torch.unique(fold).tolist():
            own = fold == place
            found, before = sums(tokens[own], label.shares[own], weights[own]), parts[place]
            parts[place] = found if before is None else before + found
    empty = sums(features[0].joined()[:0], labels[0].shares[:0], labels[0].weight[:0])
    return FoldSums([empty if part is None else part for part in parts], width)


def fit_parts(total: Sums, strength: float, width: int) -> Parts:
    """The parts of a read-out from sums over all layers, of which the last `width` features are the last layer's."""
    size = total.gram.shape[0]
    last = torch.arange(size - width - 1, size)
    means = total.cross[last[:-1]].T.float()
    seen = total.cross[-1] > 1e-6 * total.cross[-1].sum()
    prototypes = torch.where(seen[:, None], normalize(means, dim=1), torch.zeros_like(means))
    return Parts(ridge(total, strength), ridge(Sums(total.gram[last][:, last], total.cross[last]), _LAST_STRENGTH), prototypes, seen)


def token_answers(tokens: Tensor, fit: TokenFit) -> Tensor:
    """Answers (P, N+1) of tokens (P, D), near 1 where a class is and 0 elsewhere; 0 for classes that were never seen."""
    likely = torch.softmax((TEMPERATURE * tokens[:, -fit.prototypes.shape[1] :] @ fit.prototypes.T).masked_fill(~fit.seen, -torch.inf), dim=1)
    return torch.where(fit.seen, apply_ridge(tokens, fit.linear) + fit.share * likely, 0.0)


def left_out_answers(tokens: Tensor, folds: Tensor, fits: Sequence[TokenFit]) -> Tensor:
    """Answers (P, N+1) to patches, each by the fit without its fold (P,)."""
    found = tokens.new_zeros(len(tokens), len(fits[0].seen))
    for fold in torch.unique(folds).tolist():
        own = folds == fold
        found[own] = token_answers(tokens[own], fits[fold])
    return found
