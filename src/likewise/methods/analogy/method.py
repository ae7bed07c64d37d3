"""Analogy: the default method. Regressions on frozen tokens, tuned by predicting the support from itself.

learn    patch tokens of four layers, each of length 1, side by side; soft patch labels by area (ignored pixels carry
         no weight); ridge regression in closed form for all classes at once, rare classes raised; strength, working
         size, an offset against the background and the sharpness of probabilities chosen on left-out images, or on
         left-out blocks of an image that alone shows a class. Dense targets by the same regression, under a logarithm
         where that does better left-out. Presence is calibrated on the left-out maps.
predict  one backbone pass, one matrix product, softmax; presence from the strongest patches; confidence as the Dice
         score that the probabilities expect of their own arg-max

Limits: what a patch grid cannot see (things of a few pixels) it finds only at larger working sizes or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.calibration import fit_presence, peak
from likewise.functional.regression import apply_ridge
from likewise.methods.analogy.folds import image_folds, patch_folds
from likewise.methods.analogy.readout import Judge, Readout, fit_readout, shifted
from likewise.methods.analogy.values import disagreement, fit_values
from likewise.methods.base import Features, Memory, Method, MethodSettings, Preset, Query, RawPrediction
from likewise.methods.dense import as_grid, value_rows
from likewise.methods.patches import answer
from likewise.methods.prompts import PATCH_KINDS, patch_labels, require_some

_JUDGED = 0.5  # of a class's area that left-out prediction must have judged for its score to be told
_WORTH = 0.02  # of left-out IoU that a larger working size must gain: within noise the coarser, more semantic one


@dataclass(frozen=True, kw_only=True)
class AnalogySettings(MethodSettings):
    """layers: blocks whose tokens are used, as quarters of a network of twelve; sides: working sizes to choose from."""

    layers: tuple[int, ...] = (2, 5, 8, 11)
    sides: tuple[int, ...] = (448, 896)

    @classmethod
    def preset(cls, name: Preset) -> Self:
        """`fast`: one pass at 448 and nothing to choose; else the working size is chosen from 448 and 896."""
        return cls(sides=(448,)) if name == "fast" else cls()


class Analogy(Method):
    """See the top of the file."""

    name = "analogy"
    takes = frozenset({*PATCH_KINDS, LabelKind.DENSE})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE, OutputKind.DENSE})
    Settings = AnalogySettings
    settings: AnalogySettings

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """Four layers at every working size to choose from; with a memory, at the chosen one."""
        sides = self.settings.sides if memory is None else (memory.facts["side"],)
        return tuple(FeatureSpec(layers=self.settings.layers, side=side) for side in sides)

    def learn(self, support: Support, features: Features) -> Memory:
        """Coefficients of classes and targets, and what left-out prediction chose and found."""
        whole = image_folds(support)
        tensors: dict[str, Tensor] = {}
        facts: dict[str, Any] = {"side": self.settings.sides[0], "left_out": {}, "links": {}}
        if support.classes.names:
            side, readout = self._choose(support, features, whole)
            labels = patch_labels(support, features[side])
            tensors["coefficients"] = readout.coefficients
            tensors["seen"] = torch.cat([item.shares * item.weight[:, None] for item in labels]).sum(0) > 0
            tensors["presence"] = _presence(support, readout, features[side])
            facts |= {"side": side.side, "strength": readout.strength, "offset": readout.offset, "sharpness": readout.sharpness}
            facts["left_out"] |= _report(support, readout, whole)
        for name in support.targets:
            side = self._spec(facts["side"])
            folds = [patch_folds(item.grid, fold) for item, fold in zip(features[side], whole, strict=True)]
            values = fit_values(value_rows(support, features[side], name), folds)
            tensors[f"dense.{name}"], tensors[f"dense.{name}.folds"] = values.coefficients, values.folds
            facts["links"][name] = values.link
            facts["left_out"][name] = {"error": round(values.error, 4), "link": values.link, "strength": values.strength, "spread": values.spread}
        return Memory(tensors, facts)

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits and dense components on the grid of patches."""
        return [self._answer(item, memory) for item in features[self._spec(memory.facts["side"])]]

    def _answer(self, item: ImageFeatures, memory: Memory) -> RawPrediction:
        facts, tokens = memory.facts, item.joined()
        dense = {name: as_grid(apply_ridge(tokens, memory.tensors[f"dense.{name}"]), item.grid) for name in facts["links"]}
        confidence = min((self._trust(name, tokens, memory) for name in facts["links"]), default=1.0)
        if "coefficients" not in memory.tensors:
            return answer(None, item.grid, dense=dense, links=facts["links"], confidence=confidence)
        logits = facts["sharpness"] * shifted(apply_ridge(tokens, memory.tensors["coefficients"]), facts["offset"])
        logits = torch.where(memory.tensors["seen"], logits, -torch.inf)
        slope, middle = memory.tensors["presence"].unbind(1)
        presence = torch.sigmoid(slope * (peak(torch.softmax(logits, dim=1).T)[1:] - middle))
        return answer(logits, item.grid, presence=presence, dense=dense, links=facts["links"], confidence=confidence)

    @staticmethod
    def _trust(name: str, tokens: Tensor, memory: Memory) -> float:
        """1 less the error to expect of a dense target here: the left-out one, times how much further the folds' fits lie apart."""
        facts = memory.facts["left_out"][name]
        apart = disagreement(tokens, memory.tensors[f"dense.{name}.folds"]) / max(facts["spread"], 1e-9)
        return float(max(0.0, 1.0 - facts["error"] * max(apart, 0.1)))

    def _spec(self, side: int) -> FeatureSpec:
        return FeatureSpec(layers=self.settings.layers, side=side)

    def _choose(self, support: Support, features: Features, whole: Sequence[int | None]) -> tuple[FeatureSpec, Readout]:
        """The working size with the best left-out IoU, the smallest within noise, and its read-out."""
        finest = features[self._spec(max(self.settings.sides))]
        truth = patch_labels(support, finest)
        require_some(truth)
        judges = [Judge(labels, patch_folds(item.grid, fold), item.grid) for labels, item, fold in zip(truth, finest, whole, strict=True)]
        chosen: tuple[FeatureSpec, Readout] | None = None
        for side in sorted(self.settings.sides):
            spec = self._spec(side)
            folds = [patch_folds(item.grid, fold) for item, fold in zip(features[spec], whole, strict=True)]
            readout = fit_readout(features[spec], patch_labels(support, features[spec]), folds, judges)
            if chosen is None or readout.score > chosen[1].score + _WORTH:
                chosen = (spec, readout)
        if chosen is None:
            raise AssertionError("no working size was tried")
        return chosen


def _presence(support: Support, readout: Readout, features: Sequence[ImageFeatures]) -> Tensor:
    """Slope and middle (N, 2) of the presence of each class, from its left-out peaks in the support's images."""
    peaks = torch.stack([peak(torch.softmax(logits, dim=1).T) for logits in readout.logits])
    found = []
    for place, number in enumerate(support.classes, start=1):
        known = [(e, present) for e, example in enumerate(support.examples) if (present := example.labels.present(number)) is not None]
        indices, truth = torch.tensor([e for e, _ in known], dtype=torch.long), torch.tensor([float(p) for _, p in known])
        found.append(fit_presence(peaks[indices, place], truth))
    return torch.tensor(found)


def _report(support: Support, readout: Readout, whole: Sequence[int | None]) -> dict[str, dict[str, Any]]:
    """For each class its left-out IoU (None if too little of it could be left out), how it was left out, its number of images."""
    found = {}
    for place, (number, name) in enumerate(support.classes.names.items(), start=1):
        shown = support.showing(number)
        if shown:
            by = "images" if any(whole[index] is not None for index in shown) else "blocks"
            known = not bool(readout.iou[place].isnan()) and float(readout.judged[place]) >= _JUDGED
            found[name] = {"iou": round(float(readout.iou[place]), 4) if known else None, "by": by, "images": len(shown)}
    return found
