"""Losses of MM-Former: masks of the first stage matched with targets, few-shot dice and contrast of the second.

Source: Jiao et al. 2022 (MM-Former) and its code; the first stage is that of Mask2Former (Cheng et al. 2022) without classes.
official: ignored pixels count as background, and the dice is of sigmoids of what already is a probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits, grid_sample, interpolate

Uniform = Callable[[Sequence[int]], Tensor]  # numbers of 0..1 in a shape


@dataclass(frozen=True, kw_only=True)
class SetLoss:
    """Settings of the first stage's loss; the defaults are the published ones.

    points: at which masks are compared; more: candidates for each of them; keen: share of points that are chosen where masks are least sure.
    """

    points: int = 12_544
    more: float = 3.0
    keen: float = 0.75
    weight_mask: float = 5.0
    weight_dice: float = 5.0


@dataclass(frozen=True)
class Matched:
    """The losses of one set of masks, unweighted; for each image the cost (N, T) and which proposal goes with which target (2, T)."""

    mask: Tensor
    dice: Tensor
    costs: list[Tensor]
    pairs: list[Tensor]


def soft_iou(proposals: Tensor, labels: Tensor) -> Tensor:
    """The soft IoU (B, N) of masks (B, N, h, w) in 0..1 with labels (B, H, W) in 0..1, at the size of the labels."""
    masks = interpolate(proposals, size=labels.shape[-2:], mode="bilinear", align_corners=False)
    shared = torch.einsum("bnhw, bhw -> bn", masks, labels)
    return shared / (labels.sum(dim=(1, 2))[:, None] + masks.sum(dim=(2, 3)) - shared + 1e-7)


def set_loss(logits: Tensor, targets: Sequence[Tensor], uniform: Uniform, config: SetLoss = SetLoss()) -> Matched:
    """Masks (B, N, h, w) matched with the targets (T, H, W) of each image by least cost, and how far they are from them."""
    costs, pairs = [], []
    for own, wanted in zip(logits, targets, strict=True):
        places = uniform([1, config.points, 2])
        with torch.no_grad():
            answers = sampled(own[:, None], places.expand(len(own), -1, -1))[:, 0]
            truth = sampled(wanted[:, None], places.expand(len(wanted), -1, -1))[:, 0]
            cost = config.weight_mask * _pairwise_entropy(answers, truth) + config.weight_dice * _pairwise_dice(answers, truth)
        costs.append(cost)
        pairs.append(torch.from_numpy(np.stack(linear_sum_assignment(cost.cpu()))))
    chosen = torch.cat([own[pair[0]] for own, pair in zip(logits, pairs, strict=True)])[:, None]
    wanted = torch.cat([target[pair[1]] for target, pair in zip(targets, pairs, strict=True)])[:, None]
    with torch.no_grad():
        places = unsure_points(chosen, uniform, config)
        truth = sampled(wanted, places)[:, 0]
    answers = sampled(chosen, places)[:, 0]
    count = max(len(chosen), 1)
    entropy = binary_cross_entropy_with_logits(answers, truth, reduction="none").mean(dim=1).sum() / count
    return Matched(entropy, _dice(answers.sigmoid(), truth).sum() / count, costs, pairs)


def unsure_points(logits: Tensor, uniform: Uniform, config: SetLoss) -> Tensor:
    """Places (M, P, 2) where masks (M, 1, h, w) are compared: most where they are least sure among more candidates, the rest anywhere."""
    places = uniform([len(logits), int(config.points * config.more), 2])
    keen = int(config.keen * config.points)
    sure = sampled(logits, places)[:, 0].abs()
    chosen = sure.topk(keen, dim=1, largest=False).indices
    rest = uniform([len(logits), config.points - keen, 2])
    return torch.cat([places.gather(1, chosen[..., None].expand(-1, -1, 2)), rest], dim=1)


def sampled(maps: Tensor, places: Tensor) -> Tensor:
    """Values (M, C, P) of maps (M, C, H, W) at places (M, P, 2) in 0..1, x and y; bilinear, nothing outside."""
    return grid_sample(maps, 2 * places[:, :, None] - 1, mode="bilinear", padding_mode="zeros", align_corners=False)[..., 0]


def few_shot_dice(foreground: Tensor, labels: Tensor, known: Tensor | None = None, *, official: bool = False) -> Tensor:
    """The dice loss of a foreground (B, H, W) against labels (B, H, W) of 0 and 1: background and foreground added, the mean over images.

    known: (B, H, W) bool, where labels count; official: everywhere, and with the sigmoids of both.
    """
    answers = torch.stack([1 - foreground, foreground], dim=1)
    if official:
        return dice_of_both(answers.sigmoid(), labels)
    return dice_of_both(answers, labels, known)


def dice_of_both(answers: Tensor, labels: Tensor, known: Tensor | None = None) -> Tensor:
    """The same of background and foreground (B, 2, H, W)."""
    truth = torch.stack([1 - labels, labels], dim=1)
    if known is not None:
        answers, truth = answers * known[:, None], truth * known[:, None]
    shared = (answers * truth).sum(dim=(2, 3))
    whole = (answers.square().sum(dim=(2, 3)) + truth.square().sum(dim=(2, 3))).clamp_min(1e-8)
    return (1 - 2 * shared / whole).sum() / len(labels)


def contrast(similarity: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
    """The loss that draws the cosine of the worst proposal to 0 and of the best to 1, and these two (B, 2): of cosines and IoU (B, N).

    Cosines are spread over 0..1 first, each image's from its lowest to its highest.
    """
    least, most = similarity.amin(dim=1, keepdim=True), similarity.amax(dim=1, keepdim=True)
    spread = (similarity - least) / (most - least + 1e-8)
    ends = torch.stack([quality.argmin(dim=1), quality.argmax(dim=1)], dim=1)
    pair = spread.gather(1, ends)
    return binary_cross_entropy(pair.clamp(0, 1), torch.tensor([0.0, 1.0]).to(pair).expand_as(pair)), pair


def _dice(answers: Tensor, truth: Tensor) -> Tensor:
    """(M,) of points (M, P)."""
    return 1 - (2 * (answers * truth).sum(dim=1) + 1) / (answers.sum(dim=1) + truth.sum(dim=1) + 1)


def _pairwise_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """(N, T) of points (N, P) and (T, P)."""
    answers = logits.sigmoid()
    return 1 - (2 * answers @ truth.T + 1) / (answers.sum(dim=1)[:, None] + truth.sum(dim=1) + 1)


def _pairwise_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """The mean cross entropy (N, T) of points (N, P) and (T, P)."""
    positive = binary_cross_entropy_with_logits(logits, torch.ones_like(logits), reduction="none")
    negative = binary_cross_entropy_with_logits(logits, torch.zeros_like(logits), reduction="none")
    return (positive @ truth.T + negative @ (1 - truth).T) / logits.shape[1]
