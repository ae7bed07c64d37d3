"""The objective of VTM: cross-entropy for segmentation, absolute error for everything else."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def channel_losses(logits: Tensor, target: Tensor, known: Tensor, categorical: Tensor) -> Tensor:
    """The loss of every pixel, 0 where it is unknown: logits, target in 0..1 and known (0/1), (..., H, W) each.

    categorical: bool, of the leading shape or broadcast to it: binary cross-entropy there, |sigmoid - target| elsewhere.
    """
    entropy = binary_cross_entropy_with_logits(logits, target, reduction="none")
    absolute = (logits.sigmoid() - target).abs()
    return torch.where(categorical[..., None, None], entropy, absolute) * known


def hybrid_loss(logits: Tensor, target: Tensor, known: Tensor, categorical: Tensor, *, official: bool = False) -> Tensor:
    """The mean of `channel_losses` over known pixels; official: over all pixels, unknown ones counting 0.

    Without any known pixel it is 0.
    """
    losses = channel_losses(logits, target, known, categorical)
    if official:
        return losses.mean()
    return losses.sum() / known.expand_as(losses).sum().clamp_min(1)
