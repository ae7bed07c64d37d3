"""Levels of an image, as HSNet and ASNet read them: stages of a network that a checkpoint brings, or groups of layers of the program's ViT.

A level is (T, C, h, w), the T maps of a stage or of heads in layers; levels stand deepest first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD, ResNet
from likewise.backbones.vgg import Vgg16
from likewise.backbones.vit import VitConfig
from likewise.errors import UsageError
from likewise.functional.heads import by_head
from likewise.functional.resize import resize_corners

LEVELS, LEAST, MOST = 3, 9, 32  # levels; sides of a support of tokens that both methods squeeze


def spec_of(side: int, *, own_backbone: bool) -> FeatureSpec:
    """The wish for the picture alone, or for all layers with the heads of the last block."""
    return FeatureSpec(backbone=None, squash=True, side=side) if own_backbone else FeatureSpec(layers=(), side=side, squash=True, qk=True)


def square_of(grid: int, square: int) -> int:
    """The side of a support's grid of tokens: as set, else its own within what can be squeezed."""
    return square or min(max(grid, LEAST), MOST)


def token_channels(backbone: VitConfig, many_heads: bool) -> tuple[int, ...]:
    """Maps of correlations in each level, deepest first, of a backbone's tokens."""
    each = backbone.heads if many_heads else 1
    return tuple(len(layers) * each for layers in torch.arange(backbone.depth).tensor_split(LEVELS)[::-1])


def levels_of(item: ImageFeatures, network: ResNet | Vgg16 | None, many_heads: bool) -> list[Tensor]:
    """Levels (T, C, h, w) of an image, deepest first: stages of a network that was brought along, or groups of layers of a ViT, cut into heads.

    Raises UsageError for features that hold neither, or too few layers.
    """
    if network is not None:
        if item.pixels is None:
            raise UsageError("the features have no picture", where="features", remedy="Ask for what `wants` says")
        mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
        with torch.no_grad():
            image = (item.pixels.float() - mean.to(item.pixels.device)) / std.to(item.pixels.device)
            return [torch.cat(stage) for stage in network.taps(image[None])[::-1]]
    if item.q is None or len(item.tokens) < LEVELS:
        raise UsageError(f"the features have {len(item.tokens)} layers", where="features", remedy=f"Take a backbone of at least {LEVELS}")
    heads = item.q.shape[0] if many_heads else 1
    groups = item.tokens.float().tensor_split(LEVELS)[::-1]
    return [by_head(group, heads).flatten(0, 1).transpose(-1, -2).reshape(len(group) * heads, -1, *item.grid) for group in groups]


def squared(levels: Sequence[Tensor], square: int) -> list[Tensor]:
    """Levels of tokens at the size that a support has."""
    side = square_of(max(levels[0].shape[-2:]), square)
    return [level if level.shape[-2:] == (side, side) else resize_corners(level, (side, side)) for level in levels]


def not_vanished(mask: Tensor, side: int) -> Tensor:
    """The mask (H, W), or where none of side x side places would show it, (side, side) with 1 where it covers most. Ours, on tokens."""
    if not bool(mask.any()) or bool(resize_corners(mask, (side, side)).any()):
        return mask
    share = adaptive_avg_pool2d(mask[None], (side, side))[0]
    return (share == share.max()).float()
