"""What CST is trained for. Source: Kang et al. 2023, equations 5 to 7, and its code."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy

CLASS_WEIGHT = 0.1  # lambda of the paper, chosen there among 0.05, 0.1 and 0.5 (table a.8)


@dataclass(frozen=True)
class CstLoss:
    """Both terms, and their sum with the weight."""

    classes: Tensor
    masks: Tensor
    total: Tensor


def cst_loss(class_logits: Tensor, mask_logits: Tensor, present: Tensor, masks: Tensor, *, weight: float = CLASS_WEIGHT, ignore: int | None = 255) -> CstLoss:
    """The objective of a batch of 1-way episodes.

    class_logits (B, 2), mask_logits (B, 2, H, W), present (B,) 0 or 1, masks (B, H, W), 1 on the object. weight: of the
    classification term; ignore: a value of masks that counts nowhere, None to count it as background as the official
    code does with void.
    """
    labels = masks.long()
    if ignore is None:
        labels = labels * (labels == 1)
    classes = cross_entropy(class_logits, present.long())
    unknown = -100 if ignore is None else ignore
    pixels = cross_entropy(mask_logits, labels, ignore_index=unknown) if bool((labels != unknown).any()) else mask_logits.sum() * 0
    return CstLoss(classes, pixels, weight * classes + pixels)
