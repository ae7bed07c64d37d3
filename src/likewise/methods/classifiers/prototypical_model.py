"""Prototypical networks (Snell et al. 2017): an encoder, class means, negative squared distances; and the form without any example.

Letters: N classes, K shots, Q queries a class, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from likewise.functional.prototypes import distance_scores
from likewise.methods.classifiers.common import parted


class PrototypicalNetwork(nn.Module):
    """An encoder whose features are compared with the means of classes."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, episode: Tensor, n_shot: int) -> tuple[Tensor, Tensor]:
        """Logits (N Q, N), queries class by class, and prototypes (N, D) of an episode (N, K+Q, C, H, W).

        Supports and queries are one batch of the encoder: its norms in training mode see both.
        """
        supports, queries = parted(episode, n_shot)
        n_way = len(episode)
        features = self.encoder(torch.cat([supports.flatten(0, 1), queries.flatten(0, 1)]))
        prototypes = features[: n_way * n_shot].unflatten(0, (n_way, n_shot)).mean(dim=1)
        return distance_scores(features[n_way * n_shot :], prototypes), prototypes


class ZeroShotPrototypes(nn.Module):
    """Linear maps of image features and of class vectors (attributes, words) into one space, where a class vector is the prototype."""

    def __init__(self, features: int, attributes: int, width: int, *, bias: bool = True) -> None:
        super().__init__()
        self.image, self.attribute = nn.Linear(features, width, bias=bias), nn.Linear(attributes, width, bias=bias)

    def prototypes(self, attributes: Tensor) -> Tensor:
        """Prototypes (N, D) of length 1, of class vectors (N, A)."""
        return normalize(self.attribute(attributes), dim=-1)

    def compared(self, features: Tensor, prototypes: Tensor) -> Tensor:
        """Logits (B, N) of image features (B, F), whose images in the space keep their lengths, for prototypes (N, D)."""
        return distance_scores(self.image(features), prototypes)

    def forward(self, features: Tensor, attributes: Tensor) -> Tensor:
        """Logits (B, N) of image features (B, F) for class vectors (N, A)."""
        return self.compared(features, self.prototypes(attributes))
