"""Golden files of ASNet's learner in the frame of few-shot classification and segmentation (`cst_asnet_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from likewise.testing.golden.case import Case
from likewise.testing.golden.frame import framed, weights

if TYPE_CHECKING:
    from torch import Tensor


def asnet(case: Case) -> Mapping[str, Any]:
    """Correlations with the whole support, logits, answers and losses; of a "weak" case no mask enters."""
    from likewise.layers.correlation_pyramid import correlations, unit
    from likewise.methods.asnet.checkpoint import learner_in

    learner = learner_in(weights(case))

    def correlate(query: list[Tensor], support: list[Tensor], _: Tensor) -> list[Tensor]:
        return [correlations(unit(mine), unit(theirs)) for mine, theirs in zip(query, support, strict=True)]

    return framed(case, learner.channels, correlate, lambda pyramid, masks: learner(pyramid, None if case.config.get("weak") else masks))
