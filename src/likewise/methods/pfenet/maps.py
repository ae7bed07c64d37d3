"""What PFENet reads of an image: middle maps, joined, and deep ones; of a residual network, or of the tokens of a ViT (ours)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from likewise.backbones.features import ImageFeatures
from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD, ResNet
from likewise.errors import UsageError
from likewise.functional.resize import resize_corners

LEAST = 3  # layers of a ViT
HALF = 0.5


@dataclass(frozen=True)
class Maps:
    """Maps of X images.

    middle: (X, C, h, w), those of the third stage and of the second; deep: (X, D, h, w), of the last, without channels where not asked
    for; upper: channels of the third stage, which stand first.
    """

    middle: Tensor
    deep: Tensor
    upper: int


def stages(network: ResNet, images: Tensor, *, deep: bool = True) -> Maps:
    """The stages of a network for normalised images (B, 3, H, W)."""
    x = network.layer0(images)
    second: Tensor | None = None
    for place, stage in enumerate(network.stages()[:3]):
        x = stage(x)
        second = x if place == 1 else second
    assert second is not None
    return Maps(torch.cat([x, second], dim=1), network.stages()[3](x) if deep else x[:, :0], x.shape[1])


def deep_under(last: Callable[[Tensor], Tensor], maps: Maps, masks: Tensor) -> Tensor:
    """Deep maps (X, D, h, w) that the last stage makes of the class alone: of its input times masks (X, H, W)."""
    third = maps.middle[:, : maps.upper]
    return last(third * resize_corners(masks.float(), (third.shape[-2], third.shape[-1]))[:, None])


def picture_of(item: ImageFeatures) -> Tensor:
    """The normalised picture (1, 3, H, W) of features. Raises UsageError where they have none."""
    if item.pixels is None:
        raise UsageError("the features have no picture", where="features", remedy="Ask for what `wants` says")
    mean, std = (torch.tensor(values, device=item.pixels.device)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((item.pixels.float() - mean) / std)[None]


def token_places(depth: int) -> tuple[int, int, int]:
    """The layers of a ViT of so many that stand for the second, third and last stage, counted from 0.

    >>> token_places(12)
    (5, 8, 11)
    """
    return depth // 2 - 1, (3 * depth) // 4 - 1, depth - 1


def token_maps(item: ImageFeatures) -> Maps:
    """Three layers of all tokens of a ViT as maps. Raises UsageError for features with too few layers."""
    depth = len(item.tokens)
    if depth < LEAST:
        raise UsageError(f"the features have {depth} layers", where="features", remedy=f"Take a backbone of at least {LEAST}")
    second, third, last = (item.tokens[place].float().T.reshape(1, -1, *item.grid) for place in token_places(depth))
    return Maps(torch.cat([third, second], dim=1), last, third.shape[1])


def token_mask(mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """The tokens (h, w) of 0 and 1 that stand for a mask (H, W): of which it covers a half, or as much as of any, so that none vanishes. Ours."""
    share = adaptive_avg_pool2d(mask.float()[None], grid)[0]
    return ((share >= share.max().clamp_max(HALF)) & (share > 0)).float()
