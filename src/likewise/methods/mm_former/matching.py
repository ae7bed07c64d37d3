"""Mask matching: prototypes of proposals and of the support's mask, their cosines, and what each proposal adds to the answer.

Source: Jiao et al. 2022 (MM-Former), its code. What depends on the query alone, on the support alone, and on both is
kept apart, so that each is computed once: see `Side`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, interpolate

from likewise.methods.mm_former.alignment import CrossAlignment, keeps_size, memory_size, self_aligned, shrunk, sine_position

EPS = 1e-7


@dataclass(frozen=True, kw_only=True)
class MatchingConfig:
    """The shape of the matching module; the defaults are the published ones.

    channels: of the maps, the coarsest (deepest) first; proposals: how many, 0 where no network weighs them by place.
    """

    channels: tuple[int, ...] = (2048, 1024, 512)
    width: int = 256
    heads: int = 4
    hidden: int = 512
    layers: int = 2
    proposals: int = 100


@dataclass(frozen=True)
class Side:
    """One image as one level of the matching sees it.

    map, place: (B, D, h, w) features and positions, of a support multiplied with its mask; small, small_place: (B, D, h', w')
    the same as memory; of a support mask (B, h, w), and weight (B, h, w) of the positions in its mean; None for a query.
    """

    map: Tensor
    place: Tensor
    small: Tensor
    small_place: Tensor
    mask: Tensor | None = None
    weight: Tensor | None = None

    @classmethod
    def of_query(cls, x: Tensor) -> Side:
        """That of queries' features (B, D, h, w)."""
        place = _positions(x)
        return cls(x, place, *_small(x, place))

    @classmethod
    def of_support(cls, x: Tensor, mask: Tensor, weight: Tensor) -> Side:
        """That of supports' features multiplied with the mask, (B, D, h, w), which is (B, h, w), as is the weight."""
        place = _positions(x) * mask[:, None]
        return cls(x, place, *_small(x, place), mask, weight)


@dataclass(frozen=True)
class View:
    """Images as the system sees them by themselves: sides of the matching, and of queries soft masks (B, N, h, w)."""

    sides: Sequence[Side]
    proposals: Tensor


class Matching(nn.Module):
    """See the top of the file."""

    def __init__(self, config: MatchingConfig) -> None:
        super().__init__()
        self.config = config
        for level, channels in enumerate(config.channels):
            self.add_module(f"conv_{level}", nn.Conv2d(channels, config.width, 1, bias=False))
            self.add_module(f"crossat_{level}", CrossAlignment(config.width, config.heads, config.hidden, config.layers))
        self.fc1, self.fc2 = nn.Linear(config.proposals, 5 * config.proposals), nn.Linear(5 * config.proposals, config.proposals)

    def reduced(self, maps: Sequence[Tensor], *, within: bool = True) -> list[Tensor]:
        """Maps (B, C, h, w) of the backbone, the deepest first, aligned within and with the channels of the module.

        within: False leaves the alignment within each image out.
        """
        return [self.get_submodule(f"conv_{level}")(self_aligned(x) if within else x) for level, x in enumerate(maps)]

    def query_sides(self, reduced: Sequence[Tensor]) -> list[Side]:
        """What alignment needs of query images."""
        return [Side.of_query(x) for x in reduced]

    def support_sides(self, reduced: Sequence[Tensor], labels: Tensor) -> list[Side]:
        """What alignment needs of support images with labels (B, H, W) in 0..1."""
        return [support_side(x, labels) for x in reduced]

    def aligned(self, query: Sequence[Side], support: Sequence[Side], *, cross: bool = True) -> tuple[list[Tensor], list[Tensor]]:
        """Maps (B, D, h, w) of queries and prototypes (B, D) of supports, level by level, aligned with each other.

        cross: False leaves both as they are. Without gradients only those positions of a support are computed that enter its mean.
        """
        maps, means = [], []
        for level, (asked, shown) in enumerate(zip(query, support, strict=True)):
            block = self.get_submodule(f"crossat_{level}")
            assert isinstance(block, CrossAlignment)
            whole = keeps_size((asked.map.shape[2], asked.map.shape[3]))
            maps.append(_attended(block, asked, shown, whole=whole) if cross else asked.map)
            means.append(_support_mean(block if cross else None, asked, shown, whole=whole))
        return maps, means

    def coefficients(self, similarity: Tensor) -> Tensor:
        """How much each proposal adds, (B, N), of its cosine with the support (B, N)."""
        return self.fc2(self.fc1(similarity).relu())


def support_side(x: Tensor, labels: Tensor) -> Side:
    """One level of supports, of features (B, D, h, w) and labels (B, H, W) in 0..1; the label is resized in two ways, as published."""
    mask = resized(labels, x.shape[-2:], corners=False)
    return Side.of_support(x * mask[:, None], mask, resized(labels, x.shape[-2:], corners=True))


def resized(maps: Tensor, size: Sequence[int], *, corners: bool) -> Tensor:
    """(B, H, W) -> (B, h, w), bilinear."""
    return interpolate(maps[:, None], size=tuple(size), mode="bilinear", align_corners=corners)[:, 0]


def proposal_means(maps: Sequence[Tensor], proposals: Tensor, *, eps: float = 0.0) -> Tensor:
    """Prototypes (B, N, L D) of proposals (B, N, h, w) in 0..1 over maps (B, D, h', w'), level after level.

    One product of matrices a level. With eps 0, as published, a proposal that is nowhere is NaN.
    """
    found = []
    for x in maps:
        masks = interpolate(proposals, size=x.shape[-2:], mode="bilinear", align_corners=True).flatten(2)
        found.append(masks @ x.flatten(2).transpose(1, 2) / (masks.sum(dim=2, keepdim=True) + eps))
    return torch.cat(found, dim=2)


def similarity_of(proposals: Tensor, support: Tensor) -> Tensor:
    """Cosines (B, N) of prototypes (B, N, D) and (B, D)."""
    return cosine_similarity(proposals, support[:, None], dim=2, eps=1e-8)


def merged(proposals: Tensor, coefficients: Tensor, size: Sequence[int]) -> Tensor:
    """The foreground (B, H, W): proposals (B, N, h, w) times coefficients (B, N), enlarged once they are one map."""
    return resized(torch.einsum("bnhw, bn -> bhw", proposals, coefficients), size, corners=False)


def _positions(x: Tensor) -> Tensor:
    return sine_position(x.shape[2], x.shape[3], x.shape[1]).to(x).expand_as(x)


def _small(x: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    size = memory_size((x.shape[2], x.shape[3]))
    return shrunk(x, size), shrunk(place, size)


def _only(side: Side, index: int) -> Side:
    one = slice(index, index + 1)
    mask, weight = (None if part is None else part[one] for part in (side.mask, side.weight))
    return Side(side.map[one], side.place[one], side.small[one], side.small_place[one], mask, weight)


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def _memory(side: Side, *, whole: bool) -> tuple[Tensor, Tensor]:
    return (_tokens(side.map), _tokens(side.place)) if whole else (_tokens(side.small), _tokens(side.small_place))


def _attended(block: CrossAlignment, asked: Side, shown: Side, *, whole: bool) -> Tensor:
    """The query's map aligned with the support."""
    found = block(_tokens(asked.map).contiguous(), _tokens(asked.place).contiguous(), *_memory(shown, whole=whole))
    return found.transpose(1, 2).reshape(asked.map.shape)


def _support_mean(block: CrossAlignment | None, asked: Side, shown: Side, *, whole: bool) -> Tensor:
    """The prototypes (B, D) of supports. Positions do not mix, so that only those with a weight must be aligned: image by image."""
    if torch.is_grad_enabled():
        return _mean(block, asked, shown, torch.ones_like(_weight(shown)[0], dtype=torch.bool), whole=whole)
    parts = [(_only(asked, index), _only(shown, index)) for index in range(len(asked.map))]
    return torch.cat([_mean(block, one, other, _weight(other)[0] > 0, whole=whole) for one, other in parts])


def _mean(block: CrossAlignment | None, asked: Side, shown: Side, counts: Tensor, *, whole: bool) -> Tensor:
    """The same over the positions (P,) bool that count."""
    tokens, weight = _tokens(shown.map)[:, counts], _weight(shown)[:, counts]
    if block is not None and tokens.shape[1]:
        tokens = block(tokens, _tokens(shown.place)[:, counts], *_memory(asked, whole=whole))
    return (tokens * weight[..., None]).sum(dim=1) / (weight.sum(dim=1, keepdim=True) + EPS)


def _weight(shown: Side) -> Tensor:
    assert shown.weight is not None
    return shown.weight.flatten(1)
