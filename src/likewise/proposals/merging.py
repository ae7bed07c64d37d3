"""Proposals of frozen features alone: small regions of the picture merge, the most alike first, and every region on the way may be a thing.

Regions begin as superpixels (Felzenszwalb and Huttenlocher 2004), so that borders are those of the picture. Several hierarchies of them are made, each
with its own idea of what is alike, since no single one has all things: features of a late and of an earlier layer, colour, and whether large regions
hold out longer. A region that stays for long, until it is joined with something unlike, is likelier to be a thing. The longest of all hierarchies are
kept, of nearly equal ones the first. After Selective Search (Uijlings et al. 2013), with features in place of texture.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.proposals.source import Proposals

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """What a hierarchy goes by. layer: place among the layers asked for, None for no features; colour: its weight beside them; area: 1 for Ward's rule
    (1963), by which small regions join first, 0 for the distance of means alone.
    """

    layer: int | None
    colour: float
    area: float


# benchmarks/proposals.py has the recall; each of the four adds things that the others miss, colour mostly the small ones under a microscope
HIERARCHIES = (
    Likeness(layer=-1, colour=0.1, area=1),
    Likeness(layer=0, colour=0.3, area=1),
    Likeness(layer=-1, colour=1, area=0.25),
    Likeness(layer=None, colour=1, area=0.25),
)


@dataclass(frozen=True, kw_only=True)
class Merging:
    """A `Source`. count: proposals at most; side, layers: of the features; picture: longer side of the picture; scale: of superpixels, larger ones with more;
    smallest: share of the picture that a superpixel has at least; hierarchies: of regions; overlap: IoU above which two
    regions are one; part: shares of the picture that a region has at least and at most.
    """

    count: int = 100
    side: int = 448
    layers: tuple[int, ...] = (-4, -1)
    picture: int = 448
    scale: float = 50
    smallest: float = 1 / 1500
    hierarchies: tuple[Likeness, ...] = HIERARCHIES
    overlap: float = 0.9
    part: tuple[float, float] = (0.001, 0.95)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """None."""
        return {}

    @property
    def facts(self) -> dict[str, Any]:
        """None: it is made again by the settings of the method."""
        return {}

    def wants(self) -> FeatureSpec:
        """Features and the picture."""
        return FeatureSpec(layers=self.layers, side=self.side, pixels=self.picture)

    def propose(self, item: ImageFeatures) -> Proposals:
        """The regions that stay longest, on the grid of the picture; none where nothing in it can be told from the rest."""
        if item.pixels is None:
            raise ValueError("the features carry no picture")
        picture = item.pixels.permute(1, 2, 0).numpy()
        regions = superpixels(picture, self.scale, self.smallest)
        areas = np.bincount(regions.ravel()).astype(np.float64)
        colours = np.stack([np.bincount(regions.ravel(), picture[..., channel].ravel() / 255.0) for channel in range(3)], axis=1) / areas[:, None]
        shares, pairs = token_shares(regions, item.grid), neighbours(regions)
        found, order = [], []
        for kind in self.hierarchies:
            tree = merged(compared(item, kind, shares, colours), areas, pairs, kind.area)
            masks = tree.longest(areas, self.part)[: 2 * self.count]
            found.append(masks)
            order.append(np.arange(len(masks)))
        ranked = np.concatenate(found)[np.argsort(np.concatenate(order), kind="stable")]
        kept = thinned(ranked, areas, self.overlap, self.count)
        return Proposals(torch.from_numpy(ranked[kept][:, regions].astype(np.float32)))


def compared(item: ImageFeatures, kind: Likeness, shares: Floats, colours: Floats) -> Floats:
    """By what regions are compared, (R, D): the mean token, where tokens are without their mean and of length 1, and the colour (R, 3)."""
    colour = np.sqrt(kind.colour) * colours
    if kind.layer is None:
        return colour
    tokens = item.tokens[kind.layer].double()
    return np.concatenate([shares @ torch.nn.functional.normalize(tokens - tokens.mean(dim=0), dim=1).numpy(), colour], axis=1)


def superpixels(picture: NDArray[np.uint8], scale: float, smallest: float) -> NDArray[np.int64]:
    """Regions (H, W) numbered from 0 without gaps, none below a share of the picture."""
    from skimage.segmentation import felzenszwalb

    height, width = picture.shape[:2]
    found = felzenszwalb(picture, scale=scale, sigma=0.8, min_size=max(1, round(smallest * height * width)))  # sigma: the authors' own
    return np.unique(found, return_inverse=True)[1].reshape(found.shape).astype(np.int64)


def token_shares(regions: NDArray[np.integer], grid: tuple[int, int]) -> Floats:
    """How much each patch counts in each region (R, P), rows summing to 1: bilinear between the centres of patches, over the region's pixels."""
    height, width = regions.shape
    below, above, part = zip(*(_between(length, cells) for length, cells in zip((height, width), grid, strict=True)), strict=True)
    found = np.zeros((regions.max() + 1, grid[0] * grid[1]))
    flat = regions.ravel()
    for rows, row_weight in ((below[0], 1 - part[0]), (above[0], part[0])):
        for columns, column_weight in ((below[1], 1 - part[1]), (above[1], part[1])):
            cells = (rows[:, None] * grid[1] + columns).ravel()
            weights = (row_weight[:, None] * column_weight).ravel()
            found += np.bincount(flat * found.shape[1] + cells, weights, minlength=found.size).reshape(found.shape)
    return found / found.sum(axis=1, keepdims=True)


def _between(length: int, cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """For every pixel the cell before and behind it, and its part of the way between their centres."""
    place = np.clip((np.arange(length) + 0.5) * cells / length - 0.5, 0, cells - 1)
    before = np.floor(place).astype(np.int64)
    return before, np.minimum(before + 1, cells - 1), place - before


def neighbours(regions: NDArray[np.integer]) -> NDArray[np.int64]:
    """The pairs (E, 2) of regions that touch, the smaller number first."""
    pairs = [np.stack([one.ravel(), two.ravel()], axis=1) for one, two in ((regions[:-1], regions[1:]), (regions[:, :-1], regions[:, 1:]))]
    touching = np.sort(np.concatenate(pairs), axis=1)
    return np.unique(touching[touching[:, 0] != touching[:, 1]], axis=0)


@dataclass(frozen=True)
class Tree:
    """R regions and what became of them: children (M, 2) of each node beyond the first R, and the height (R + M,) at which a node came to be."""

    count: int
    children: Sequence[tuple[int, int]]
    heights: Sequence[float]

    def leaves(self) -> Masks:
        """The regions (R + M, R) in each node."""
        found = np.zeros((len(self.heights), self.count), bool)
        np.fill_diagonal(found[: self.count], True)
        for node, (one, two) in enumerate(self.children, self.count):
            found[node] = found[one] | found[two]
        return found

    def longest(self, areas: Floats, part: tuple[float, float]) -> Masks:
        """The regions (K, R) in the nodes that stay longest, the longest first, of those whose share of the picture is within `part`."""
        ends = np.full(len(self.heights), max(self.heights))
        for node, pair in enumerate(self.children, self.count):
            ends[list(pair)] = self.heights[node]
        leaves = self.leaves()
        shares = leaves @ areas / areas.sum()
        nodes = np.flatnonzero((shares >= part[0]) & (shares <= part[1]))
        stays = (ends - np.asarray(self.heights))[nodes]
        chosen: Masks = leaves[nodes[np.argsort(-stays, kind="stable")]]
        return chosen


def merged(features: Floats, areas: Floats, pairs: NDArray[np.integer], power: float) -> Tree:
    """Regions with features (R, D) and areas (R,) merged along pairs (E, 2), the nearest first, until nothing touches any more.

    The distance is that of the means, times the power / 2 of the share that the two areas' ab / (a + b) has of all: with 1 the root of Ward's.
    """
    count, total = len(features), float(areas.sum())
    means, sizes = list(features), areas.tolist()

    def apart(one: int, two: int) -> float:
        between = means[one] - means[two]
        share = sizes[one] * sizes[two] / (sizes[one] + sizes[two]) / total
        return float((share**power * (between @ between)) ** 0.5)

    around: list[set[int]] = [set() for _ in range(count)]
    for one, two in pairs.tolist():
        around[one].add(two)
        around[two].add(one)
    heap = [(apart(one, two), one, two) for one, two in pairs.tolist()]
    heapq.heapify(heap)
    children: list[tuple[int, int]] = []
    heights, gone = [0.0] * count, [False] * count
    while heap:
        height, one, two = heapq.heappop(heap)
        if gone[one] or gone[two]:
            continue
        node, size = len(means), sizes[one] + sizes[two]
        gone[one] = gone[two] = True
        gone.append(False)
        means.append((means[one] * sizes[one] + means[two] * sizes[two]) / size)
        sizes.append(size)
        children.append((one, two))
        heights.append(max(height, heights[one], heights[two]))
        around.append((around[one] | around[two]) - {one, two})
        for other in around[node]:
            around[other] -= {one, two}
            around[other].add(node)
            heapq.heappush(heap, (apart(other, node), other, node))
    return Tree(count, children, heights)


def thinned(masks: Masks, areas: Floats, overlap: float, count: int) -> NDArray[np.int64]:
    """The places of the first `count` masks (K, R) over regions with areas (R,) that have no earlier one with an IoU above `overlap`."""
    weighted, free, kept = (masks * areas).astype(np.float32), np.ones(len(masks), bool), list[int]()
    sums = weighted.sum(axis=1)
    while free.any() and len(kept) < count:
        one = int(free.argmax())
        kept.append(one)
        inside = weighted[one:] @ masks[one].astype(np.float32)
        free[one:] &= inside <= overlap * (sums[one] + sums[one:] - inside)
        free[one] = False
    return np.array(kept, np.int64)
