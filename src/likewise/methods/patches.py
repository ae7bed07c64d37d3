"""What methods on patch tokens share: the support as rows, the answer for a grid, and the frame of a simple read-out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.calibration import dice_confidence, gated, lead, nothing_there, peak
from likewise.functional.links import Link, link_of
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.dense import ValueRows, as_grid, value_rows
from likewise.methods.prompts import patch_labels, require_some

PRESENCE_SLOPE = 8.0  # of P(present) on the lead over the other classes: 0 -> 0.5, 0.3 -> 0.92


@dataclass(frozen=True)
class Rows:
    """The labelled patches of a support: tokens (R, D) of length 1 a layer, shares (R, N+1), weight (R,) above 0."""

    tokens: Tensor
    shares: Tensor
    weight: Tensor


def rows_of(support: Support, features: Sequence[ImageFeatures]) -> Rows:
    """Every labelled patch of every example, in order. InputError if there is none."""
    labels = patch_labels(support, features)
    require_some(labels)
    tokens, shares, weights = [], [], []
    for item, label in zip(features, labels, strict=True):
        kept = label.weight > 0
        tokens.append(item.joined()[kept])
        shares.append(label.shares[kept])
        weights.append(label.weight[kept])
    return Rows(torch.cat(tokens), torch.cat(shares), torch.cat(weights))


def answer(
    logits: Tensor | None,
    grid: tuple[int, int],
    *,
    presence: Tensor | None = None,
    judge: Callable[[Tensor], Tensor] | None = None,
    dense: Mapping[str, Tensor] | None = None,
    links: Mapping[str, Link] | None = None,
    confidence: float = 1.0,
) -> RawPrediction:
    """A raw prediction from logits (P, N+1) of a grid (h, w) and dense maps (C, h, w).

    presence (N,), unless given: whether the class leads all others on the patches where it is strongest, which asks
    nothing of the scale of the probabilities; judge: makes the confidence (N,) of the classes of the Dice scores (N,) that
    the probabilities expect without the classes that are said to be absent, which itself are the confidence unless given.
    The confidence of the answer is the mean over the classes found, or the probability that there is none; that of the
    dense answer, `confidence`, is multiplied with it.
    """
    if logits is None:
        return RawPrediction(None, dense=dense or {}, links=links or {}, confidence=confidence)
    probabilities = torch.softmax(logits.float(), dim=1).T
    if presence is None:
        presence = torch.sigmoid(PRESENCE_SLOPE * peak(lead(probabilities))[1:])
    by_class, found = (part[1:] for part in dice_confidence(torch.softmax(gated(logits.float(), presence), dim=1).T))
    if judge is not None:
        by_class = torch.where(found, judge(by_class), 0.0)
    overall = float(by_class[found].mean()) if bool(found.any()) else nothing_there(presence)
    finite = torch.nan_to_num(logits.float(), neginf=-1e4)
    shaped = finite.T.reshape(-1, *grid)
    return RawPrediction(shaped, presence, dense or {}, links or {}, overall * confidence, by_class)


@dataclass(frozen=True, kw_only=True)
class ReadoutSettings(MethodSettings):
    """side: the working size; debias: the share of the width in directions that are taken out because they say where a token stands (`insid3`), 0: none."""

    side: int = 448
    debias: float = 0.0


class PatchReadout(Method):
    """The frame of a simple read-out of the last layer's patch tokens: four functions make a method of it.

    `fit_classes` and `fit_values` turn rows into tensors by name; `logits` and `values` apply such tensors to the
    tokens (P, D) of an image: (P, N+1) with -inf for classes that were never seen, and components (P, C).
    """

    takes = frozenset({LabelKind.MASK, LabelKind.DENSE})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE, OutputKind.DENSE})
    Settings = ReadoutSettings
    settings: ReadoutSettings

    @abstractmethod
    def fit_classes(self, rows: Rows) -> dict[str, Tensor]:
        """What is kept of labelled patches."""

    @abstractmethod
    def fit_values(self, rows: ValueRows) -> dict[str, Tensor]:
        """What is kept of patches with values."""

    @abstractmethod
    def logits(self, tokens: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """Logits (P, N+1) of tokens (P, D)."""

    @abstractmethod
    def values(self, tokens: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """Components (P, C) of tokens (P, D)."""

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer."""
        return (self._spec,)

    def learn(self, support: Support, features: Features) -> Memory:
        """The tensors of the classes under `classes.`, those of each dense target under `dense.NAME.`."""
        found, own = {}, [item.placeless() for item in features[self._spec]]
        if support.classes.names:
            found["classes."] = self.fit_classes(rows_of(support, own))
        for name in support.targets:
            found[f"dense.{name}."] = self.fit_values(value_rows(support, own, name))
        tensors = {prefix + key: tensor for prefix, part in found.items() for key, tensor in part.items()}
        return Memory(tensors, {"links": {name: link_of(target.kind, target.unit) for name, target in support.targets.items()}})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits and dense components of every query."""
        return [self._answer(item.placeless(), memory) for item in features[self._spec]]

    @property
    def _spec(self) -> FeatureSpec:
        return FeatureSpec(layers=(-1,), side=self.settings.side, debias=self.settings.debias)

    def _answer(self, item: ImageFeatures, memory: Memory) -> RawPrediction:
        tokens, classes = item.joined(), _under(memory, "classes.")
        dense = {name: as_grid(self.values(tokens, _under(memory, f"dense.{name}.")), item, link) for name, link in memory.facts["links"].items()}
        logits = self.logits(tokens, classes) if classes else None
        return answer(logits, item.grid, dense=dense, links=memory.facts["links"])


def _under(memory: Memory, prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in memory.tensors.items() if name.startswith(prefix)}
