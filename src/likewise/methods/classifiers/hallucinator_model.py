"""A hallucinator that is trained together with a learner of classes (Wang et al. 2018).

A feature and noise give a further example of the feature's class; real and hallucinated examples are the support of any
learner that can be differentiated, and the loss of the queries trains both. Written after the paper's formula: no code of its
authors is public, so whether layers have a bias and how exactly they start is our choice (no bias, ones on the diagonal).
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from likewise.errors import UsageError


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


def drawn_seeds(support: Tensor, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Seeds (N, M, D) drawn with replacement from each class of a support (N, K, D), and standard normal noise of their shape.

    Raises UsageError for a support without examples.
    """
    n_way, n_shot, width = support.shape
    if n_shot == 0:
        raise UsageError("a class has no example to start from", where="support", remedy="Give each class one example at least")
    chosen = torch.randint(n_shot, (n_way, count), generator=generator, device=generator.device)
    noise = torch.randn(n_way, count, width, generator=generator, device=generator.device).to(support)
    return support.take_along_dim(chosen.to(support.device)[..., None], dim=1), noise


def seeds_in_turn(support: Tensor, count: int) -> Tensor:
    """Seeds (N, M, D) from a support (N, K, D), each example in its turn."""
    return support[:, torch.arange(count, device=support.device) % support.shape[1]]


def enlarged_support(hallucinator: Hallucinator, support: Tensor, seeds: Tensor, noise: Tensor) -> Tensor:
    """The support (N, K + M, D) of any learner: the real examples (N, K, D), behind them the hallucinated ones."""
    return torch.cat([support, hallucinator(seeds, noise)], dim=1)
