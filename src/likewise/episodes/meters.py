"""The scores of a benchmark as `torchmetrics` modules: thin states over `functional.episode_metrics`.

States are whole numbers that are summed between processes, so that a benchmark cut into parts gives the same scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

from likewise.functional import episode_metrics as scores


class FscsMeter(Metric):  # type: ignore[misc]
    """Exact ratio and mIoU of few-shot classification and segmentation, in percent.

    classes: the numbers of the fold's classes, counted from 1. The mIoU leaves void out; `miou_official` counts it as
    background, as all published numbers do.
    """

    full_state_update = False

    def __init__(self, classes: Sequence[int]) -> None:
        super().__init__()
        self.classes = list(classes)
        slots = max(self.classes) + 1
        self.add_state("counts", torch.zeros(2, slots, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("official", torch.zeros(2, slots, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("exact", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, labels: Tensor, truth: Tensor, void: Tensor, classes: Tensor, present: Tensor, truly_present: Tensor) -> None:
        """Count an episode: maps (H, W) of labels 0..N, void (H, W) 1 where the truth is unknown, class numbers (N,), presence (N,) bool."""
        way, slots = len(classes), self.counts.shape[1]
        for state, ignored in ((self.counts, _array(void) > 0), (self.official, None)):
            state += _tensor(scores.fscs_counts(scores.label_overlap(_array(labels), _array(truth), way + 1, ignored), _array(classes), slots), state)
        self.exact += torch.tensor([int(torch.equal(present.bool(), truly_present.bool())), 1], device=self.exact.device)

    def compute(self) -> dict[str, float]:
        """{"exact_ratio", "miou", "miou_official"}."""
        right, asked = self.exact.tolist()
        return {
            "exact_ratio": 100 * right / max(asked, 1),
            "miou": scores.mean_class_iou(_array(self.counts), self.classes),
            "miou_official": scores.mean_class_iou(_array(self.official), self.classes),
        }


class FssMeter(Metric):  # type: ignore[misc]
    """The mIoU and FB-IoU of few-shot segmentation, in percent; classes: the numbers of the fold's classes, counted from 1."""

    full_state_update = False

    def __init__(self, classes: Sequence[int]) -> None:
        super().__init__()
        self.classes = list(classes)
        self.add_state("counts", torch.zeros(2, 2, max(self.classes) + 1, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, labels: Tensor, truth: Tensor, number: int, void: Tensor | None = None) -> None:
        """Count an episode of one class: binary maps (H, W), the class's number, void (H, W) 1 where the truth is unknown."""
        ignored = None if void is None else _array(void) > 0
        self.counts[:, :, number] += _tensor(scores.fss_counts(_array(labels), _array(truth), ignored), self.counts)

    def compute(self) -> dict[str, float]:
        """{"miou", "fb_iou"}."""
        miou, fb_iou = scores.fss_scores(_array(self.counts), self.classes)
        return {"miou": miou, "fb_iou": fb_iou}


def _array(tensor: Tensor) -> NDArray[np.int64]:
    return np.asarray(tensor.detach().cpu().numpy(), np.int64)


def _tensor(counts: NDArray[np.int64], like: Tensor) -> Tensor:
    return torch.from_numpy(counts).to(like.device)
