"""Smooth dense targets made from a backbone's tokens: fields that follow what a picture shows, as depth does, without a labeller."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, layer_norm

STEEP = 1.5  # of the sigmoid behind values of spread 1


def token_field(tokens: Tensor, grid: tuple[int, int], side: int, seed: int) -> Tensor:
    """How much each place is like one random patch and unlike another: (N, side, side) in 0..1, of the tokens (L, N, P, D) of N pictures.

    The two patches, and the level of which the tokens are, follow from the seed. All pictures share one scale.
    """
    random = np.random.RandomState(seed)
    level = tokens[random.randint(len(tokens))].float()
    own = layer_norm(level, level.shape[-1:])
    one, two = random.choice(own.shape[0] * own.shape[1], 2, replace=False)
    flat = own.flatten(0, 1)
    worth = own @ (flat[one] - flat[two])
    worth = (worth - worth.mean()) / worth.std().clamp_min(1e-6)
    maps = torch.unflatten(torch.sigmoid(STEEP * worth), 1, grid)
    return interpolate(maps[:, None], (side, side), mode="bilinear", align_corners=False)[:, 0]
