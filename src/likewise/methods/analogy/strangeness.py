"""How unlike the support a picture is in texture, and the answer that stands there instead of fitted read-outs.

Read-outs that were fitted follow the pictures they were fitted on: from cell nuclei that shine on black they claim what lies between
nuclei that are stained on white. What changes least claims too much there, which is less wrong (docs/methods/analogy.md has figures).
The first two of the layers used tell such pictures apart, since they show texture and not things: tokens of a picture of the same kind
find their like among a few that are kept of the support about as well as parts of the support find theirs among the other parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from likewise.backbones.features import ImageFeatures
from likewise.functional.coreset import coreset
from likewise.methods.analogy.evidence import Reference
from likewise.methods.analogy.folds import FOLDS, patch_folds
from likewise.methods.analogy.tokens import TEMPERATURE, TokenFit
from likewise.methods.analogy.trial import map_at

KEPT = 512  # tokens of a support
_FAMILIAR, _STRANGE = 0.08, 0.16  # by how much less alike than usual the tokens of a picture may be, and where nothing fitted is believed
_NOTHING = -1.0  # the likeness to no token


@dataclass(frozen=True)
class Texture:
    """tokens (K, nW) half precision: of a support, the first n <= 2 layers side by side; usual (): how alike parts of the support are to the other parts."""

    tokens: Tensor
    usual: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """The tensors to keep."""
        return {"tokens": self.tokens, "usual": self.usual}

    @classmethod
    def of(cls, kept: Mapping[str, Tensor]) -> Texture | None:
        """The texture that `tensors` were kept of; None of a task that was learned before there was any."""
        return cls(kept["tokens"], kept["usual"]) if kept else None

    def strangeness(self, item: ImageFeatures) -> float:
        """0 for a picture like the support, 1 for one of another kind."""
        gap = float(self.usual) - float((_first_two(item) @ self.tokens.float().T).max(1).values.mean())
        return min(1.0, max(0.0, (gap - _FAMILIAR) / (_STRANGE - _FAMILIAR)))


def texture_of(features: Sequence[ImageFeatures], whole: Sequence[int | None]) -> Texture:
    """The texture of a support; whole: for each example the fold in which it is left out whole, None for by blocks."""
    tokens = torch.cat([_first_two(item) for item in features])
    part = torch.cat([FOLDS * place + patch_folds(item.grid, None if whole[place] is None else 0) for place, item in enumerate(features)])
    rows = coreset(tokens, tokens.new_ones(len(tokens), 1), tokens.new_ones(len(tokens)), KEPT, by_class=False).rows
    kept = tokens[rows].half()
    found = [_elsewhere(tokens[part == place], kept.float(), part[rows] == place) for place in torch.unique(part).tolist()]
    known = torch.cat(found)
    known = known[known > _NOTHING]
    return Texture(kept, known.mean() if len(known) else torch.tensor(_NOTHING))


def steadied(maps: Tensor, strangeness: float, item: ImageFeatures, reference: Reference, fit: TokenFit) -> Tensor:
    """Answers (C, h, w), as far as the picture is strange replaced by what changes least: the nearest kept tokens and the class means of the last layer."""
    if strangeness == 0.0:
        return maps
    last = item.joined()[:, -fit.prototypes.shape[1] :]
    nearest = reference.nearest(last @ reference.tokens.float()[:, -last.shape[1] :].T)
    likely = torch.stack([torch.softmax((TEMPERATURE * cosines).masked_fill(~fit.seen, -torch.inf), dim=1) for cosines in (nearest, last @ fit.prototypes.T)])
    steady = likely.mean(0).T.reshape(-1, *item.grid)
    return (1 - strangeness) * maps + strangeness * map_at(steady, tuple(maps.shape[1:]))


def _elsewhere(tokens: Tensor, kept: Tensor, own: Tensor) -> Tensor:
    """How alike (P,) tokens are to the nearest kept one of other parts."""
    return (tokens @ kept.T).masked_fill(own, _NOTHING).max(1).values


def _first_two(item: ImageFeatures) -> Tensor:
    """The tokens (P, nW) of the first two layers, or of the only one, side by side and of length 1."""
    return normalize(item.joined()[:, : 2 * item.tokens.shape[2]], dim=1)
