"""The objective of Label Anything: focal loss with weights of classes; dice, which its published training leaves off.

Source: De Marinis et al. 2024, its code. Logits are (B, C, H, W), targets (B, H, W) with -100 where nothing counts. official:
ignored pixels count in the weights' total and in the mean, and the weight of a component is multiplied in twice.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

IGNORED = -100
SOFTENED = 1.1  # w = 1 / ln(1.1 + share)


def class_weights(target: Tensor, classes: int, *, official: bool = False) -> Tensor:
    """The weight (C,) of every class by its share of all pixels of a batch; 1 for one that is not there."""
    counted = target[target != IGNORED]
    counts = torch.bincount(counted.flatten(), minlength=classes).float()
    total = target.numel() if official else max(counted.numel(), 1)
    return torch.where(counts > 0, 1 / torch.log(SOFTENED + counts / total), torch.ones_like(counts))


def pixel_weights(target: Tensor, weights: Tensor) -> Tensor:
    """The weight (B, H, W) of every pixel by its class, 0 for ignored ones."""
    known = target != IGNORED
    return torch.where(known, weights[target.clamp_min(0)], torch.zeros((), dtype=weights.dtype, device=weights.device))


def focal_loss(logits: Tensor, target: Tensor, weights: Tensor | None = None, *, gamma: float = 2.0, official: bool = False) -> Tensor:
    """The mean of (1 - p)^gamma times the weighted cross-entropy of p, the probability of the right class (Lin et al. 2017)."""
    entropy = cross_entropy(logits, target, ignore_index=IGNORED, reduction="none")
    losses = (1 - torch.exp(-entropy)) ** gamma * entropy
    if weights is not None:
        losses = losses * pixel_weights(target, weights)
    return losses.mean() if official else losses.sum() / (target != IGNORED).sum().clamp_min(1)


def component_weight(weight: float, *, official: bool = False) -> float:
    """What a component's weight comes to.

    >>> component_weight(0.5), component_weight(0.5, official=True)
    (0.5, 0.25)
    """
    return weight**2 if official else weight


def dice_loss(logits: Tensor, target: Tensor, weights: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """The mean over classes and samples of one less the soft dice; scores of ignored pixels count in the sum, as published."""
    scores = logits.softmax(dim=1)
    truth = (one_hot(target.clamp_min(0), logits.shape[1]) * (target != IGNORED)[..., None]).movedim(-1, 1).to(scores)
    both = (scores * truth).sum(dim=(2, 3))
    losses = 1 - (2 * both + eps) / (scores.sum(dim=(2, 3)) + truth.sum(dim=(2, 3)) + eps)
    return (losses if weights is None else losses * weights).mean()
