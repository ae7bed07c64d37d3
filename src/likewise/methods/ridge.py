"""Ridge: one linear regression from the last layer's tokens to the labels, nothing tuned (Hoerl and Kennard 1970).

learn    coefficients in closed form, every labelled patch weighted alike
predict  the regression's answers; the largest wins

Limits: one strength for all supports, and rare classes lose; `analogy` is this with both mended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.links import link_of
from likewise.functional.regression import apply_ridge, ridge, sums
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.dense import as_grid, value_rows
from likewise.methods.patches import answer, rows_of


@dataclass(frozen=True, kw_only=True)
class RidgeSettings(MethodSettings):
    """strength: of the penalty, a share of the mean diagonal; sharpness: from answers to logits; side: the working size."""

    strength: float = 1e-3
    sharpness: float = 6.0
    side: int = 448


class RidgeBaseline(Method):
    """See the top of the file."""

    name = "ridge"
    takes = frozenset({LabelKind.MASK, LabelKind.DENSE})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE, OutputKind.DENSE})
    Settings = RidgeSettings
    settings: RidgeSettings

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer."""
        return (self._spec,)

    @property
    def _spec(self) -> FeatureSpec:
        return FeatureSpec(layers=(-1,), side=self.settings.side)

    def learn(self, support: Support, features: Features) -> Memory:
        """Coefficients (D+1, N+1) and which classes were seen; coefficients (D+1, C) of each dense target."""
        tensors: dict[str, Tensor] = {}
        if support.classes.names:
            rows = rows_of(support, features[self._spec])
            tensors |= {"coefficients": ridge(sums(rows.tokens, rows.shares, rows.weight), self.settings.strength), "seen": rows.shares.sum(0) > 0}
        for name in support.targets:
            values = value_rows(support, features[self._spec], name)
            tensors[f"dense.{name}"] = ridge(sums(values.tokens, values.components(), values.weight), self.settings.strength)
        return Memory(tensors, {"links": {name: link_of(target.kind) for name, target in support.targets.items()}})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Sharpened answers of the regression, and its dense values."""
        found = []
        for item in features[self._spec]:
            tokens, logits = item.joined(), None
            dense = {name: as_grid(apply_ridge(tokens, memory.tensors[f"dense.{name}"]), item.grid) for name in memory.facts["links"]}
            if "coefficients" in memory.tensors:
                scores = self.settings.sharpness * apply_ridge(tokens, memory.tensors["coefficients"])
                logits = torch.where(memory.tensors["seen"], scores, -torch.inf)
            found.append(answer(logits, item.grid, dense=dense, links=memory.facts["links"]))
        return found
