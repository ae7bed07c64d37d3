"""Prototypes: the mean patch token of each class (after Snell et al. 2017 and Wang et al. 2019).

learn    a prototype a class and one for the background: the mean, over all examples, of the tokens under its masks
predict  scaled cosine of each patch token with each prototype, softmax over classes

Limits: one mean a class, so a class (and above all the background) that looks several ways is blurred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.functional.matching import class_means, cosine, spread_out
from likewise.methods.dense import ValueRows
from likewise.methods.patches import PatchReadout, ReadoutSettings, Rows


@dataclass(frozen=True, kw_only=True)
class PrototypeSettings(ReadoutSettings):
    """temperature: the factor on cosines, 20 as in PANet (Wang et al. 2019); bins: ranges of a dense target; side: the working size."""

    temperature: float = 20.0
    bins: int = 16


class Prototype(PatchReadout):
    """See the top of the file."""

    name = "prototype"
    Settings = PrototypeSettings
    settings: PrototypeSettings

    def fit_classes(self, rows: Rows) -> dict[str, Tensor]:
        """Prototypes (N+1, D)."""
        return {"prototypes": class_means(rows.tokens, rows.shares * rows.weight[:, None])}

    def fit_values(self, rows: ValueRows) -> dict[str, Tensor]:
        """A prototype (D,) and a mean value (C,) for each of `bins` ranges of the first component."""
        components = rows.components()
        member = _ranges(components[:, 0], self.settings.bins) * rows.weight[:, None]
        return {"prototypes": class_means(rows.tokens, member), "values": (member.T @ components) / member.sum(0).clamp_min(1e-12)[:, None]}

    def logits(self, tokens: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """Scaled cosines."""
        seen = kept["prototypes"].abs().sum(1) > 0
        return torch.where(seen, self.settings.temperature * cosine(tokens, kept["prototypes"]), -torch.inf)

    def values(self, tokens: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """The ranges' values, averaged by softmax of scaled cosine."""
        return torch.softmax(self.logits(tokens, kept), dim=1) @ kept["values"]


def _ranges(values: Tensor, count: int) -> Tensor:
    """One-hot membership (R, count) of values (R,) in ranges that hold equally many of them."""
    edges = torch.quantile(values[spread_out(len(values), 100_000)], torch.linspace(0, 1, count + 1)[1:-1])
    return torch.nn.functional.one_hot(torch.bucketize(values, edges), count).float()
