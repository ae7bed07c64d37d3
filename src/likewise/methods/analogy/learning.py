"""Learning the classes: token read-outs, then fitted ones on top, and the left-out trial that chooses among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import Support
from likewise.methods.analogy.crossfit import CrossFit, cross_fit
from likewise.methods.analogy.fitting import UNKNOWN, Scene
from likewise.methods.analogy.folds import FOLDS, patch_folds
from likewise.methods.analogy.tokens import STRENGTHS, FoldSums, TokenFit, blends, fold_sums, left_out_answers
from likewise.methods.analogy.trial import Candidate, Judge, Verdict, best_sharpness, choose, judged, map_at, mixed
from likewise.methods.analogy.truth import judges_of, pixel_labels, share_judged
from likewise.methods.prompts import PatchLabels, patch_labels, require_some


@dataclass(frozen=True)
class Learned:
    """What was learned of the classes.

    tokens: a fit for each working size by name; fitted: cross-fitted read-outs by name; chosen: the answer, of read-outs by
    their weights, with its verdict; alone: the left-out score of each read-out by name.
    """

    tokens: dict[str, TokenFit]
    fitted: dict[str, CrossFit]
    chosen: Candidate
    verdict: Verdict
    judged: Tensor
    sharpness: float
    strengths: dict[str, float]
    alone: dict[str, float]


@dataclass(frozen=True)
class Trial:
    """The support prepared for left-out trials: judges, and for each example the fold in which it is left out whole or None."""

    support: Support
    whole: Sequence[int | None]
    judges: list[Judge]

    @property
    def by_blocks(self) -> bool:
        """Whether some example can only be left out in blocks."""
        return any(fold is None for fold in self.whole)


def learn_classes(
    support: Support,
    features: Mapping[FeatureSpec, Sequence[ImageFeatures]],
    whole: Sequence[int | None],
    order: Sequence[int],
    fitted: Mapping[str, int],
    *,
    forced: bool = False,
) -> Learned:
    """The read-outs of a support and the choice among them.

    features: by working size; order: places of the classes in an order that does not depend on their numbers; fitted:
    the steps of each fitted read-out to try, by name ({} for tokens alone); forced: take the first of them, whatever
    the trial says.
    """
    specs = sorted(features, key=lambda spec: spec.side)
    labels = {spec: patch_labels(support, features[spec]) for spec in specs}
    require_some(labels[specs[-1]])
    folds = {spec: [patch_folds(item.grid, fold) for item, fold in zip(features[spec], whole, strict=True)] for spec in specs}
    sums = {spec: fold_sums(features[spec], labels[spec], folds[spec], FOLDS) for spec in specs}
    judges = judges_of(support, features[specs[-1]], labels[specs[-1]], whole, sums[specs[-1]])
    trial = Trial(support, whole, judges)
    maps: dict[str, Sequence[Tensor]] = {}
    tokens: dict[str, TokenFit] = {}
    strengths: dict[str, float] = {}
    for spec in specs:
        name = f"tokens {spec.side}"
        side = _fit_side(features[spec], folds[spec], sums[spec], trial)
        tokens[name], strengths[name], maps[name] = side.fit, side.strength, side.maps
    fits: dict[str, CrossFit] = {}
    if fitted:
        fits = _fit_pictures(trial, features[specs[0]], labels[specs[0]], [maps[name] for name in tokens], order, fitted)
        maps |= {name: fit.maps for name, fit in fits.items()}
    names = list(fits)[:1] if forced and fits else [*tokens, *fits]
    alone = {name: judged(Candidate({name: 1.0}, maps), trial.judges, by_blocks=trial.by_blocks).score for name in names}
    kept = Candidate(mixed(alone, by_blocks=trial.by_blocks), maps)
    verdict = judged(kept, trial.judges, by_blocks=trial.by_blocks)
    sharpness = best_sharpness(kept, trial.judges, verdict.offset)
    return Learned(tokens, fits, kept, verdict, share_judged(support, trial.judges, labels[specs[-1]]), sharpness, strengths, alone)


def scene_of(item: ImageFeatures, answers: Sequence[Tensor], order: Sequence[int], labels: Tensor | None = None) -> Scene:
    """An image with the answers (C, h, w) of each working size, classes in the given order."""
    if item.pixels is None:
        raise ValueError("the features carry no picture")
    picture = item.pixels.float() / 255
    size = tuple(picture.shape[1:])
    enlarged = torch.cat([map_at(answer[list(order)], size) for answer in answers])
    return Scene(picture, enlarged, torch.full(size, UNKNOWN) if labels is None else labels)


@dataclass(frozen=True)
class _Side:
    """A working size: its fit with the best strength left-out, and left-out maps (N+1, h, w) of each example."""

    fit: TokenFit
    strength: float
    maps: list[Tensor]


def _fit_side(features: Sequence[ImageFeatures], folds: Sequence[Tensor], sums: FoldSums, trial: Trial) -> _Side:
    """The token fit of a working size, its blend and strength chosen left-out."""
    candidates, fits = [], []
    for strength in STRENGTHS:
        whole, left = sums.fits(strength)
        for blend in blends(len(features), by_blocks=trial.by_blocks):
            blended = [parts.blend(blend) for parts in left]
            answers = [left_out_answers(item.joined(), fold, blended).T.reshape(-1, *item.grid) for item, fold in zip(features, folds, strict=True)]
            candidates.append(Candidate({"tokens": 1.0}, {"tokens": answers}))
            fits.append((whole.blend(blend), strength))
    best, _ = choose(candidates, trial.judges, by_blocks=trial.by_blocks)
    fit, strength = fits[best]
    return _Side(fit, strength, list(candidates[best].maps["tokens"]))


def _fit_pictures(
    trial: Trial,
    features: Sequence[ImageFeatures],
    patches: Sequence[PatchLabels],
    answers: Sequence[Sequence[Tensor]],
    order: Sequence[int],
    steps: Mapping[str, int],
) -> dict[str, CrossFit]:
    """Every fitted read-out, cross-fitted on the support's pictures; maps have the classes in the support's order."""
    scenes, folds = [], []
    back = torch.argsort(torch.tensor(order))
    for place, (item, example) in enumerate(zip(features, trial.support.examples, strict=True)):
        if item.pixels is None:
            raise ValueError("the features carry no picture")
        grid = (item.pixels.shape[1], item.pixels.shape[2])
        labels = pixel_labels(example, trial.support, grid, (item.grid, patches[place]))
        canonical = torch.where(labels == UNKNOWN, UNKNOWN, back[labels.clamp_min(0)])
        scenes.append(scene_of(item, [side[place] for side in answers], order, canonical))
        folds.append(patch_folds(grid, trial.whole[place]).reshape(grid))
    found = {}
    for name, count in steps.items():
        fit = cross_fit(name, scenes, folds, len(order), steps=count, relight=trial.by_blocks)
        found[name] = CrossFit(fit.tensors, [maps[back].half() for maps in fit.maps])  # half precision, since there are as many as examples
    return found
