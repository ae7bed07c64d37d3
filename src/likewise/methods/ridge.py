"""Ridge: one linear regression from the last layer's tokens to the labels, nothing tuned (Hoerl and Kennard 1970).

learn    coefficients in closed form, every labelled patch weighted alike
predict  the regression's answers; the largest wins

Limits: one strength for all supports, and rare classes lose; `analogy` is this with both mended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.functional.regression import apply_ridge, ridge, sums
from likewise.methods.dense import ValueRows
from likewise.methods.patches import PatchReadout, ReadoutSettings, Rows


@dataclass(frozen=True, kw_only=True)
class RidgeSettings(ReadoutSettings):
    """strength: of the penalty, a share of the mean diagonal; sharpness: from answers to logits; side: the working size."""

    strength: float = 1e-3
    sharpness: float = 6.0


class RidgeBaseline(PatchReadout):
    """See the top of the file."""

    name = "ridge"
    Settings = RidgeSettings
    settings: RidgeSettings

    def fit_classes(self, rows: Rows) -> dict[str, Tensor]:
        """Coefficients (D+1, N+1) and which classes were seen."""
        return {"coefficients": ridge(sums(rows.tokens, rows.shares, rows.weight), self.settings.strength), "seen": rows.shares.sum(0) > 0}

    def fit_values(self, rows: ValueRows) -> dict[str, Tensor]:
        """Coefficients (D+1, C)."""
        return {"coefficients": ridge(sums(rows.tokens, rows.components(), rows.weight), self.settings.strength)}

    def logits(self, tokens: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """Sharpened answers of the regression."""
        return torch.where(kept["seen"], self.settings.sharpness * apply_ridge(tokens, kept["coefficients"]), -torch.inf)

    def values(self, tokens: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """Answers of the regression."""
        return apply_ridge(tokens, kept["coefficients"])
