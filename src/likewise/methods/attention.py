"""Attention: labels of the support, averaged by softmax of similarity (after Vinyals et al. 2016, Matching Networks).

learn    keep the labelled tokens with their soft labels, evenly thinned to a budget
predict  for each patch the mean of the support's labels, weighted by the softmax of scaled cosines; dense values alike

Limits: no class is raised against another, so rare ones lose where the features do not part them clearly; memory and
time grow with the examples up to the budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from likewise.backbones.features import FeatureSpec
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.links import link_of
from likewise.functional.matching import attend, spread_out
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.dense import as_grid, value_rows
from likewise.methods.patches import answer, rows_of


@dataclass(frozen=True, kw_only=True)
class AttentionSettings(MethodSettings):
    """temperature: divides cosines, 0.07 as usual for contrastive features; budget: tokens kept; side: the working size."""

    temperature: float = 0.07
    budget: int = 20_000
    side: int = 448


class Attention(Method):
    """See the top of the file."""

    name = "attention"
    takes = frozenset({LabelKind.MASK, LabelKind.DENSE})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE, OutputKind.DENSE})
    Settings = AttentionSettings
    settings: AttentionSettings

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer."""
        return (self._spec,)

    @property
    def _spec(self) -> FeatureSpec:
        return FeatureSpec(layers=(-1,), side=self.settings.side)

    def learn(self, support: Support, features: Features) -> Memory:
        """Keys (K, D) half precision, values (K, N+1), weight (K,); for a dense target the same with its components."""
        tensors: dict[str, Tensor] = {}
        if support.classes.names:
            rows = rows_of(support, features[self._spec])
            kept = spread_out(len(rows.tokens), self.settings.budget)
            tensors |= {"keys": rows.tokens[kept].half(), "values": rows.shares[kept], "weight": rows.weight[kept]}
        for name in support.targets:
            values = value_rows(support, features[self._spec], name)
            kept = spread_out(len(values.tokens), self.settings.budget)
            own = {"keys": values.tokens[kept].half(), "values": values.components()[kept], "weight": values.weight[kept]}
            tensors |= {f"dense.{name}.{key}": tensor for key, tensor in own.items()}
        return Memory(tensors, {"links": {name: link_of(target.kind) for name, target in support.targets.items()}})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logarithms of the averaged labels, and averaged dense values."""
        found = []
        for item in features[self._spec]:
            tokens = item.joined()
            dense = {name: as_grid(self._averaged(tokens, memory, f"dense.{name}."), item.grid) for name in memory.facts["links"]}
            logits = self._averaged(tokens, memory, "").clamp_min(1e-6).log() if "keys" in memory.tensors else None
            found.append(answer(logits, item.grid, dense=dense, links=memory.facts["links"]))
        return found

    def _averaged(self, tokens: Tensor, memory: Memory, prefix: str) -> Tensor:
        keys, values, weight = (memory.tensors[prefix + part] for part in ("keys", "values", "weight"))
        return attend(tokens, keys.float(), values, weight, self.settings.temperature)
