"""The forward pass of MM-Former as the published code makes it, written anew: what mm_former_speed.py compares with.

Query and support go through the backbone in factors, for every pair again; masks stand at full size behind every layer of the decoder; all
positions of the support are aligned; attention is materialised; features times masks are one tensor of channels, proposals and places;
proposals are enlarged before they are added. Weights are those of `ResNet` and `MaskMatcher`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, interpolate

from likewise.methods.mm_former.model import MaskMatcher
from likewise.proposals.segmenter import Segmenter

SHORTER = 15


def foreground(backbone: nn.Module, module: MaskMatcher, query: Tensor, supports: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The foreground (1, H, W) of a query image (1, 3, H, W), by pairs of support images and labels (1, H, W); all are normalised."""
    maps = backbone(query)[1:]
    proposals = masks(module.segmenter, maps).sigmoid()
    asked, given = [], []
    for image, label in supports:
        theirs = backbone(image)[1:]
        mine, shown = [], []
        for level in range(3):
            one, other = (_reduced(module, level, features[3 - level]) for features in (maps, theirs))
            aligned, support = aligned_pair(module.matching.get_submodule(f"crossat_{level}"), one, other, label)
            mine.append(query_means(aligned, proposals))
            shown.append(masked_mean(support, label))
        asked.append(torch.cat(mine, dim=2))
        given.append(torch.cat(shown, dim=1))
    similarity = cosine_similarity(torch.stack(asked).mean(dim=0), torch.stack(given).mean(dim=0)[:, None], dim=2, eps=1e-8)
    weights = module.matching.fc2(module.matching.fc1(similarity).relu())
    return merged(proposals, weights, query.shape[-2:])


def masks(segmenter: Segmenter, maps: Sequence[Tensor]) -> Tensor:
    """Logits (1, N, h, w) of the proposals, of the four maps of an image."""
    height, width = maps[1].shape[-2:]
    smaller = [interpolate(x, (height // part, width // part), mode="bilinear", align_corners=True) for x, part in zip(maps[2:], (2, 4), strict=True)]
    joined = segmenter.pixels([*maps[:2], *smaller])
    return decoded(segmenter, joined.multi_scale_features, joined.mask_features)


def decoded(segmenter: Segmenter, scales: Sequence[Tensor], finest: Tensor) -> Tensor:
    """The last of the masks that stand behind all layers at the size of the finest map."""
    found: Any = segmenter.attention(list(scales), finest)
    last: Tensor = found.masks_queries_logits[-1]
    return last


def aligned_pair(block: Any, query: Tensor, support: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Maps (1, D, h, w) of query and support, each aligned with the other at all of its positions."""
    mask = interpolate(label[:, None], support.shape[-2:], mode="bilinear", align_corners=False)
    support, places = support * mask, (position(query), position(support) * mask)
    return _aligned(block, query, places[0], support, places[1]), _aligned(block, support, places[1], query, places[0])


def query_means(x: Tensor, proposals: Tensor) -> Tensor:
    """Means (1, N, D) of proposals over a map, by way of the product of every channel with every proposal."""
    small = interpolate(proposals, x.shape[-2:], mode="bilinear", align_corners=True)
    product = x[:, None] * small[:, :, None]
    return product.sum(dim=(3, 4)) / small.sum(dim=(2, 3))[..., None]


def masked_mean(x: Tensor, label: Tensor) -> Tensor:
    """The mean (1, D) of a support's map."""
    small = interpolate(label[:, None], x.shape[-2:], mode="bilinear", align_corners=True)
    return (x * small).sum(dim=(2, 3)) / (small.sum(dim=(2, 3)) + 1e-7)


def merged(proposals: Tensor, weights: Tensor, size: Sequence[int]) -> Tensor:
    """All proposals enlarged to the size of the image, weighed and added."""
    large = interpolate(proposals, tuple(size), mode="bilinear", align_corners=False)
    return torch.einsum("bnhw, bn -> bhw", large, weights)


def position(x: Tensor) -> Tensor:
    """Sine positions of a map's own size."""
    half = x.shape[1] // 2
    waves = 10_000 ** (2 * torch.div(torch.arange(half), 2, rounding_mode="floor") / half)
    rows, columns = (torch.arange(1, count + 1) / (count + 1e-6) * 2 * torch.pi for count in x.shape[-2:])
    parts = []
    for angle in (rows[:, None].expand(x.shape[-2:]), columns.expand(x.shape[-2:])):
        spread = angle[..., None] / waves
        parts.append(torch.stack([spread[..., 0::2].sin(), spread[..., 1::2].cos()], dim=-1).flatten(-2))
    return torch.cat(parts, dim=-1).permute(2, 0, 1)[None]


def _reduced(module: MaskMatcher, level: int, x: Tensor) -> Tensor:
    focus = x.flatten(2).mean(dim=1, keepdim=True).softmax(dim=2)
    gate = (x.flatten(2) * focus).sum(dim=2).sigmoid()
    reduced: Tensor = module.matching.get_submodule(f"conv_{level}")(x * gate[..., None, None])
    return reduced


def _aligned(block: Any, x: Tensor, place: Tensor, memory: Tensor, memory_place: Tensor) -> Tensor:
    size = tuple(side * SHORTER // min(memory.shape[-2:]) for side in memory.shape[-2:])
    keys, places = (interpolate(part, size, mode="bilinear", align_corners=False).flatten(2).permute(0, 2, 1) for part in (memory, memory_place))
    tokens, own = (part.flatten(2).permute(0, 2, 1) for part in (x, place))
    for attend, think in zip(block.transformer_cross_attention_layers, block.transformer_ffn_layers, strict=True):
        tokens = attend.norm(tokens + attend.multihead_attn(tokens + own, keys + places, keys)[0])  # with its weights, as published
        tokens = think.norm(tokens + think.linear2(think.linear1(tokens).relu()))
    return tokens.permute(0, 2, 1).reshape(x.shape)
