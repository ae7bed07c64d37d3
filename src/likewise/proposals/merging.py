"""Proposals of frozen features alone: small regions of the picture merge, the most alike first, and every region on the way is a proposal.

Regions begin as superpixels (Achanta et al. 2012), so that borders are those of the picture; what merges is decided by the features of the
patches below them, by Ward's rule (1963) among neighbours. A region that stays as it is for long, until it is joined with something unlike, is likelier to be a
thing. After Selective Search (Uijlings et al. 2013), with features in place of colour and texture.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.proposals.source import Proposals

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Merging:
    """A `Source`. count: proposals at most; superpixels: about how many regions begin; side, layers: of the features; picture: longer side of the
    picture; colour: weight of colour beside the features; least: share of the picture below which a region is none.
    """

    count: int = 100
    superpixels: int = 400
    side: int = 448
    layers: tuple[int, ...] = (-1,)
    picture: int = 448
    colour: float = 0.1
    least: float = 0.001

    def wants(self) -> FeatureSpec:
        """Features and the picture."""
        return FeatureSpec(layers=self.layers, side=self.side, pixels=self.picture)

    def propose(self, item: ImageFeatures) -> Proposals:
        """The regions that stay longest, on the grid of the picture."""
        if item.pixels is None:
            raise ValueError("the features carry no picture")
        picture = item.pixels.permute(1, 2, 0).numpy()
        regions = superpixels(picture, self.superpixels)
        features = self.region_features(item, regions, picture)
        tree = merged(features, np.bincount(regions.ravel()).astype(np.float64), neighbours(regions))
        chosen = tree.longest(self.count, self.least)
        masks = np.stack([tree.leaves(node) for node in chosen]) if chosen else np.zeros((0, regions.max() + 1), bool)
        return Proposals(torch.from_numpy(masks[:, regions].astype(np.float32)))

    def region_features(self, item: ImageFeatures, regions: NDArray[np.integer], picture: NDArray[np.uint8]) -> Floats:
        """Features (R, D) of regions: tokens without their mean, of length 1 each, and the colour."""
        tokens = item.joined().double()
        centred = torch.nn.functional.normalize(tokens - tokens.mean(dim=0), dim=1).numpy()
        shares = token_shares(regions, item.grid)
        sums = np.stack([np.bincount(regions.ravel(), picture[..., channel].ravel() / 255.0) for channel in range(3)], axis=1)
        colours = sums / np.bincount(regions.ravel())[:, None]
        return np.concatenate([shares @ centred, np.sqrt(self.colour) * colours], axis=1)


def superpixels(picture: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """Regions (H, W) numbered from 0 without gaps, about `count` of them."""
    from skimage.segmentation import slic

    found = slic(picture, n_segments=count, compactness=10, start_label=0)
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
    """Regions and what became of them: children (M, 2) of each node beyond the first R, the height (R + M,) at which a node came to be and area (R + M,)."""

    count: int
    children: list[tuple[int, int]]
    heights: list[float]
    areas: list[float]

    def leaves(self, node: int) -> NDArray[np.bool_]:
        """The regions (R,) bool in a node."""
        found, waiting = np.zeros(self.count, bool), [node]
        while waiting:
            one = waiting.pop()
            if one < self.count:
                found[one] = True
            else:
                waiting.extend(self.children[one - self.count])
        return found

    def longest(self, count: int, least: float) -> list[int]:
        """The nodes of at least a share of the area that stay longest, the longest first; never the whole picture, unless there is nothing else."""
        whole, top = sum(self.areas[: self.count]), len(self.heights) - 1
        ends = [self.heights[-1] if self.heights else 0.0] * len(self.heights)
        for place, pair in enumerate(self.children):
            for child in pair:
                ends[child] = self.heights[self.count + place]
        stays = {node: end - self.heights[node] for node, end in enumerate(ends) if node != top and self.areas[node] >= least * whole}
        return sorted(stays, key=lambda node: -stays[node])[:count] or [top]


def merged(features: Floats, areas: Floats, pairs: NDArray[np.integer]) -> Tree:
    """Regions with features (R, D) and areas (R,) merged along pairs (E, 2) until nothing touches any more."""
    count = len(features)
    means, sizes = list(features), list(areas.astype(float))
    around: list[set[int]] = [set() for _ in range(count)]
    for one, two in pairs.tolist():
        around[one].add(two)
        around[two].add(one)
    total = float(areas.sum())
    heap: list[tuple[float, int, int]] = [(_apart(means, sizes, one, two, total), one, two) for one, two in pairs.tolist()]
    heapq.heapify(heap)
    children: list[tuple[int, int]] = []
    heights, gone = [0.0] * count, [False] * count
    while heap:
        height, one, two = heapq.heappop(heap)
        if gone[one] or gone[two]:
            continue
        node = len(means)
        gone[one] = gone[two] = True
        size = sizes[one] + sizes[two]
        means.append((means[one] * sizes[one] + means[two] * sizes[two]) / size)
        sizes.append(size)
        gone.append(False)
        children.append((one, two))
        heights.append(max(height, heights[one], heights[two]))
        around.append((around[one] | around[two]) - {one, two})
        for other in around[node]:
            around[other] -= {one, two}
            around[other].add(node)
            heapq.heappush(heap, (_apart(means, sizes, other, node, total), other, node))
    return Tree(count, children, heights, sizes)


def _apart(means: list[Any], sizes: list[float], one: int, two: int, total: float) -> float:
    """Ward's distance between regions, areas as shares of the picture; its root, so that it does not grow with areas as fast."""
    apart = means[one] - means[two]
    return float(np.sqrt(sizes[one] * sizes[two] / (sizes[one] + sizes[two]) / total * (apart @ apart)))
