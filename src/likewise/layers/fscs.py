"""From answers a class and a shot to one answer: the rules of few-shot classification and segmentation (FS-CS) and of FS-S.

Sources: Kang et al. 2023 (CST), section 3.1 and code; Kang and Cho 2022 (iFSL) and its code; Min et al. 2021 (HSNet) and
its code. Letters: B queries, N classes, K shots, H W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.functional.resize import resize_corners

PRESENT_FROM = 0.5


@dataclass(frozen=True)
class EpisodeAnswer:
    """present (B, N) bool and labels (B, H, W) uint8, 0 background, n + 1 the n-th class."""

    present: Tensor
    labels: Tensor


def mean_over_shots(logits: Tensor) -> Tensor:
    """Probabilities of logits with two channels, averaged over shots: (K, B, N, 2, ...) -> (B, N, 2, ...).

    The official code of CST applies a second softmax to these means; it changes no decision and is left out.
    """
    return torch.softmax(logits, dim=3).mean(dim=0)


def decide(class_probabilities: Tensor, mask_probabilities: Tensor) -> EpisodeAnswer:
    """The rule of CST, from means over shots (B, N, 2) and (B, N, 2, H, W).

    A class is there above 1/2. A pixel is of the class with the largest probability, the first of equal ones, or
    background if that is below 1/2; a class judged absent may still be drawn.
    """
    best, which = mask_probabilities[:, :, 1].max(dim=1)
    labels = torch.where(best < PRESENT_FROM, 0, which + 1)
    return EpisodeAnswer(class_probabilities[..., 1] > PRESENT_FROM, labels.to(torch.uint8))


def merge_backgrounds(log_maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Log maps of background and classes at image size: two-channel log-probabilities (B, N, 2, h, w) -> (B, 1+N, H, W).

    The background is the mean of the classes' log-probabilities of background. Source: iFSL.
    """
    merged = torch.cat([log_maps[:, :, 0].mean(dim=1, keepdim=True), log_maps[:, :, 1]], dim=1)
    return resize_corners(merged, size)


def is_present(log_maps: Tensor) -> Tensor:
    """Whether some place of a map (B, N, 2, h, w) is foreground with at least 1/2: (B, N) bool. Source: iFSL."""
    return log_maps[:, :, 1].flatten(2).max(dim=2).values >= math.log(PRESENT_FROM)


def decide_by_votes(log_maps: Tensor, size: tuple[int, int]) -> tuple[EpisodeAnswer, Tensor, Tensor]:
    """The rule of iFSL for shots (K, B, N, 2, h, w): the answer, votes (B, N), and mean merged log maps (B, 1+N, H, W).

    A class is there if at least half of the shots say so; a pixel is where the mean of the merged maps is largest.
    """
    votes = torch.stack([is_present(shot) for shot in log_maps]).sum(dim=0)
    merged = torch.stack([merge_backgrounds(shot, size) for shot in log_maps]).mean(dim=0)
    present = votes / len(log_maps) >= PRESENT_FROM
    return EpisodeAnswer(present, merged.argmax(dim=1).to(torch.uint8)), votes, merged


def vote_foreground(votes: Tensor, n_shot: int, *, official: bool = False) -> Tensor:
    """Foreground by votes of shots in FS-S: (B, H, W) -> (B, H, W) bool, where at least half agree.

    official: half of the highest vote in the image, as in the code of HSNet and ASNet, instead of half of the shots.
    """
    whole = votes.flatten(1).max(dim=1).values.clamp_min(1)[:, None, None] if official else torch.full_like(votes[:1, :1, :1], n_shot)
    return votes / whole >= PRESENT_FROM
