"""What left-out answers are judged by: the support's own labels, on the grid that a read-out or its judge works on."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.data import LabelledImage, Support
from likewise.methods.analogy.fitting import UNKNOWN
from likewise.methods.analogy.folds import patch_folds
from likewise.methods.analogy.tokens import FoldSums
from likewise.methods.analogy.trial import Judge
from likewise.methods.prompts import PatchLabels

_DRAWN = 0.65  # of the examples that show a class: two of three
_PICTURE = 512  # longer side at which labels are judged where no pixel read-out asks for another


def judges_of(support: Support, features: Sequence[ImageFeatures], labels: Sequence[PatchLabels], whole: Sequence[int | None], sums: FoldSums) -> list[Judge]:
    """A judge for each example: by pixels where all pixels were labelled, else by patches, which have likely background too."""
    lost = sums.lost()
    found = []
    for example, item, label, fold in zip(support.examples, features, labels, whole, strict=True):
        if example.labels.label_map is None or example.labels.unlabelled == "unknown":
            gone = (label.shares * lost[patch_folds(item.grid, fold)].float()).sum(1)
            found.append(Judge(item.grid, soft=PatchLabels(label.shares, label.weight * (1 - gone).clamp_min(0))))
            continue
        grid = (item.pixels.shape[1], item.pixels.shape[2]) if item.pixels is not None else _fitted(example.labels.size)
        places = pixel_labels(example, support, grid).flatten()
        folds = patch_folds(grid, fold)
        gone = (places != UNKNOWN) & lost[folds, places.clamp_min(0)]
        found.append(Judge(grid, places=torch.where(gone, UNKNOWN, places)))
    return found


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    factor = min(1.0, _PICTURE / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def pixel_labels(example: LabelledImage, support: Support, grid: tuple[int, int], patches: tuple[tuple[int, int], PatchLabels] | None = None) -> Tensor:
    """The place of the class (h, w) at the centre of each cell of a grid, UNKNOWN where no pixel labels say it.

    patches: a grid and its labels, whose background is that of an image whose unlabelled pixels are unknown.
    """
    labels = example.labels
    if labels.label_map is None:
        return torch.full(grid, UNKNOWN)
    nearest = cv2.resize(labels.label_map, (grid[1], grid[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    places = np.full(grid, UNKNOWN, np.int64)
    if labels.unlabelled == "background":
        places[nearest == 0] = 0
    elif patches is not None:
        likely = ((patches[1].shares[:, 0] > 0.5) & (patches[1].weight > 0)).reshape(patches[0]).numpy().astype(np.uint8)
        places[(nearest == 0) & (cv2.resize(likely, (grid[1], grid[0]), interpolation=cv2.INTER_NEAREST_EXACT) > 0)] = 0
    for place, number in enumerate(support.classes.numbers, start=1):
        places[nearest == number] = place
    return torch.from_numpy(places)


def has_pixels(example: LabelledImage) -> bool:
    """Whether a pixel of the example is labelled as what it is: a class, or background where unlabelled means that."""
    labels = example.labels
    least = 1 if labels.unlabelled == "unknown" else 0
    return labels.label_map is not None and bool((labels.label_map >= least).any())


def drawn_enough(support: Support) -> bool:
    """Whether every class is drawn as a mask in most examples that show it, two of three or more.

    A read-out of pixels learns from masks alone: of five dogs of which one is drawn, it took every background that it had not
    seen for dog, and the left-out score, which looks at the drawn one, did not tell.
    """
    for number in support.classes:
        shown = [support.examples[index].labels for index in support.showing(number)]
        drawn = sum(bool(labels.mask(number).any()) for labels in shown)
        if shown and drawn < max(1, _DRAWN * len(shown)):
            return False
    return any(has_pixels(example) for example in support.examples)


def share_judged(support: Support, judges: Sequence[Judge], labels: Sequence[PatchLabels]) -> Tensor:
    """The share (N+1,) of each class's area that could be judged."""
    count = len(support.classes) + 1
    area, known = torch.zeros(count), torch.zeros(count)
    for example, judge, label in zip(support.examples, judges, labels, strict=True):
        if judge.places is not None:
            every = pixel_labels(example, support, judge.grid).flatten()
            area += torch.bincount(every[every != UNKNOWN], minlength=count)
            known += torch.bincount(judge.places[judge.places != UNKNOWN], minlength=count)
        elif judge.soft is not None:
            area += (label.shares * label.weight[:, None]).sum(0)
            known += (judge.soft.shares * judge.soft.weight[:, None]).sum(0)
    return known / area.clamp_min(1e-9)
