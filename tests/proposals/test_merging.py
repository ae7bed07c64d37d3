"""Regions that merge: what touches joins, the most alike first, and things come out as masks."""

import numpy as np
import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.proposals.merging import Likeness, Merging, merged, neighbours, superpixels, thinned, token_shares

STRIPES = np.array([[0, 0, 1, 1, 2, 3], [0, 0, 1, 1, 2, 3]])  # four regions in a row


def item(pixels, tokens, grid):
    picture = torch.from_numpy(pixels).permute(2, 0, 1)
    return ImageFeatures(tokens.expand(2, -1, -1).half(), torch.zeros(2, 1, tokens.shape[1]), grid, tuple(pixels.shape[:2]), pixels=picture)


def test_regions_are_neighbours_where_they_touch_along_a_side():
    assert neighbours(np.array([[0, 1], [2, 0]])).tolist() == [[0, 1], [0, 2]]


def test_the_share_of_patches_is_that_of_linear_interpolation():
    shares = token_shares(np.arange(15).reshape(3, 5), (2, 3))
    assert shares.sum(axis=1) == pytest.approx(np.ones(15))
    tokens = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    maps = torch.nn.functional.interpolate(tokens.T.reshape(1, 4, 2, 3), (3, 5), mode="bilinear", align_corners=False)
    assert shares @ tokens.numpy() == pytest.approx(maps[0].reshape(4, 15).T.numpy())


def test_the_most_alike_neighbours_merge_first():
    tree = merged(np.array([[0.0], [1.0], [1.1], [9.0]]), np.bincount(STRIPES.ravel()).astype(float), neighbours(STRIPES), power=0)
    assert tree.children == [(1, 2), (0, 4), (3, 5)] or tree.children == [(1, 2), (0, 4), (5, 3)]
    assert tree.heights == pytest.approx([0, 0, 0, 0, 0.1, 31 / 30, 9 - (3.1 + 2 * 0.0) / 5])


def test_alike_regions_that_do_not_touch_stay_apart_until_they_do():
    tree = merged(np.array([[0.0], [5.0], [6.5], [0.0]]), np.bincount(STRIPES.ravel()).astype(float), neighbours(STRIPES), power=0)
    assert tree.children[0] == (1, 2)


def test_by_ward_small_regions_join_before_large_ones_that_are_as_unlike():
    regions = np.repeat(np.arange(4), [40, 40, 3, 2])[None].repeat(2, axis=0)
    features, areas = np.array([[0.0], [1.0], [4.0], [5.01]]), np.bincount(regions.ravel()).astype(float)
    assert merged(features, areas, neighbours(regions), power=1).children[0] == (2, 3)
    assert merged(features, areas, neighbours(regions), power=0).children[0] == (0, 1)


def test_a_region_that_stays_long_comes_before_its_parts():
    features, areas = np.array([[0.0], [0.2], [5.0], [5.3]]), np.bincount(STRIPES.ravel()).astype(float)
    found = merged(features, areas, neighbours(STRIPES), power=0).longest(areas, (0.0, 0.9))
    assert {tuple(row) for row in found[:2].tolist()} == {(True, True, False, False), (False, False, True, True)}
    assert len(found) == 6  # four regions and two pairs; the whole is more than 0.9


def test_of_masks_that_are_nearly_equal_the_first_is_kept():
    areas = np.array([5.0, 4.0, 1.0])
    masks = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]], bool)
    assert thinned(masks, areas, 0.85, 9).tolist() == [0, 2, 3]  # IoU of the first two: 0.9
    assert thinned(masks, areas, 0.95, 9).tolist() == [0, 1, 2, 3]
    assert thinned(masks, areas, 0.85, 2).tolist() == [0, 2]


def test_a_thing_that_differs_from_the_ground_is_proposed_with_its_own_border():
    pixels, labels = np.full((90, 126, 3), 100, np.uint8), np.zeros((90, 126), bool)
    labels[21:58, 33:79] = True
    pixels[labels] = (200, 40, 40)
    tokens = torch.eye(3)[torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(labels)[None].float(), (5, 7)).gt(0.5).long().flatten()]
    masks = Merging().propose(item(pixels, tokens, (5, 7))).masks.numpy() > 0.5
    overlaps = (masks & labels).sum(axis=(1, 2)) / (masks | labels).sum(axis=(1, 2))
    assert overlaps.max() > 0.95


def test_a_picture_of_one_colour_has_no_proposal():
    blank = item(np.full((60, 84, 3), 77, np.uint8), torch.ones(20, 3), (4, 5))
    assert Merging().propose(blank).masks.shape == (0, 60, 84)


def test_there_are_no_more_proposals_than_asked_for_and_all_are_within_the_shares():
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    source = Merging(count=7, part=(0.01, 0.5), hierarchies=(Likeness(layer=None, colour=1, area=1),))
    masks = source.propose(item(noise, torch.randn(30, 4, generator=torch.Generator().manual_seed(1)), (5, 6))).masks
    shares = masks.mean(dim=(1, 2))
    assert len(masks) == 7
    assert bool(((shares >= 0.01) & (shares <= 0.5)).all())


def test_superpixels_are_numbered_without_gaps_and_none_is_smaller_than_asked_for():
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    regions = superpixels(noise, 50, 0.004)
    assert np.bincount(regions.ravel()).min() >= 0.004 * 50 * 70


def test_features_without_a_picture_are_refused():
    bare = ImageFeatures(torch.ones(2, 20, 3).half(), torch.zeros(2, 1, 3), (4, 5), (60, 84))
    with pytest.raises(ValueError, match="no picture"):
        Merging().propose(bare)
