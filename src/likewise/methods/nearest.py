"""Nearest neighbours: the class of the most similar support tokens (after Cover and Hart 1967).

learn    keep the labelled tokens, evenly thinned to a budget
predict  for each class the mean of the k largest cosines to its tokens; softmax over classes

Limits: a patch belongs to the classes that cover at least half of it, so thin things vanish; memory and time grow
with the examples up to the budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.links import link_of
from likewise.functional.matching import cosine, nearest_by_class, spread_out
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.dense import as_grid, value_rows
from likewise.methods.patches import answer, rows_of


@dataclass(frozen=True, kw_only=True)
class NearestSettings(MethodSettings):
    """count: neighbours a class; temperature: the factor on cosines (as for prototypes); budget: tokens kept; side: the working size."""

    count: int = 3
    temperature: float = 20.0
    budget: int = 20_000
    side: int = 448


class Nearest(Method):
    """See the top of the file."""

    name = "nearest"
    takes = frozenset({LabelKind.MASK, LabelKind.DENSE})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE, OutputKind.DENSE})
    Settings = NearestSettings
    settings: NearestSettings

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer."""
        return (self._spec,)

    @property
    def _spec(self) -> FeatureSpec:
        return FeatureSpec(layers=(-1,), side=self.settings.side)

    def learn(self, support: Support, features: Features) -> Memory:
        """Keys (K, D) half precision and their shares (K, N+1); for a dense target keys and components (K, C)."""
        tensors: dict[str, Tensor] = {}
        if support.classes.names:
            rows = rows_of(support, features[self._spec])
            kept = spread_out(len(rows.tokens), self.settings.budget)
            tensors |= {"keys": rows.tokens[kept].half(), "shares": rows.shares[kept]}
        for name in support.targets:
            values = value_rows(support, features[self._spec], name)
            kept = spread_out(len(values.tokens), self.settings.budget)
            tensors |= {f"dense.{name}.keys": values.tokens[kept].half(), f"dense.{name}.values": values.components()[kept]}
        return Memory(tensors, {"links": {name: link_of(target.kind) for name, target in support.targets.items()}})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Softmax of the scaled mean of the largest cosines; dense values are the mean of the nearest patches' values."""
        return [self._answer(item, memory) for item in features[self._spec]]

    def _answer(self, item: ImageFeatures, memory: Memory) -> RawPrediction:
        tokens, dense, logits = item.joined(), {}, None
        for name in memory.facts["links"]:
            keys, values = memory.tensors[f"dense.{name}.keys"].float(), memory.tensors[f"dense.{name}.values"]
            nearest = cosine(tokens, keys).topk(min(self.settings.count, len(keys)), dim=1).indices
            dense[name] = as_grid(values[nearest].mean(dim=1), item.grid)
        if "keys" in memory.tensors:
            shares = memory.tensors["shares"]
            scores = nearest_by_class(tokens, memory.tensors["keys"].float(), shares, self.settings.count)
            logits = torch.where((shares >= 0.5).any(0), self.settings.temperature * scores, -torch.inf)
        return answer(logits, item.grid, dense=dense, links=memory.facts["links"])
