"""Pictures that stand for a whole folder: chosen so that little of what the folder shows is unlike everything that was chosen.

A picture covers a kind of patch as well as its most alike patch resembles it. What a choice covers is, kind by kind, what its best picture
covers, weighted by how many pictures show the kind. That is submodular: choosing greedily reaches at least 63 % of the best choice
(Nemhauser, Wolsey and Fisher 1978).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from likewise.functional.coreset import coreset


def kinds_of_patches(tokens: Sequence[Tensor], count: int) -> Tensor:
    """Patches that stand for all: tokens of pictures [(P, D)] of length 1 -> (K, D), K at most `count`. ValueError for no token."""
    everything = torch.cat(list(tokens)).float()
    if not len(everything):
        raise ValueError("there is no token")
    alike = torch.zeros(len(everything), 1)
    return everything[coreset(everything, alike, torch.ones(len(everything)), count, by_class=False).rows]


def covered(tokens: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
    """How well one picture covers each kind (K,) in 0..1, and which kinds it shows (K,) bool: tokens (P, D) and kinds (K, D) of length 1."""
    alike = tokens.float() @ kinds.T
    shown = torch.zeros(len(kinds), dtype=torch.bool)
    shown[alike.argmax(1)] = True
    return alike.amax(0).clamp(0, 1), shown


def most_covering(cover: Tensor, weight: Tensor, count: int, already: Tensor | None = None) -> list[tuple[int, float]]:
    """The pictures that together cover most, the best first, each with what it adds: cover (N, K), weight (K,) >= 0, already (K,) covered.

    At most `count`, and all N where there are no more; of equal ones the first. ValueError for shapes that do not fit, and a count below 1.
    """
    if cover.ndim != 2 or weight.shape != cover.shape[1:] or (already is not None and already.shape != weight.shape) or count < 1:
        raise ValueError(f"cover {tuple(cover.shape)}, weight {tuple(weight.shape)} and {count} pictures do not fit")
    best = torch.zeros_like(weight) if already is None else already.clone()
    left = torch.ones(len(cover), dtype=torch.bool)
    chosen: list[tuple[int, float]] = []
    for _ in range(min(count, len(cover))):
        gain = ((cover - best).clamp_min(0) * weight).sum(1).masked_fill(~left, -1.0)
        place = int(gain.argmax())
        chosen.append((place, float(gain[place])))
        best, left[place] = torch.maximum(best, cover[place]), False
    return chosen
