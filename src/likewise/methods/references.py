"""References as published systems of one object know them: all tokens of the examples that show a class, and which of them are of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec
from likewise.data import Support
from likewise.functional.matching import cosine, spread_out
from likewise.methods.base import Features
from likewise.methods.prompts import patch_labels, require_some


@dataclass(frozen=True)
class References:
    """The tokens (R, D) of the examples that show a class, the share (R,) in 0..1 that each is of it, and whose example (R,) each is; others (O, D):
    tokens of examples that do not show it.
    """

    tokens: Tensor
    shares: Tensor
    example: Tensor
    others: Tensor

    def by_example(self) -> list[Tensor]:
        """The rows (R_e,) of each example."""
        return [torch.nonzero(self.example == index)[:, 0] for index in sorted(set(self.example.tolist()))]

    def lead(self, tokens: Tensor) -> float:
        """By how much tokens (M, D) are more like the object than like the rest, in -1..1; 0 for none.

        The difference of the largest cosines, those with all that is not the object in any example for the rest, in the mean over the half of the
        tokens where it is largest: of a mask that takes in more than the object the other half says nothing. Where nothing but the object is known,
        the rest has the cosine 0.
        """
        if not len(tokens):
            return 0.0
        own = self.shares >= self.shares.max().clamp_max(0.5)
        rest = torch.cat([self.tokens[~own], self.others])
        beside = cosine(tokens, rest).amax(dim=1) if len(rest) else torch.zeros(len(tokens))
        return float((cosine(tokens, self.tokens[own]).amax(dim=1) - beside).topk((len(tokens) + 1) // 2).values.mean())


def kept_tokens(support: Support, features: Features, spec: FeatureSpec, budget: int, prepare: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """What a memory keeps of all examples, at most `budget` rows, evenly thinned: "tokens" (R, D) half precision, "shares" (R, N+1), "example" (R,).

    prepare: applied to the tokens (P, D) of each image as a whole. Only patches of which something is known are kept. InputError if there is none.
    """
    labels = patch_labels(support, features[spec])
    require_some(labels)
    known = [label.weight > 0 for label in labels]
    tokens = torch.cat([prepare(item.tokens[-1].float())[own] for item, own in zip(features[spec], known, strict=True)])
    shares = torch.cat([label.shares[own] for label, own in zip(labels, known, strict=True)])
    example = torch.cat([torch.full((int(own.sum()),), index) for index, own in enumerate(known)])
    kept = spread_out(len(tokens), budget)
    return {"tokens": tokens[kept].half(), "shares": shares[kept], "example": example[kept]}


def references(kept: Mapping[str, Tensor], place: int) -> References | None:
    """Those of the class in a place, from 0, of what a memory keeps; None where no example shows it."""
    shares = kept["shares"][:, place + 1]
    shown = torch.isin(kept["example"], kept["example"][shares > 0])
    tokens = kept["tokens"].float()
    return References(tokens[shown], shares[shown], kept["example"][shown], tokens[~shown]) if bool(shown.any()) else None
