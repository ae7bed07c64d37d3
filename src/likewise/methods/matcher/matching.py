"""Matcher's bidirectional matching: which patches of a picture are those of the object, by two assignments (section 3.2 of the paper).

    there   every object token of the references gets a token of the target of its own, so that the sum of cosines is largest
    back    every target token that was given away gets a token of the references, object or not
    kept    what comes back to an object token, of whichever reference

Taking the nearest token in place of assignments changes a third to a half of all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import max_pool2d

CROWD = 40  # pairs above which the better half is kept
SQUARE = 14  # pixels a side of the object that stands in for an empty mask


@dataclass(frozen=True)
class Pairs:
    """Object tokens of the references and their tokens in the target.

    forward (O,): the target token of each object token in order, -1 where there were too few; target, back, similarity, kept (M,): of those
    that have one, in order, the target token, the reference token that it comes back to, the cosine there, and whether the pair survives. returned:
    whether any came back to the object; where none did, all survive.
    """

    forward: NDArray[np.int64]
    target: NDArray[np.int64]
    back: NDArray[np.int64]
    similarity: NDArray[np.float32]
    kept: NDArray[np.bool_]
    returned: bool

    def points(self) -> NDArray[np.int64]:
        """The target tokens (K,) of the pairs that are kept, of more than 40 the better half, in order of the grid."""
        places = np.flatnonzero(self.kept)
        if len(places) > CROWD:
            places = places[np.argsort(-self.similarity[places], kind="stable")[: len(places) // 2]]
        return np.sort(self.target[places])


def token_mask(mask: Tensor, patch: int) -> Tensor:
    """The tokens (h*w,) bool in which any pixel of a mask (H, W) is object, sides multiples of `patch`; an empty mask gets a square in the middle."""
    whole = mask.float()
    if not bool(whole.any()):
        whole = whole.clone()
        top, left = (length // 2 - SQUARE // 2 for length in whole.shape)
        whole[top : top + SQUARE, left : left + SQUARE] = 1
    return max_pool2d(whole[None, None], patch)[0, 0].flatten() > 0


def matched(similarity: Tensor, objects: Tensor) -> Pairs:
    """The pairs of a similarity (R, P) of reference tokens, of which `objects` (R,) bool are object, with target tokens."""
    cosines = similarity.numpy()
    own = np.flatnonzero(objects.numpy())
    rows, target = linear_sum_assignment(cosines[own], maximize=True)
    forward = np.full(len(own), -1, np.int64)
    forward[rows] = target
    taken, back = linear_sum_assignment(cosines.T[target], maximize=True)
    partner = np.full(len(target), -1, np.int64)
    partner[taken] = back
    kept = np.isin(partner, own)
    returned = bool(kept.any())
    return Pairs(forward, target.astype(np.int64), partner, cosines[own[rows], target], kept if returned else np.ones_like(kept), returned)


def pixels(tokens: NDArray[np.int64], width: int, patch: int) -> NDArray[np.int64]:
    """The centres (K, 2), x before y, of tokens (K,) of a grid `width` wide, in pixels."""
    return np.stack([tokens % width, tokens // width], axis=1) * patch + patch // 2


def around(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """The box (x0, y0, x1, y1) of points (K, 2), their extremes."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
