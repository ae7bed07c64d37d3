"""Prototypes: the mean patch token of each class (after Snell et al. 2017 and Wang et al. 2019).

learn    a prototype a class and one for the background: the mean, over all examples, of the tokens under its masks
predict  scaled cosine of each patch token with each prototype, softmax over classes

Limits: one mean a class, so a class (and above all the background) that looks several ways is blurred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.links import link_of
from likewise.functional.matching import class_means, cosine, spread_out
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.dense import as_grid, value_rows
from likewise.methods.patches import answer, rows_of


@dataclass(frozen=True, kw_only=True)
class PrototypeSettings(MethodSettings):
    """temperature: the factor on cosines, 20 as in PANet (Wang et al. 2019); bins: ranges of a dense target; side: the working size."""

    temperature: float = 20.0
    bins: int = 16
    side: int = 448


class Prototype(Method):
    """See the top of the file."""

    name = "prototype"
    takes = frozenset({LabelKind.MASK, LabelKind.DENSE})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE, OutputKind.DENSE})
    Settings = PrototypeSettings
    settings: PrototypeSettings

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer."""
        return (self._spec,)

    @property
    def _spec(self) -> FeatureSpec:
        return FeatureSpec(layers=(-1,), side=self.settings.side)

    def learn(self, support: Support, features: Features) -> Memory:
        """Prototypes (N+1, D); for a dense target a prototype for each of `bins` ranges of its first component."""
        tensors: dict[str, Tensor] = {}
        if support.classes.names:
            rows = rows_of(support, features[self._spec])
            tensors["prototypes"] = class_means(rows.tokens, rows.shares * rows.weight[:, None])
        for name in support.targets:
            values = value_rows(support, features[self._spec], name)
            components = values.components()
            bins = _ranges(components[:, 0], self.settings.bins) * values.weight[:, None]
            tensors[f"dense.{name}.prototypes"] = class_means(values.tokens, bins)
            tensors[f"dense.{name}.values"] = (bins.T @ components) / bins.sum(0).clamp_min(1e-12)[:, None]
        return Memory(tensors, {"links": {name: link_of(target.kind) for name, target in support.targets.items()}})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Softmax of scaled cosines, over classes or over the ranges of a dense target."""
        found = []
        for item in features[self._spec]:
            tokens, dense = item.joined(), {}
            for name in memory.facts["links"]:
                scores = self._scores(tokens, memory.tensors[f"dense.{name}.prototypes"])
                dense[name] = as_grid(torch.softmax(scores, dim=1) @ memory.tensors[f"dense.{name}.values"], item.grid)
            logits = self._scores(tokens, memory.tensors["prototypes"]) if "prototypes" in memory.tensors else None
            found.append(answer(logits, item.grid, dense=dense, links=memory.facts["links"]))
        return found

    def _scores(self, tokens: Tensor, prototypes: Tensor) -> Tensor:
        seen = prototypes.abs().sum(1) > 0
        return torch.where(seen, self.settings.temperature * cosine(tokens, prototypes), -torch.inf)


def _ranges(values: Tensor, count: int) -> Tensor:
    """One-hot membership (R, count) of values (R,) in ranges that hold equally many of them."""
    edges = torch.quantile(values[spread_out(len(values), 100_000)], torch.linspace(0, 1, count + 1)[1:-1])
    return torch.nn.functional.one_hot(torch.bucketize(values, edges), count).float()
