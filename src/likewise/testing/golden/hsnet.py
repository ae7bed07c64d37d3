"""Golden files of HSNet's learner in the frame of few-shot classification and segmentation (`cst_hsnet_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from likewise.testing.golden.case import Case
from likewise.testing.golden.frame import framed, weights

if TYPE_CHECKING:
    from torch import Tensor


def hsnet(case: Case) -> Mapping[str, Any]:
    """Correlations with a support under its mask, logits, answers and losses."""
    from likewise.layers.correlation_pyramid import correlations, masked, unit
    from likewise.methods.hsnet.checkpoint import learner_in

    learner = learner_in(weights(case))

    def correlate(query: list[Tensor], support: list[Tensor], masks: Tensor) -> list[Tensor]:
        return [correlations(unit(mine), unit(masked(theirs, masks))) for mine, theirs in zip(query, support, strict=True)]

    return framed(case, learner.channels, correlate, lambda pyramid, _: learner(pyramid))
