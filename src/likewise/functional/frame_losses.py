"""Losses of the frame of few-shot classification and segmentation that HSNet, ASNet and PFENet share. Source: Kang and Cho 2022 (iFSL) and its code."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import nll_loss


def mask_loss(log_maps: Tensor, labels: Tensor, *, ignore: int | None = 255) -> Tensor:
    """Mean negative log-likelihood of labels (B, H, W) under log maps (B, 1+N, H, W); 0 where nothing is known.

    ignore: a label that counts nowhere; None to count whatever is no class as background, as the official code does with void.
    """
    known = labels.long()
    if ignore is None:
        return nll_loss(log_maps, known * (known < log_maps.shape[1]))
    if not bool((known != ignore).any()):
        return log_maps.sum() * 0
    return nll_loss(log_maps, known, ignore_index=ignore)


def presence_loss(log_maps: Tensor, present: Tensor) -> Tensor:
    """The loss of image-level labels alone: of two-channel log-probabilities (B, N, 2, h, w) the mean over places against present (B, N)."""
    means = log_maps.mean(dim=(3, 4))
    return nll_loss(means.flatten(0, 1), present.flatten().long().to(means.device))


def log_maps(logits: Tensor) -> Tensor:
    """Log-probabilities of background and object, which are the second last of axes: (..., 2, h, w) -> the same."""
    return torch.log_softmax(logits, dim=-3)
