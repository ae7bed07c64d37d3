"""Checkpoints of ASNet."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from likewise.methods.asnet.model import AsnetLearner, learner_like
from likewise.methods.pyramid_weights import learner_of


def learner_in(tensors: Mapping[str, Tensor]) -> AsnetLearner:
    """The learner of a checkpoint; WeightsError where the tensors do not fit."""
    return learner_of(tensors, learner_like, "ASNet", "asnet")
