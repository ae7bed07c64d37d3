"""How well proposals cover true masks."""

from __future__ import annotations

import torch
from torch import Tensor


def overlaps(masks: Tensor, truths: Tensor, known: Tensor) -> Tensor:
    """IoU (N, T) of masks (N, H, W) with truths (T, H, W), both bool, over pixels that are known (H, W); 0 where both are empty."""
    if masks.shape[1:] != truths.shape[1:]:
        raise ValueError(f"masks are {tuple(masks.shape[1:])}, truths {tuple(truths.shape[1:])}")
    one, two = masks[:, known].float(), truths[:, known].float()
    both = one @ two.T
    return both / (one.sum(dim=1)[:, None] + two.sum(dim=1) - both).clamp_min(1)


def recall(best: Tensor, thresholds: tuple[float, ...] = (0.5, 0.75)) -> list[float]:
    """The share of true masks whose best IoU (T,) reaches each threshold; nan without any."""
    return [float(torch.where(best >= threshold, 1.0, 0.0).mean()) for threshold in thresholds]
