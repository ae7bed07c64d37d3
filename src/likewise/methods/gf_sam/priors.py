"""GF-SAM's priors and points: where a picture is like the object of the references and not like the rest of them.

    largest   over the object of a reference, the largest cosine that each token of the target has
    mean      over it, the mean of them; with the rest of the reference in place of the object, the negative mean

There is nothing to tune: points are where the product of both, scaled to 0..1, is above the negative mean, scaled alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TINY, SMALL = 1e-7, 1e-6
MOST_POINTS = 128


@dataclass(frozen=True)
class Priors:
    """Maps (P,) of the target: largest and mean likeness to the object, and mean likeness to the rest."""

    largest: Tensor
    mean: Tensor
    negative: Tensor


def over_tokens(tokens: Tensor) -> Tensor:
    """Tokens (P, D) of a picture with each channel scaled to length 1 over the tokens of its picture.

    official: `normalize(dim=1)` of (pictures, tokens, channels), meant for the channels; it weighs the channels anew in each picture.
    """
    return torch.nn.functional.normalize(tokens, dim=0)


def cosines(references: Tensor, target: Tensor) -> Tensor:
    """Cosines (R, P) of tokens (R, D) with tokens (P, D)."""
    return references @ target.T / (references.norm(dim=1)[:, None] * target.norm(dim=1) + TINY)


def weighed(cosine: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """The largest and the mean cosine (P,), (P,) of cosines (R, P) that count by shares (R,) in 0..1."""
    counted = cosine * shares[:, None]
    return counted.amax(dim=0), counted.mean(dim=0) / (shares.mean() + TINY)


def priors(shots: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Priors:
    """The means over shots, each of cosines (R, P), and of the shares (R,) and (R,) of the object and of the rest."""
    found = [(*weighed(cosine, objects), weighed(cosine, rest)[1]) for cosine, objects, rest in shots]
    return Priors(*(torch.stack(maps).mean(dim=0) for maps in zip(*found, strict=True)))


def scaled(values: Tensor) -> Tensor:
    """Values from 0 to 1, the least at 0."""
    return (values - values.min()) / (values.max() - values.min() + SMALL)


def filtered(found: Priors) -> Tensor:
    """Where points may be, (P,): how likely in 0..1, and 0 where the rest is likelier."""
    cross = scaled(found.mean * found.largest)
    return cross * ~(scaled(found.negative) > cross)


def points(hot: Tensor, width: int, most: int = MOST_POINTS) -> Tensor:
    """The tokens (K, 2), x before y and in order of x, then y, that are likeliest by a map (P,) of a grid `width` wide.

    As many as the map sums to, at most `most`, at least one unless it is 0 everywhere.
    """
    total = float(hot.sum())
    count = min(int(total), most, len(hot)) or int(total > 0)
    places = hot.argsort(descending=True, stable=True)[:count]
    x, y = places % width, places // width
    order = (x * len(hot) + y).argsort()
    return torch.stack([x, y], dim=1)[order]
