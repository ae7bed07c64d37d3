"""Siamese networks (Koch et al. 2015): two drawings are embedded alike and compared number by number. Drawings are grey, 105 x 105, 0..1.

Names of tensors are those of published weights: conv.0, conv.3, conv.6, conv.9, liner.0, out. Letters: S supports, Q queries, D width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from likewise.backbones.checkpoint import check_layout
from likewise.errors import WeightsError

SIDE = 105  # of a drawing
WIDTHS = (64, 128, 128, 256)
KERNELS = (10, 7, 4, 4)


class SiameseNetwork(nn.Module):
    """Drawings (B, 1, side, side) -> embeddings (B, D) in 0..1; pairs of these -> logits of being the same."""

    def __init__(self, *, widths: tuple[int, ...] = WIDTHS, kernels: tuple[int, ...] = KERNELS, width: int = 4096, side: int = SIDE) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        before = 1
        for place, (after, kernel) in enumerate(zip(widths, kernels, strict=True)):
            parts += [nn.Conv2d(before, after, kernel), nn.ReLU()]
            before, side = after, side - kernel + 1
            if place + 1 < len(widths):
                parts.append(nn.MaxPool2d(2))
                side //= 2
        self.conv = nn.Sequential(*parts)
        self.liner = nn.Sequential(nn.Linear(before * side * side, width), nn.Sigmoid())
        self.out = nn.Linear(width, 1)

    def embed(self, drawings: Tensor) -> Tensor:
        """The embeddings (B, D) of drawings (B, 1, side, side)."""
        found: Tensor = self.liner(self.conv(drawings).flatten(1))
        return found

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Logits (B, 1) of pairs of drawings; their sigmoid is the probability of one character."""
        return self.compare(self.embed(first), self.embed(second))

    def compare(self, first: Tensor, second: Tensor) -> Tensor:
        """Logits (B, 1) of pairs of embeddings (B, D): weighted absolute differences."""
        found: Tensor = self.out((first - second).abs())
        return found

    def scores(self, queries: Tensor, supports: Tensor, labels: Tensor, n_way: int) -> Tensor:
        """Scores (Q, N) of embedded queries (Q, D): the mean logit over a class's supports (S, D) of classes (S,).

        The paper has one support a class, where this is its rule; the mean over several is ours. A class without support has -inf.
        """
        logits = torch.stack([self.compare(query[None], supports)[:, 0] for query in queries])
        found = [logits[:, labels == way].mean(dim=1) if bool((labels == way).any()) else logits.new_full((len(logits),), -torch.inf) for way in range(n_way)]
        return torch.stack(found, dim=1)


def siamese_of(tensors: Mapping[str, Tensor], *, side: int = SIDE) -> SiameseNetwork:
    """The network of a checkpoint; sizes follow the tensors. WeightsError where they do not fit."""
    shapes = [tensor.shape for name, tensor in tensors.items() if name.startswith("conv.") and name.endswith(".weight")]
    if not shapes or "out.weight" not in tensors:
        raise WeightsError("there is no Siamese network", where="siamese", remedy="Name a checkpoint with conv.*, liner.0.* and out.* tensors")
    widths, kernels = tuple(shape[0] for shape in shapes), tuple(shape[2] for shape in shapes)
    with torch.device("meta"):
        network = SiameseNetwork(widths=widths, kernels=kernels, width=tensors["out.weight"].shape[1], side=side)
    check_layout(tensors, network.state_dict(), "siamese")
    network.load_state_dict(dict(tensors), assign=True)
    return network
