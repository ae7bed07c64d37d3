"""Attention: labels of the support, averaged by softmax of similarity (after Vinyals et al. 2016, Matching Networks).

learn    keep the labelled tokens with their soft labels, up to a budget: beyond it the rows that cover all best, each with
         the weight of those it stands for
predict  for each patch the mean of the support's labels, weighted by the softmax of scaled cosines; dense values alike

Limits: no class is raised against another, so rare ones lose where the features do not part them clearly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from likewise.functional.coreset import coreset
from likewise.functional.matching import attend
from likewise.methods.dense import ValueRows
from likewise.methods.patches import PatchReadout, ReadoutSettings, Rows


@dataclass(frozen=True, kw_only=True)
class AttentionSettings(ReadoutSettings):
    """temperature: divides cosines, 0.07 as usual for contrastive features; budget: tokens kept in all; side: the working size."""

    temperature: float = 0.07
    budget: int = 16_384


class Attention(PatchReadout):
    """See the top of the file."""

    name = "attention"
    Settings = AttentionSettings
    settings: AttentionSettings

    def fit_classes(self, rows: Rows) -> dict[str, Tensor]:
        """Keys (K, D) half precision, values (K, N+1), weight (K,)."""
        return self._kept(rows.tokens, rows.shares, rows.weight, by_class=True)

    def fit_values(self, rows: ValueRows) -> dict[str, Tensor]:
        """Keys (K, D) half precision, values (K, C), weight (K,)."""
        return self._kept(rows.tokens, rows.components(), rows.weight, by_class=False)

    def logits(self, tokens: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """Logarithms of the averaged labels."""
        return self.values(tokens, kept).clamp_min(1e-6).log()

    def values(self, tokens: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """Values averaged by softmax of similarity."""
        return attend(tokens, kept["keys"].float(), kept["values"], kept["weight"], self.settings.temperature)

    def _kept(self, tokens: Tensor, values: Tensor, weight: Tensor, *, by_class: bool) -> dict[str, Tensor]:
        kept = coreset(tokens, values, weight, self.settings.budget, by_class=by_class)
        return {"keys": tokens[kept.rows].half(), "values": values[kept.rows], "weight": kept.mass}
