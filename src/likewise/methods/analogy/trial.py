"""Left-out trials: how good answers are that were given to what they had not seen, and which of them to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from likewise.methods.analogy.fitting import UNKNOWN
from likewise.methods.prompts import PatchLabels

OFFSETS = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4)  # added to every class against the background, for classes that are rare
SHARPNESS = (3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
_BLOCKS_OFFSET = 0.15  # shared by the classes, where blocks of one image cannot tell: on the next image answers are fainter
_OFFSET_WORTH = (0.01, 0.03)  # of left-out IoU that an offset must gain by images and by blocks, since it is tuned on few
_IMAGES_WORTH = 0.01  # that a weaker penalty or another blend must gain where whole images are left out
_BLOCKS_WORTH = 0.02  # and where only blocks of the same image can be
_IMAGES_HEAT, _BLOCKS_HEAT = 0.1, 0.05  # left-out IoU by which a read-out must be better to weigh e times as much
_COARSER = 0.04  # of left-out IoU that blocks of the same image flatter each finer read-out by
_LEAST = 0.05  # weight below which a read-out is not worth its time
_SATURATED = 0.9  # left-out blocks of the same image say nothing more above this: the coarsest, most semantic answer stands alone
_JUDGED = 60_000  # pixels an image by which read-outs and offsets are judged
_SAMPLE = 20_000  # and by which probabilities are sharpened


@dataclass(frozen=True)
class Judge:
    """What left-out answers for one image are judged by, on a grid (h, w).

    places (P,): the class of each cell, UNKNOWN where none is known or none could be; or soft labels where a cell is
    a patch and labels are not of pixels.
    """

    grid: tuple[int, int]
    places: Tensor | None = None
    soft: PatchLabels | None = None

    def counts(self, answers: Tensor, offsets: Sequence[float]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Intersection, union and area (C,) of answers (C, h, w) for each offset, added to all but the background."""
        rows = map_at(answers, self.grid).flatten(1)
        if self.places is not None:
            rows, places = rows[:, self._known], self.places[self._known]
        top, first = rows[1:].max(0)
        lead, count = top - rows[0], len(rows)
        found = []
        for offset in offsets:
            chosen = torch.where(lead > -offset, first + 1, 0)
            found.append(self._soft_counts(chosen, count) if self.places is None else _counts(chosen, places, count))
        return found

    @cached_property
    def _known(self) -> Tensor:
        """Cells whose class is known, in a drawn order, no more than are needed."""
        if self.places is None:
            raise ValueError("a judge needs places or soft labels")
        known = torch.nonzero(self.places != UNKNOWN)[:, 0]
        return known[torch.randperm(len(known), generator=torch.Generator().manual_seed(len(known)))[:_JUDGED]]

    def _soft_counts(self, chosen: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        if self.soft is None:
            raise ValueError("a judge needs places or soft labels")
        shares, weight = self.soft.shares, self.soft.weight
        both = shares.new_zeros(count).index_add_(0, chosen, shares.gather(1, chosen[:, None])[:, 0] * weight)
        taken = shares.new_zeros(count).index_add_(0, chosen, weight)
        area = (shares * weight[:, None]).sum(0)
        return both, taken + area - both, area

    def log_loss(self, answers: Tensor, factors: Sequence[float]) -> Tensor:
        """The summed cross entropy of softmax(factor * answers) for each factor."""
        if self.soft is not None:
            target, weight, rows = self.soft.shares, self.soft.weight, answers
        elif self.places is not None:
            known = self._known[:_SAMPLE]
            rows, weight = answers[known], torch.ones(len(known))
            target = torch.nn.functional.one_hot(self.places[known], answers.shape[1]).float()
        else:
            raise ValueError("a judge needs places or soft labels")
        return torch.stack([(-(target * torch.log_softmax(factor * rows, dim=1)).sum(1) * weight).sum() for factor in factors])


@dataclass(frozen=True)
class Candidate:
    """An answer that could be given: the weighted mean of read-outs, made for one example at a time so that few maps are in memory.

    parts: weights of the read-outs by name, summing to 1; maps: by name the left-out map (C, h, w) of each example.
    """

    parts: Mapping[str, float]
    maps: Mapping[str, Sequence[Tensor]]

    def map(self, place: int) -> Tensor:
        """The left-out map (C, h, w) of an example, on the finest grid of its parts."""
        own = {name: self.maps[name][place] for name in self.parts}
        finest = max((tuple(item.shape[1:]) for item in own.values()), key=lambda grid: grid[0] * grid[1])
        return torch.stack([self.parts[name] * map_at(item.float(), finest) for name, item in own.items()]).sum(0)


@dataclass(frozen=True)
class Verdict:
    """What the trial says of a candidate: the best offset, IoU (N+1,) under it (NaN for classes not judged), their mean."""

    offset: float
    iou: Tensor
    score: float


def judged(candidate: Candidate, judges: Sequence[Judge], *, by_blocks: bool = False) -> Verdict:
    """The verdict on a candidate, under the usual offset unless another is clearly better.

    Where whole images were left out, a better offset must serve the median image too: one image unlike all others, in
    which nothing is found, would ask for an offset that spoils the rest.
    """
    count = candidate.map(0).shape[0] - 1
    offsets = (_BLOCKS_OFFSET / count if by_blocks else 0.0, *OFFSETS)
    tally = [judge.counts(candidate.map(example), offsets) for example, judge in enumerate(judges)]
    best, usual = None, 0.0
    for offset, counted in zip(offsets, zip(*tally, strict=True), strict=True):
        both, either, area = (torch.stack(column) for column in zip(*counted, strict=True))
        iou = _iou(both.sum(0), either.sum(0), area.sum(0))
        score = float(iou[1:].nanmean().nan_to_num(0.0))
        median = float(_iou(both, either, area)[:, 1:].nanmean(1).nanmedian().nan_to_num(0.0))
        if best is None or (score > best.score + _OFFSET_WORTH[by_blocks] and (by_blocks or median >= usual)):
            best, usual = Verdict(offset, iou, score), median
    if best is None:
        raise AssertionError("no offset was tried")
    return best


def _iou(both: Tensor, either: Tensor, area: Tensor) -> Tensor:
    """Intersection over union of classes that have an area, NaN of others."""
    return torch.where(area > 0, both / either.clamp_min(1e-9), torch.nan)


def choose(candidates: Sequence[Candidate], judges: Sequence[Judge], *, by_blocks: bool) -> tuple[int, list[Verdict]]:
    """The index of the candidate to take, from the coarsest to the finest: each must be clearly better than the one that stands.

    Also the verdict on each. Left-out blocks saturate on large things in one image (all read-outs reach 0.95
    and more, and differ by 30 points on the next image): there the coarsest stays.
    """
    verdicts = [judged(candidate, judges, by_blocks=by_blocks) for candidate in candidates]
    best = 0
    for place in range(1, len(candidates)):
        if by_blocks and verdicts[best].score >= _SATURATED:
            break
        if verdicts[place].score > verdicts[best].score + (_BLOCKS_WORTH if by_blocks else _IMAGES_WORTH):
            best = place
    return best, verdicts


def mixed(alone: Mapping[str, float], *, by_blocks: bool) -> dict[str, float]:
    """The weights of read-outs from their left-out scores, given from the coarsest to the finest.

    A mean by exp(score / heat) rather than the best alone: scores are of few images and read-outs err in different
    places, so that the mean of near equals is better than each, while one that is far behind has no say.
    """
    names, scores = list(alone), torch.tensor(list(alone.values()))
    if by_blocks and scores[0] >= _SATURATED:
        return {names[0]: 1.0}
    raised = scores - _COARSER * torch.arange(len(names)) if by_blocks else scores
    weights = torch.softmax(raised / (_BLOCKS_HEAT if by_blocks else _IMAGES_HEAT), dim=0)
    weights = torch.where(weights >= _LEAST, weights, 0.0)
    weights = weights / weights.sum()
    return {name: float(weight) for name, weight in zip(names, weights, strict=True) if weight > 0}


def best_sharpness(candidate: Candidate, judges: Sequence[Judge], offset: float) -> float:
    """The factor under which left-out answers are the best probabilities (least cross entropy)."""
    losses = sum(
        (judge.log_loss(shifted(rows_at(candidate.map(example), judge.grid).T, offset).T, SHARPNESS) for example, judge in enumerate(judges)),
        start=torch.zeros(len(SHARPNESS)),
    )
    return SHARPNESS[int(losses.argmin())]


def _counts(chosen: Tensor, places: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Intersection, union and area (C,) of chosen classes (P,) with true ones (P,)."""
    table = torch.bincount(places * count + chosen, minlength=count * count).reshape(count, count).float()
    both, area = table.diagonal(), table.sum(1)
    return both, area + table.sum(0) - both, area


def shifted(answers: Tensor, offset: float) -> Tensor:
    """Answers (C, ...) with the offset added to every class but the background."""
    moved = answers.clone()
    moved[1:] += offset
    return moved


def map_at(maps: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Maps (C, h, w) on another grid, bilinear with half-pixel centres."""
    if tuple(maps.shape[1:]) == tuple(grid):
        return maps
    return interpolate(maps[None], size=grid, mode="bilinear", align_corners=False)[0]


def rows_at(maps: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Maps (C, h, w) on another grid as rows (P, C)."""
    return map_at(maps, grid).flatten(1).T
