"""Cross-fitting: a read-out is fitted without each fold of the support to answer for it, then on all of it for queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.functional.local import relit
from likewise.methods.analogy.conv import apply_conv, fit_conv
from likewise.methods.analogy.fitting import UNKNOWN, Scene
from likewise.methods.analogy.pixel import apply_pixel, fit_pixel

Kept = Mapping[str, Tensor]
FITS: dict[str, tuple[Callable[..., dict[str, Tensor]], Callable[[Scene, Kept], Tensor]]] = {
    "pixel": (fit_pixel, apply_pixel),
    "conv": (fit_conv, apply_conv),
}


@dataclass(frozen=True)
class CrossFit:
    """The tensors of a read-out fitted on the whole support, and left-out answers (C, h, w) for each scene."""

    tensors: dict[str, Tensor]
    maps: list[Tensor]


def cross_fit(kind: str, scenes: Sequence[Scene], folds: Sequence[Tensor], count: int, *, steps: int, relight: bool) -> CrossFit:
    """A read-out of a kind (`pixel`, `conv`) for `count` classes.

    folds: for each scene the fold (h, w) in which each pixel is left out, the same as for the tokens: with fewer,
    read-outs are judged by fits on too little of a varied support; relight: ask about left-out pixels under another
    light, for folds of the same photograph, which would flatter what goes by colour.
    """
    whole = _fitted(kind, scenes, count, steps)
    present = sorted({place for fold in folds for place in torch.unique(fold).tolist()})
    left = {place: _fitted(kind, [scene.only(fold != place) for scene, fold in zip(scenes, folds, strict=True)], count, steps) for place in present}
    generator = torch.Generator().manual_seed(len(present))
    maps = []
    for scene, fold in zip(scenes, folds, strict=True):
        asked = Scene(relit(scene.picture[None], generator)[0], scene.answers, scene.labels) if relight else scene
        found = scene.picture.new_zeros(count, *fold.shape)
        for place in torch.unique(fold).tolist():
            found = torch.where(fold == place, fitted_answers(kind, asked, left[place] or whole), found)
        maps.append(found)
    return CrossFit(whole, maps)


def fitted_answers(kind: str, scene: Scene, kept: Kept) -> Tensor:
    """Answers (C, h, w) of a fitted read-out, probabilities over the classes that it has seen."""
    logits = FITS[kind][1](scene, kept)
    return torch.softmax(logits.masked_fill(~kept["seen"][:, None, None], -torch.inf), dim=0)


def _fitted(kind: str, scenes: Sequence[Scene], count: int, steps: int) -> dict[str, Tensor]:
    """The tensors of a read-out and the classes it has seen; {} if no pixel is labelled."""
    labelled = [scene for scene in scenes if bool((scene.labels != UNKNOWN).any())]
    if not labelled:
        return {}
    kept = FITS[kind][0](labelled, count, steps=steps)
    areas = torch.stack([torch.bincount(scene.labels[scene.labels != UNKNOWN], minlength=count) for scene in labelled])
    return {**kept, "seen": areas.sum(0) > 0}
