"""The read-out of `analogy`: ridge regressions on patch tokens, whose every choice is made by left-out prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from likewise.backbones.features import ImageFeatures
from likewise.functional.calibration import soft_iou
from likewise.functional.regression import Sums, apply_ridge, balanced_weight, left_out, ridge, sums
from likewise.methods.prompts import PatchLabels

STRENGTHS = (1e-3, 1e-2, 1e-4, 1e-5)  # the first stands where left-out prediction cannot tell
OFFSETS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)  # added to every class against the background, for classes that are rare
SHARPNESS = (3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
_WORTH = 0.01  # of left-out IoU that an offset must gain, since it is tuned on few images


@dataclass(frozen=True)
class Readout:
    """A fitted read-out and what left-out prediction said of it.

    coefficients (D+1, N+1); offset and sharpness make logits of answers; iou (N+1,) left-out, NaN for classes that
    were never seen; judged (N+1,): the share of each class's area that could be judged; logits: left-out logits of
    each example (P, N+1).
    """

    coefficients: Tensor
    strength: float
    offset: float
    sharpness: float
    iou: Tensor
    judged: Tensor
    logits: list[Tensor]

    @property
    def score(self) -> float:
        """Mean left-out IoU over the classes seen, without the background."""
        known = self.iou[1:][~self.iou[1:].isnan()]
        return float(known.mean()) if len(known) else 0.0


@dataclass(frozen=True)
class Judge:
    """What left-out answers for an image are judged by: soft labels and folds (P,) on a grid (h, w)."""

    labels: PatchLabels
    folds: Tensor
    grid: tuple[int, int]


def fit_readout(features: Sequence[ImageFeatures], labels: Sequence[PatchLabels], folds: Sequence[Tensor], judges: Sequence[Judge]) -> Readout:
    """The read-out of a support, with strength, offset and sharpness chosen on left-out patches.

    folds: for each example the fold (P,) in which each patch is left out. Judges may have finer grids than the
    features, so that read-outs of different working sizes can be compared. Patches of a class that is nowhere outside
    their fold are not judged: nothing could have told what they are.
    """
    tokens = [item.joined() for item in features]
    shares, weight = torch.cat([item.shares for item in labels]), torch.cat([item.weight for item in labels])
    raised = torch.split(balanced_weight(shares, weight), [len(item.weight) for item in labels])
    parts = _parts(tokens, labels, raised, folds)
    total = _total(parts)
    fair = [_without_lost(judge, parts) for judge in judges]
    best: tuple[float, float, float, Tensor, list[Tensor]] | None = None
    for strength in STRENGTHS:
        left = left_out(parts, [[fold] for fold in range(len(parts))], strength)
        answers = [_answers(t, f, left) for t, f in zip(tokens, folds, strict=True)]
        shown = [_at(answer, item.grid, judge.grid) for answer, item, judge in zip(answers, features, judges, strict=True)]
        offset, score, iou = _best_offset(shown, fair)
        if best is None or score > best[0] + 1e-4:
            best = (score, strength, offset, iou, answers)
    if best is None:
        raise AssertionError("no strength was tried")
    _, strength, offset, iou, answers = best
    sharpness = _best_sharpness(answers, labels, offset)
    logits = [sharpness * shifted(answer, offset) for answer in answers]
    judged = _areas(fair) / _areas([judge.labels for judge in judges]).clamp_min(1e-9)
    return Readout(ridge(total, strength), strength, offset, sharpness, iou, judged, logits)


def shifted(answers: Tensor, offset: float) -> Tensor:
    """Answers (P, N+1) with the offset added to every class but the background."""
    moved = answers.clone()
    moved[:, 1:] += offset
    return moved


def _parts(tokens: Sequence[Tensor], labels: Sequence[PatchLabels], raised: Sequence[Tensor], folds: Sequence[Tensor]) -> list[Sums]:
    """One sum a fold, over all examples."""
    found = []
    for fold in range(int(max(int(f.max()) for f in folds)) + 1):
        own = [(t[f == fold], item.shares[f == fold], w[f == fold]) for t, item, w, f in zip(tokens, labels, raised, folds, strict=True)]
        found.append(sums(*(torch.cat(column) for column in zip(*own, strict=True))))
    return found


def _total(parts: Sequence[Sums]) -> Sums:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _areas(labels: Sequence[PatchLabels]) -> Tensor:
    """The area of each class (N+1,) in patches."""
    return torch.stack([(item.shares * item.weight[:, None]).sum(0) for item in labels]).sum(0)


def _without_lost(judge: Judge, parts: Sequence[Sums]) -> PatchLabels:
    """Labels whose patches carry no weight where their class is nowhere outside their fold (the last row of `cross` holds areas)."""
    areas = torch.stack([part.cross[-1] for part in parts])
    rest = areas.sum(0) - areas
    lost = ((areas > 0) & (rest <= 1e-3 * areas.sum(0))).float()  # (folds, N+1)
    labels = judge.labels
    return PatchLabels(labels.shares, labels.weight * (1 - (labels.shares * lost[judge.folds]).sum(1)).clamp_min(0))


def _answers(tokens: Tensor, folds: Tensor, left: Sequence[Tensor]) -> Tensor:
    """Left-out answers (P, N+1): each patch by the fit without its fold."""
    found = tokens.new_zeros(len(tokens), left[0].shape[1])
    for fold in torch.unique(folds).tolist():
        own = folds == fold
        found[own] = apply_ridge(tokens[own], left[fold])
    return found


def _at(answers: Tensor, grid: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Answers (P, C) of one grid on another, bilinear: (P', C)."""
    if grid == wanted:
        return answers
    maps = answers.T.reshape(1, -1, *grid)
    return interpolate(maps, size=wanted, mode="bilinear", align_corners=False)[0].flatten(1).T


def _best_offset(answers: Sequence[Tensor], judge: Sequence[PatchLabels]) -> tuple[float, float, Tensor]:
    """The offset with the best mean left-out IoU, 0 unless another is clearly better; the score; IoU (N+1,)."""
    shares, weight = torch.cat([item.shares for item in judge]), torch.cat([item.weight for item in judge])
    together = torch.cat(list(answers))
    chosen: tuple[float, float, Tensor] | None = None
    for offset in OFFSETS:
        both, either = soft_iou(shifted(together, offset), shares, weight)
        seen = (shares * weight[:, None]).sum(0) > 0
        iou = torch.where(seen, both / either.clamp_min(1e-9), torch.nan)
        score = float(iou[1:].nanmean().nan_to_num(0.0))
        if chosen is None or score > chosen[1] + _WORTH:
            chosen = (offset, score, iou)
    if chosen is None:
        raise AssertionError("no offset was tried")
    return chosen


def _best_sharpness(answers: Sequence[Tensor], labels: Sequence[PatchLabels], offset: float) -> float:
    """The factor under which left-out answers are the best probabilities (least weighted cross entropy)."""
    shares, weight = torch.cat([item.shares for item in labels]), torch.cat([item.weight for item in labels])
    together = shifted(torch.cat(list(answers)), offset)
    losses = {factor: float((-(shares * torch.log_softmax(factor * together, dim=1)).sum(1) * weight).sum()) for factor in SHARPNESS}
    return min(losses, key=lambda factor: losses[factor])
