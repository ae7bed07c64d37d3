"""Masks split into objects: closed cases, and laws that hold for every mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from likewise.functional.splitting import by_height, by_votes, edge_distance, mean_over, object_targets, ordered, parts, spread_over, watershed

SIZE = (40, 64)
MASKS = arrays(bool, st.tuples(st.integers(1, 13), st.integers(1, 17)))


def disc(x, y, radius):
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


LEFT, RIGHT = disc(20, 20, 12), disc(42, 20, 12)  # they touch around x = 31
BOTH = LEFT | RIGHT


def halves():
    """The two discs as they are told apart: the nearer middle has the pixel."""
    columns = np.arange(SIZE[1])[None]
    return np.where(BOTH, np.where(columns < 31, 1, 2), 0)


def agreement(found, true):
    """The least overlap of a true object with the best found one."""
    best = []
    for number in range(1, true.max() + 1):
        mine = true == number
        best.append(max(((found == other) & mine).sum() / ((found == other) | mine).sum() for other in range(1, found.max() + 1)))
    return min(best)


def test_two_touching_discs_are_one_part_and_two_objects_of_a_watershed():
    assert parts(BOTH).max() == 1
    found = watershed(BOTH, 0.1)
    assert found.max() == 2
    assert agreement(found, halves()) > 0.95


def test_a_neck_that_is_not_narrow_enough_for_the_share_parts_nothing():
    assert watershed(BOTH, 0.95).max() == 1


def test_a_long_bar_stays_one_object():
    bar = np.zeros(SIZE, bool)
    bar[10:17, 3:60] = True
    assert watershed(bar, 0.1, 1.0).max() == 1


def test_votes_for_true_middles_tell_discs_apart():
    offsets = object_targets(halves())[:2]
    found = by_votes(BOTH, offsets, 0.3, 1.5)
    assert np.array_equal(found, halves())


def test_a_height_with_two_tops_makes_two_objects():
    assert agreement(by_height(BOTH, object_targets(halves())[2], 0.1), halves()) > 0.95


def test_targets_point_to_the_middle_and_fall_from_it():
    x, y, depth = object_targets(np.where(LEFT, 3, 0))
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    assert np.allclose((columns + x)[LEFT], 20, atol=1e-5)
    assert np.allclose((rows + y)[LEFT], 20, atol=1e-5)
    assert depth[20, 20] == 1
    assert 0 < depth[20, 9] < 0.2
    assert not depth[~LEFT].any()


def test_the_border_of_the_picture_is_no_edge():
    whole = np.zeros((5, 9), bool)
    whole[:, :4] = True
    assert edge_distance(whole)[0].tolist() == [4, 3, 2, 1, 0, 0, 0, 0, 0]


def test_the_mean_over_an_object_counts_its_pixels_alone():
    assert mean_over(np.array([[1, 1, 0], [3, 0, 0]]), np.array([[0.2, 0.4, 9], [0.5, 9, 9]], np.float32)) == pytest.approx([0, 0.3, 0, 0.5])


def test_a_part_that_the_small_mask_lost_is_an_object_of_its_own():
    mask = np.zeros((8, 12), bool)
    mask[:, :4] = True
    mask[3, 9] = True  # between the samples of a mask of half the size
    found = spread_over(mask, parts(mask[::2, ::2]))
    assert found.max() == 2
    assert (found == 2).sum() == 1
    assert found[3, 9] == 2


def partitions(mask, found):
    """Whether objects cover a mask and nothing else, and are numbered without a gap."""
    return np.array_equal(found > 0, mask) and set(np.unique(found[mask])) == set(range(1, found.max() + 1))


@given(MASKS, st.floats(0, 0.9), st.floats(0, 3))
def test_a_watershed_partitions_the_mask_within_its_parts(mask, share, blur):
    found = watershed(mask, share, blur)
    assert partitions(mask, found)
    whole = parts(mask)
    assert all(len(np.unique(whole[found == number])) == 1 for number in range(1, found.max() + 1))


@given(MASKS, st.integers(0, 2**32 - 1))
def test_votes_and_heights_partition_the_mask_whatever_was_learned(mask, seed):
    maps = np.random.default_rng(seed).normal(0, 4, (3, *mask.shape)).astype(np.float32)
    for found in (by_votes(mask, maps[:2], 0.3, 1.0), by_height(mask, maps[2], 0.1)):
        assert partitions(mask, found)
        assert all(parts(found == number).max() == 1 for number in range(1, found.max() + 1))


@given(MASKS, st.integers(1, 9), st.integers(1, 9))
def test_objects_of_a_mask_of_any_size_partition_the_mask(mask, height, width):
    rows, columns = (np.arange(wanted) * had // wanted for wanted, had in zip((height, width), mask.shape, strict=True))
    assert partitions(mask, spread_over(mask, parts(mask[rows][:, columns])))


@given(arrays(np.int32, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.integers(0, 9)))
def test_ordered_numbers_follow_the_first_pixels(numbers):
    found = ordered(numbers)
    firsts = [int(np.flatnonzero(found.ravel() == number)[0]) for number in range(1, found.max() + 1)]
    assert firsts == sorted(firsts)
    assert np.array_equal(found > 0, numbers > 0)
    assert len({*zip(found.ravel().tolist(), numbers.ravel().tolist(), strict=True)}) == len(np.unique(numbers))
