"""Nearest neighbours: the class of the most similar support tokens (after Cover and Hart 1967).

learn    keep the labelled tokens, up to a budget: beyond it the rows that cover all best, with an equal part for each class
predict  for each class the mean of the k largest cosines to its tokens; softmax over classes

Limits: a patch belongs to the classes that cover at least half of it, so thin things vanish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.functional.coreset import coreset
from likewise.functional.matching import cosine, nearest_by_class
from likewise.methods.dense import ValueRows
from likewise.methods.patches import PatchReadout, ReadoutSettings, Rows


@dataclass(frozen=True, kw_only=True)
class NearestSettings(ReadoutSettings):
    """count: neighbours a class; temperature: the factor on cosines (as for prototypes); budget: tokens kept in all; side: the working size."""

    count: int = 3
    temperature: float = 20.0
    budget: int = 16_384


class Nearest(PatchReadout):
    """See the top of the file."""

    name = "nearest"
    Settings = NearestSettings
    settings: NearestSettings

    def fit_classes(self, rows: Rows) -> dict[str, Tensor]:
        """Keys (K, D) half precision and their shares (K, N+1)."""
        kept = coreset(rows.tokens, rows.shares, rows.weight, self.settings.budget, by_class=True).rows
        return {"keys": rows.tokens[kept].half(), "shares": rows.shares[kept]}

    def fit_values(self, rows: ValueRows) -> dict[str, Tensor]:
        """Keys (K, D) half precision and components (K, C)."""
        components = rows.components()
        kept = coreset(rows.tokens, components, rows.weight, self.settings.budget, by_class=False).rows
        return {"keys": rows.tokens[kept].half(), "values": components[kept]}

    def logits(self, tokens: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """The scaled mean of the largest cosines to each class."""
        scores = nearest_by_class(tokens, kept["keys"].float(), kept["shares"], self.settings.count)
        return torch.where((kept["shares"] >= 0.5).any(0), self.settings.temperature * scores, -torch.inf)

    def values(self, tokens: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """The mean value of the nearest patches."""
        keys = kept["keys"].float()
        nearest = cosine(tokens, keys).topk(min(self.settings.count, len(keys)), dim=1).indices
        return kept["values"][nearest].mean(dim=1)
