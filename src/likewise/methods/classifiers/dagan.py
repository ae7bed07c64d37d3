"""DAGAN: images of new classes multiplied by a network that was trained on others (Antoniou et al. 2017); the objective and its steps.

A real pair is two images of one class, a fake one an image and what the generator makes of it; a critic that sees both finds
out a generator that returns its input. Loss of Wasserstein networks with a penalty on the critic's slope.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.optim import Adam

from likewise.methods.classifiers.dagan_model import DaganConfig, DaganCritic, DaganGenerator

TINY = 1e-12  # least squared slope: the root has no derivative at zero


@dataclass(frozen=True, kw_only=True)
class DaganTraining:
    """How both networks are trained (Antoniou et al. 2017, their code)."""

    batch: int = 32
    critic_steps: int = 5  # of the critic for one of the generator
    rate: float = 1e-4
    betas: tuple[float, float] = (0.0, 0.9)
    penalty: float = 10.0
    official: bool = False  # the slope over one axis only


class Losses(NamedTuple):
    """The losses of one round: that of the critic in its last step, and that of the generator."""

    critic: float
    generator: float


def drawn_pairs(classes: Sequence[Tensor], count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Pairs of images of a class: seen and another (count, C, H, W), drawn with replacement, now and then the same image.

    classes: the images (M, C, H, H) of each class. One pair of two is turned, both images alike, by 90, 180 or 270 degrees.
    """
    chosen = torch.randint(len(classes), (count,), generator=generator).tolist()
    places = torch.rand(2, count, generator=generator)
    seen, other = (torch.stack([classes[c][int(place * len(classes[c]))] for c, place in zip(chosen, row, strict=True)]) for row in places)
    turns = torch.randint(1, 4, (count,), generator=generator) * (torch.rand(count, generator=generator) < 0.5)
    return turned(seen, turns), turned(other, turns)


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """Square images (B, C, H, H), each turned counter-clockwise by its number (B,) of quarters."""
    found = images.clone()
    for quarters in (1, 2, 3):
        found[turns == quarters] = images[turns == quarters].rot90(quarters, (2, 3))
    return found


def slope_penalty(critic: DaganCritic, seen: Tensor, real: Tensor, fake: Tensor, share: Tensor, *, official: bool = False) -> Tensor:
    """The mean squared difference of the critic's slope from 1, between real and fake images: a scalar.

    seen, real, fake (B, C, H, W); share (B,) in 0..1: how far from real to fake. The slope is over all numbers of an image.
    """
    between = (real + share[:, None, None, None] * (fake - real)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between, seen).sum(), between, create_graph=True)
    squares = gradient.square().sum(dim=2 if official else (1, 2, 3))  # official: one slope a column and channel
    return (squares.clamp_min(TINY).sqrt() - 1).square().mean()


def critic_loss(critic: DaganCritic, seen: Tensor, real: Tensor, fake: Tensor, share: Tensor, training: DaganTraining) -> Tensor:
    """The critic's loss: mean score of fake pairs less that of real ones, and the penalty on its slope."""
    gap = critic(fake, seen).mean() - critic(real, seen).mean()
    return gap + training.penalty * slope_penalty(critic, seen, real, fake, share, official=training.official)


def generator_loss(critic: DaganCritic, seen: Tensor, fake: Tensor) -> Tensor:
    """The generator's loss: less the mean score of its pairs."""
    return -critic(fake, seen).mean()


def rounds(network: DaganGenerator, critic: DaganCritic, classes: Sequence[Tensor], training: DaganTraining, generator: Generator) -> Iterator[Losses]:
    """The losses of one round of training after another, without end: some steps of the critic, one of the generator; both in place.

    classes: the images (M, C, H, H) in [-1, 1] of each class. Noise, pairs and shares come from `generator`; dropout from torch's own.
    """
    ours = Adam(network.parameters(), training.rate, training.betas)
    theirs = Adam(critic.parameters(), training.rate, training.betas)
    network.train()
    while True:
        for _ in range(training.critic_steps):
            seen, real = drawn_pairs(classes, training.batch, generator)
            with torch.no_grad():
                fake = network(seen, _noise(network.config, training.batch, generator))
            share = torch.rand(training.batch, generator=generator)
            theirs.zero_grad()
            critical = critic_loss(critic, seen, real, fake, share, training)
            torch.autograd.backward(critical)
            theirs.step()
        seen, _ = drawn_pairs(classes, training.batch, generator)
        ours.zero_grad()
        loss = generator_loss(critic, seen, network(seen, _noise(network.config, training.batch, generator)))
        torch.autograd.backward(loss)
        ours.step()
        yield Losses(float(critical.detach()), float(loss.detach()))


def further_images(network: DaganGenerator, images: Tensor, count: int, generator: Generator) -> Tensor:
    """Images (S, count, C, H, H) that the network, in evaluation mode, makes of each of a support (S, C, H, H)."""
    network.eval()
    noise = _noise(network.config, len(images) * count, generator)
    with torch.inference_mode():
        return network(images.repeat_interleave(count, dim=0), noise.to(images)).unflatten(0, (len(images), count))


def _noise(config: DaganConfig, count: int, generator: Generator) -> Tensor:
    return torch.randn(count, config.noise, generator=generator)
