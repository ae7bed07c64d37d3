"""A hallucinator that is trained together with a learner of classes (Wang et al. 2018).

A feature and noise give a further example of the feature's class; real and hallucinated examples are the support of any
learner that can be differentiated, and the loss of the queries trains both. Written after the paper's formula: no code of its
authors is public, so whether layers have a bias and how exactly they start is our choice (no bias, ones on the diagonal).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor, nn

from likewise.backbones.checkpoint import check_layout
from likewise.errors import UsageError, WeightsError
from likewise.methods.classifiers.common import under

HALLUCINATOR = "hallucinator."


class Hallucinator(nn.Module):
    """Three linear layers without bias, ReLU behind each: seed and noise (..., D) -> a feature (..., D), not negative.

    Starts as the identity of the seed, as far as `inner` >= D lets it through (512 for ResNet-10, 2,048 for ResNet-50).
    """

    def __init__(self, width: int, inner: int = 512) -> None:
        super().__init__()
        self.fc1 = nn.Linear(2 * width, inner, bias=False)
        self.fc2 = nn.Linear(inner, inner, bias=False)
        self.fc3 = nn.Linear(inner, width, bias=False)
        for layer in (self.fc1, self.fc2, self.fc3):
            nn.init.eye_(layer.weight)

    def forward(self, seeds: Tensor, noise: Tensor) -> Tensor:
        """Hallucinated features, one for each seed."""
        x = torch.cat([seeds, noise], dim=-1)
        for layer in (self.fc1, self.fc2, self.fc3):
            x = layer(x).relu()
        return x


def drawn_seeds(classes: Tensor | Sequence[Tensor], count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Seeds (N, M, D) drawn with replacement from the features (K, D) of each class, and standard normal noise of their shape.

    Classes may have different numbers of them. Raises UsageError for a class without any.
    """
    if min(len(own) for own in classes) == 0:
        raise UsageError("a class has no example to start from", where="support", remedy="Give each class one example at least")
    seeds = torch.stack([own[torch.randint(len(own), (count,), generator=generator, device=generator.device).to(own.device)] for own in classes])
    return seeds, torch.randn(seeds.shape, generator=generator, device=generator.device).to(seeds)


def seeds_in_turn(support: Tensor, count: int) -> Tensor:
    """Seeds (N, M, D) from a support (N, K, D), each example in its turn."""
    return support[:, torch.arange(count, device=support.device) % support.shape[1]]


def enlarged_support(hallucinator: Hallucinator, support: Tensor, seeds: Tensor, noise: Tensor) -> Tensor:
    """The support (N, K + M, D) of any learner: the real examples (N, K, D), behind them the hallucinated ones."""
    return torch.cat([support, hallucinator(seeds, noise)], dim=1)


def hallucinator_of(tensors: Mapping[str, Tensor]) -> Hallucinator:
    """The hallucinator of a checkpoint, with `hallucinator.*` tensors and sizes after them. WeightsError where there is none, or they do not fit."""
    found = under(tensors, HALLUCINATOR)
    if any(f"{layer}.weight" not in found or found[f"{layer}.weight"].ndim != 2 for layer in ("fc1", "fc3")):
        raise WeightsError("there is no hallucinator", where="hallucinator", remedy="Name a checkpoint that was trained as one")
    with torch.random.fork_rng(devices=()):
        network = Hallucinator(len(found["fc3.weight"]), len(found["fc1.weight"]))
    check_layout(found, network.state_dict(), "hallucinator")
    network.load_state_dict(found)
    return network
