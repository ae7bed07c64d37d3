"""The training table of pixel classification: labelled pixels or patches of all examples, at most so many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from likewise.backbones.features import ImageFeatures
from likewise.data import LabelKind, Labels, Support
from likewise.functional.matching import spread_out
from likewise.functional.resize import resize_nearest
from likewise.methods.prompts import PatchLabels, patch_labels, require_some

_COARSE = 64  # cells a side, of the grid on which labels that are no masks become labels of patches


def labels_of(support: Support, items: Sequence[ImageFeatures]) -> list[PatchLabels]:
    """The labels of patches, or of pixels: of masks pixel by pixel, of all other kinds from coarser cells. Raises InputError where nothing is labelled."""
    coarse = [_coarse(item) for item in items]
    found = [_spread(label, small.grid, item.grid) for label, small, item in zip(patch_labels(support, coarse), coarse, items, strict=True)]
    fine = [_of_masks(example.labels, support.classes.numbers, item.grid) for example, item in zip(support.examples, items, strict=True)]
    exact = [label if label is not None and item.grid != small.grid else None for label, item, small in zip(fine, items, coarse, strict=True)]
    if any(label is not None and bool((label.shares[:, 0] * label.weight > 0).any()) for label in fine):  # else the background is borrowed, cell by cell
        found = [label if own is None else own for label, own in zip(found, exact, strict=True)]
    require_some(found)
    return found


def table(items: Sequence[ImageFeatures], labels: Sequence[PatchLabels], budget: int, *, even: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Rows (R, F), the place (R,) of the class of each, 0 the background, and its weight (R,): the area of it that is labelled so.

    A patch that shows several classes is a row for each. Of a class that has more than its part of the budget, evenly many of every image stand for all.
    even: the weights of every class have the same sum, as of strokes of one length a class; the sum of all stays.
    """
    mass = [label.shares * label.weight[:, None] for label in labels]
    count = mass[0].shape[1]
    shown = [[index for index, own in enumerate(mass) if bool((own[:, place] > 0).any())] for place in range(count)]
    places = [place for place in range(count) if shown[place]]
    rows, kinds, weights = [], [], []
    for place in places:
        most = max(1, budget // len(places) // len(shown[place]))
        for index in shown[place]:
            cells = torch.nonzero(mass[index][:, place] > 0)[:, 0]
            kept = cells[spread_out(len(cells), most)]
            rows.append(items[index].tokens[0, kept])
            kinds.append(torch.full((len(kept),), place))
            weights.append(mass[index][kept, place] * len(cells) / len(kept))
    weight, kind = torch.cat(weights), torch.cat(kinds)
    if even:
        area = torch.bincount(kind, weights=weight.double(), minlength=count)
        weight = (weight.double() * area.sum() / len(places) / area[kind]).to(weight.dtype)
    return torch.cat(rows), kind, weight


def _of_masks(labels: Labels, numbers: Sequence[int], grid: tuple[int, int]) -> PatchLabels | None:
    """The share of each cell that each class covers, where masks are all that is known; None for other labels."""
    if labels.kinds() != {LabelKind.MASK}:
        return None
    shares, weight = labels.coverage(numbers, grid)
    return PatchLabels(torch.from_numpy(shares.reshape(len(numbers) + 1, -1).T.copy()), torch.from_numpy(weight.reshape(-1).copy()))


def _coarse(item: ImageFeatures) -> ImageFeatures:
    """The same in at most so many cells a side, each the mean of what it covers."""
    grid = min(item.grid[0], _COARSE), min(item.grid[1], _COARSE)
    if grid == item.grid:
        return item
    maps = item.tokens[0].T.reshape(1, -1, *item.grid)
    return replace(item, tokens=adaptive_avg_pool2d(maps, grid).flatten(2).transpose(1, 2), grid=grid)


def _spread(label: PatchLabels, grid: tuple[int, int], wanted: tuple[int, int]) -> PatchLabels:
    if grid == wanted:
        return label
    shares = resize_nearest(label.shares.T.reshape(-1, *grid), wanted).flatten(1).T
    return PatchLabels(shares, resize_nearest(label.weight.reshape(grid), wanted).flatten())
