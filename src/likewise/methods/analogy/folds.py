"""What to leave out: whole images where every class stays, blocks of an image that is the only one with a class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from likewise.data import Support

FOLDS = 4
_BLOCKS = 4  # an image left out in blocks is cut into 4 x 4 of them


def image_folds(support: Support) -> list[int | None]:
    """For each example the fold in which it is left out whole, or None if it must be left out in blocks.

    An example can be left out whole if each class, target and keypoint it shows is shown by another example that is not left
    out with it. Examples are dealt to the folds in order, each to the fold that shares the fewest classes with it.
    """
    shown = [_shown(support, index) for index in range(len(support))]
    count: dict[object, int] = {}
    for things in shown:
        for thing in things:
            count[thing] = count.get(thing, 0) + 1
    members: list[list[int]] = [[] for _ in range(FOLDS)]
    found: list[int | None] = []
    for index, things in enumerate(shown):
        whole = len(support) > 1 and all(count[thing] > 1 for thing in things)
        best = min(range(FOLDS), key=lambda fold: (_overlap(members[fold], shown, things), len(members[fold]), fold))
        whole = whole and all(_left(members[best], shown, thing) + 1 < count[thing] for thing in things)
        found.append(best if whole else None)
        if whole:
            members[best].append(index)
    return found


def patch_folds(grid: tuple[int, int], image_fold: int | None) -> Tensor:
    """The fold (P,) of each patch of an image: one for all, or by blocks such that neighbours differ."""
    height, width = grid
    if image_fold is not None:
        return torch.full((height * width,), image_fold)
    rows = (torch.arange(height) * _BLOCKS) // height
    columns = (torch.arange(width) * _BLOCKS) // width
    return ((rows[:, None] + 2 * columns[None, :]) % FOLDS).reshape(-1)


def _shown(support: Support, index: int) -> set[object]:
    labels = support.examples[index].labels
    things: set[object] = {number for number in support.classes if labels.present(number)}
    return things | set(labels.dense) | {("point", name) for name, point in labels.keypoints.items() if point is not None}


def _overlap(fold: Sequence[int], shown: Sequence[set[object]], things: set[object]) -> int:
    return sum(len(shown[index] & things) for index in fold)


def _left(fold: Sequence[int], shown: Sequence[set[object]], thing: object) -> int:
    return sum(thing in shown[index] for index in fold)
