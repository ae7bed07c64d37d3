"""Label augmentations of VTM: new tasks out of given ones, in meta-training.

Source: Kim et al. 2023 and its code, with the parameters given; how these are drawn says `drawn`. Labels are tensors of any
shape with values in 0..1; support and query of a channel are changed together, so that they stay one task.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

if TYPE_CHECKING:
    import numpy as np

Augmentation = Callable[[Tensor], Tensor]
TEMPERATURES = (0.1, 0.2, 0.5, 2e5, 5e5, 1e6, 2e6)
LEVELS = {2e5: 22, 5e5: 10, 1e6: 5, 2e6: 3}  # what is left of a label under a huge temperature, in the precision of the code
KERNELS, SIGMAS = (9, 17, 33), (0.5, 1.0, 2.0, 5.0, 10.0)
CHANCE = 0.8  # of each of the two that are chosen


@dataclass(frozen=True)
class Mixed:
    """A label and where it is known."""

    label: Tensor
    known: Tensor


def stretched(values: Tensor) -> Tensor:
    """Values stretched to 0..1 by the least and the largest of the whole tensor, unknown pixels included; a constant becomes 0."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if bool(high > low) else torch.zeros_like(values)


def jitter(values: Tensor, brightness: float, contrast: float) -> Tensor:
    """Contrast and brightness changed, clipped, stretched."""
    return stretched(((1 + contrast) * values + brightness).clamp(0, 1))


def polynomial(values: Tensor, degree: float) -> Tensor:
    """Values to a power, stretched."""
    return stretched(values**degree)


def sigmoid(values: Tensor, temperature: float) -> Tensor:
    """The sigmoid of values over a temperature, in float32, stretched.

    official: temperatures of 2e5 and more leave a few values, since a sigmoid so close to 1/2 has few in float32; which
    ones depends on the machine. `quantised` says the same outright.
    """
    return stretched(torch.sigmoid(values.float() / temperature))


def quantised(values: Tensor, levels: int) -> Tensor:
    """Values rounded to so many even steps from 0 to 1, stretched."""
    return stretched((values * (levels - 1)).round())


def blurred(values: Tensor, kernel: int, sigma: float) -> Tensor:
    """Values (..., H, W) under a Gaussian of `kernel` pixels that sums to 1, mirrored at the border, stretched."""
    half = (kernel - 1) / 2
    weight = torch.exp(-0.5 * (torch.linspace(-half, half, kernel) / sigma) ** 2)
    weight = (weight / weight.sum()).to(values)
    flat = pad(values.reshape(-1, 1, *values.shape[-2:]), [kernel // 2] * 4, mode="reflect")
    return stretched(conv2d(conv2d(flat, weight[None, None, :, None]), weight[None, None, None]).reshape(values.shape))


def mixup(own: Mixed, other: Mixed, share: float) -> Mixed:
    """Both labels mixed, `share` of the first, known where both are."""
    return Mixed(share * own.label + (1 - share) * other.label, own.known * other.known)


def mirrored(mixed: Mixed) -> Mixed:
    """Left and right exchanged: (..., H, W)."""
    return Mixed(mixed.label.flip(-1), mixed.known.flip(-1))


def drawn(random: np.random.RandomState, *, official: bool = False) -> list[Augmentation]:
    """The augmentations of one channel of an episode, in the order in which they act: two kinds of four, each with a chance.

    official: the sigmoid of huge temperatures as the code has it, not as steps; the code draws from two generators at once,
    so that its sequence is not repeated here.
    """
    makers = (_jitter, _polynomial, _quantiser if not official else _sigmoid, _blur)
    chosen = random.choice(len(makers), 2, replace=False)
    return [makers[index](random) for index in chosen if random.random_sample() < CHANCE]


def _jitter(random: np.random.RandomState) -> Augmentation:
    brightness, contrast = random.uniform(-0.5, 0.5, size=2)
    return lambda values: jitter(values, brightness, contrast)


def _polynomial(random: np.random.RandomState) -> Augmentation:
    degree = math.exp(random.uniform(-math.log(3), math.log(3)))
    return lambda values: polynomial(values, degree)


def _sigmoid(random: np.random.RandomState) -> Augmentation:
    temperature = TEMPERATURES[random.randint(len(TEMPERATURES))]
    return lambda values: sigmoid(values, temperature)


def _quantiser(random: np.random.RandomState) -> Augmentation:
    temperature = TEMPERATURES[random.randint(len(TEMPERATURES))]
    if temperature in LEVELS:
        return lambda values: quantised(values, LEVELS[temperature])
    return lambda values: sigmoid(values, temperature)


def _blur(random: np.random.RandomState) -> Augmentation:
    kernel, sigma = KERNELS[random.randint(len(KERNELS))], SIGMAS[random.randint(len(SIGMAS))]
    return lambda values: blurred(values, kernel, sigma)
