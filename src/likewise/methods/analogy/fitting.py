"""What the fitted read-outs share: the scenes they are fitted on, their loss, and the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

UNKNOWN = -1
_CYCLE = 10  # steps, below which a cycle has no room to rise and fall


@dataclass(frozen=True)
class Scene:
    """An image as a read-out at the scale of pixels sees it.

    picture (3, h, w) in 0..1; answers (L, h, w): what the token read-outs say, enlarged; labels (h, w): the place of
    each pixel's class, background 0, UNKNOWN where nothing is known (everywhere, in a query).
    """

    picture: Tensor
    answers: Tensor
    labels: Tensor

    def only(self, kept: Tensor) -> Scene:
        """The same scene with labels known only where `kept` (h, w)."""
        return Scene(self.picture, self.answers, torch.where(kept, self.labels, UNKNOWN))


def class_weight(labels: Sequence[Tensor], count: int) -> Tensor:
    """The weight (count,) of each class in a loss: frequency^-1/2, 1 on average over the pixels, 0 for unseen classes."""
    area = torch.stack([torch.bincount(item[item != UNKNOWN].flatten(), minlength=count).double() for item in labels]).sum(0)
    share = area / area.sum().clamp_min(1)
    weight = torch.where(area > 0, share.clamp_min(1e-4) ** -0.5, 0.0)
    return (weight / (weight * share).sum().clamp_min(1e-9)).float()


def entropy_and_dice(logits: Tensor, labels: Tensor, weight: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy plus one less the mean soft Dice score of the classes that are there.

    logits (n, C), labels (n,) without UNKNOWN, weight (n,) of each row, classes (C,) the weight of each class.
    Rows are pooled over the batch: the Dice score of a single crop says little.
    """
    entropy = cross_entropy(logits, labels, reduction="none") * classes[labels] * weight
    truth = one_hot(labels, logits.shape[1]).to(logits.dtype) * weight[:, None]
    guess = logits.softmax(1) * weight[:, None]
    both = (guess * truth / weight.clamp_min(1e-9)[:, None]).sum(0)
    total, seen = guess.sum(0) + truth.sum(0), truth.sum(0) > 0
    dice = (2 * both + 1) / (total + 1)
    return entropy.sum() / weight.sum().clamp_min(1e-9) + 1 - dice[seen].mean()


def minimise(parameters: Iterable[Tensor], loss: Callable[[], Tensor], steps: int, rate: float, decay: float) -> None:
    """Change parameters in place by AdamW under a one-cycle schedule (a constant rate for a handful of steps); `loss()` is a new batch's each time."""
    leaves = list(parameters)
    optimiser = torch.optim.AdamW(leaves, lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.25) if steps >= _CYCLE else None
    for _ in range(steps):
        optimiser.zero_grad(set_to_none=True)
        loss().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(leaves, 1.0)
        optimiser.step()
        if schedule is not None:
            schedule.step()


def layer(wide: int, high: int, generator: torch.Generator, *, kernel: int = 0, zero: bool = False) -> tuple[Tensor, Tensor]:
    """Weights and bias of a new layer from `wide` to `high` channels, drawn after He et al. 2015, or zero."""
    shape = (high, wide, kernel, kernel) if kernel else (high, wide)
    fan = wide * max(kernel, 1) ** 2
    weights = torch.zeros(shape) if zero else torch.randn(shape, generator=generator) * (2 / fan) ** 0.5
    return weights.requires_grad_(), torch.zeros(high).requires_grad_()
