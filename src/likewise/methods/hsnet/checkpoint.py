"""Checkpoints of HSNet: those of the frame of few-shot classification and segmentation (`learner.*`), and the original ones (`hpn_learner.*`)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from likewise.methods.hsnet.model import HsnetLearner, learner_like
from likewise.methods.pyramid_weights import learner_of

ORIGINAL = "hpn_learner."  # of the learner in a checkpoint for segmentation alone (FS-S)


def is_original(tensors: Mapping[str, Tensor]) -> bool:
    """Whether tensors are those of the original network, for segmentation alone."""
    return any(name.removeprefix("module.").startswith(ORIGINAL) for name in tensors)


def learner_in(tensors: Mapping[str, Tensor]) -> HsnetLearner:
    """The learner of a checkpoint; WeightsError where the tensors do not fit."""
    return learner_of(tensors, learner_like, "HSNet", "hsnet")
