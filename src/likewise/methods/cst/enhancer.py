"""The mask enhancer for mixed supervision: a small network that turns cosines by head into better pseudo masks.

Source: Kang et al. 2023, section 3.3. No code of it was published. From the paper: three 3x3 convolutions and a sigmoid,
on the cosines of each head, trained on the images that have masks, then frozen and used for all pseudo masks in
training and testing. Ours, because not stated: 64 channels, ReLU between, binary cross-entropy at image size on
logits resized with their corners, the threshold 1/2, one network for support and query maps.
"""

from __future__ import annotations

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from likewise.functional.resize import resize_corners

WIDTH = 64


class MaskEnhancer(nn.Module, PyTorchModelHubMixin):
    """Logits of "object" for every patch from the cosines of all heads."""

    def __init__(self, heads: int = 6, width: int = WIDTH) -> None:
        super().__init__()
        self.heads = heads
        self.layers = nn.Sequential(
            nn.Conv2d(heads, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1)
        )

    def forward(self, cosines: Tensor) -> Tensor:
        """Cosines (X, A, h, w) -> logits (X, h, w)."""
        return self.layers(cosines)[:, 0]

    def masks(self, cosines: Tensor, size: tuple[int, int]) -> Tensor:
        """Binary masks (X, H, W) of cosines (X, A, h, w): resized logits above 0, which is a probability above 1/2."""
        return resize_corners(self(cosines), size) > 0


def enhancer_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy of logits (X, h, w) against true masks (X, H, W) at the masks' size; 255 is ignored."""
    full = resize_corners(logits, (masks.shape[-2], masks.shape[-1]))
    known = masks != 255
    if not bool(known.any()):
        return full.sum() * 0
    return binary_cross_entropy_with_logits(full[known], (masks[known] > 0).to(full.dtype))


def new_enhancer(heads: int, seed: int = 0) -> MaskEnhancer:
    """An untrained enhancer with the initial numbers of a seed; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MaskEnhancer(heads)
