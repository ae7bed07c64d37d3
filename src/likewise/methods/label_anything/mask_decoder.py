"""The mask decoder of Label Anything: prototypes and a query image to a logit of every class at every place.

Source: De Marinis et al. 2024 and its code, whose names of modules these are.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, relu

from likewise.layers.two_way import ChannelNorm, TwoWayTransformer
from likewise.methods.label_anything.config import HeadConfig


class ClassNetwork(nn.Module):
    """Three linear layers with ReLUs between: a class's token to what is compared with pixels."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, out)])

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., out)."""
        first, second, last = self.layers
        return cast(Tensor, last(relu(second(relu(first(x))))))


class MaskDecoder(nn.Module):
    """See the top of the file."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        width, narrow = config.width, config.width // config.shrink
        self.transformer = TwoWayTransformer(width, config.heads, config.hidden)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, 2), ChannelNorm(width // 4), nn.GELU(), nn.ConvTranspose2d(width // 4, narrow, 2, 2)
        )
        self.class_mlp = ClassNetwork(width, narrow)
        if config.spatial:
            layers: list[nn.Module] = []
            for _ in range(config.spatial):
                layers += [nn.Conv2d(narrow, narrow, 3, padding=1), ChannelNorm(narrow), nn.GELU()]
            self.spatial_convs = nn.Sequential(*layers[:-2])
        self.spatial = config.spatial

    def forward(self, features: Tensor, places: Tensor, prototypes: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits (B, C, 4E, 4E) of queries with features (B, D, E, E), of prototypes (B, C, D).

        places: (1, E*E, D) of the grid; valid: (B, C) bool, classes that count as keys, None for all.
        """
        tokens, image = self.transformer(features.flatten(2).transpose(1, 2), places, prototypes, valid)
        pixels = self.output_upscaling(torch.unflatten(image.transpose(1, 2), 2, features.shape[-2:]))
        classes = self.class_mlp(tokens)
        if not self.spatial:
            return torch.einsum("bcd,bdhw->bchw", classes, pixels)
        pixels = self.spatial_convs[:-1](pixels)
        last = self.spatial_convs[-1]
        if classes.shape[1] >= classes.shape[2]:
            return torch.einsum("bcd,bdhw->bchw", classes, last(pixels))
        # fewer classes than channels: their vectors go into the last convolution, which is the same with less work
        kernels, offsets = torch.einsum("bcd,deij->bceij", classes, last.weight), classes @ last.bias
        return torch.stack([conv2d(own[None], kernel, offset, padding=1)[0] for own, kernel, offset in zip(pixels, kernels, offsets, strict=True)])
