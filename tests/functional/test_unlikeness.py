"""Distances against brute force and closed cases; thresholds against the definition of the conformal rule and of the best overlap."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from likewise.functional.unlikeness import alarm_above, best_cut, left_out_distances, nearest_distance, own_distance, smoothed


def tokens(count, width=5, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_the_distance_is_that_to_the_nearest_by_cosine():
    own, memory = tokens(7), tokens(4, seed=1)
    assert np.allclose(nearest_distance(own, memory).numpy(), cdist(own, memory, "cosine").min(1), atol=1e-6)


def test_a_token_of_memory_is_at_no_distance_however_long_and_its_opposite_at_two():
    memory = torch.tensor([[3.0, 0.0, 0.0]])
    found = nearest_distance(torch.tensor([[9.0, 0.0, 0.0], [0.0, 2.0, 0.0], [-1.0, 0.0, 0.0]]), memory)
    assert torch.allclose(found, torch.tensor([0.0, 1.0, 2.0]), atol=1e-6)


def test_nothing_is_near_to_an_empty_memory():
    with pytest.raises(ValueError, match="empty"):
        nearest_distance(tokens(3), tokens(0))


def test_a_left_out_picture_is_compared_with_all_others_and_not_with_itself():
    pictures = [tokens(3, seed=2), tokens(4, seed=3), tokens(6, seed=4)]
    for index, found in enumerate(left_out_distances(pictures, pictures)):
        others = torch.cat([each for place, each in enumerate(pictures) if place != index])
        assert np.allclose(found.numpy(), cdist(pictures[index], others, "cosine").min(1), atol=1e-6)


def test_a_picture_alone_is_compared_with_what_is_known_of_it_far_away():
    grid, own = (3, 5), tokens(15)
    known = torch.ones(15, dtype=torch.bool)
    known[14] = False
    found = own_distance(own, grid, known, apart=1)
    places = list(itertools.product(range(3), range(5)))
    for place, value in zip(places, found.tolist(), strict=True):
        far = [index for index, (row, column) in enumerate(places) if max(abs(row - place[0]), abs(column - place[1])) > 1 and known[index]]
        assert value == pytest.approx(cdist(own[[5 * place[0] + place[1]]], own[far], "cosine").min(), abs=1e-6)


def test_a_picture_without_anything_far_away_is_like_itself():
    assert own_distance(tokens(6), (2, 3), torch.ones(6, dtype=torch.bool), apart=2).tolist() == [0.0] * 6


def test_the_mean_over_neighbours_counts_those_that_are_there_and_known():
    found = smoothed(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 60.0]), (2, 3), torch.tensor([True, True, True, True, True, False]))
    assert torch.allclose(found, torch.tensor([3.0, 3.0, 10 / 3, 3.0, 3.0, 10 / 3]))


@given(st.integers(1, 30), st.floats(0.02, 0.98), st.integers(0, 1000))
def test_the_alarm_is_the_conformal_order_statistic_and_promises_what_was_asked_wherever_that_can_be(count, share, seed):
    highest = torch.from_numpy(np.random.default_rng(seed).permutation(count).astype(np.float32))
    alarm = alarm_above(highest, share)
    above = int((highest >= alarm.threshold).sum())  # of n + 1 in any order, as many places of the new one are above the threshold
    assert alarm.promised == pytest.approx(above / (count + 1))
    if 1 / (count + 1) <= share:
        assert alarm.promised <= share + 1e-9
        assert (above + 1) / (count + 1) > share - 1e-9 or above == count  # no lower threshold would do
    else:
        assert alarm.threshold == count - 1


def test_good_pictures_set_off_the_alarm_as_often_as_promised():
    random = np.random.default_rng(0)
    draws = random.exponential(size=(4000, 12))
    alarms = [row[-1] > alarm_above(torch.from_numpy(row[:-1]), 0.25).threshold for row in draws]
    assert np.mean(alarms) == pytest.approx(0.25, abs=3 * (0.25 * 0.75 / 4000) ** 0.5)


@pytest.mark.parametrize(("count", "share"), [(0, 0.1), (3, 0.0), (3, 1.0)])
def test_there_is_no_alarm_without_pictures_or_for_no_share(count, share):
    with pytest.raises(ValueError, match="no threshold"):
        alarm_above(torch.zeros(count), share)


@given(st.lists(st.tuples(st.integers(1, 7), st.sampled_from([0.0, 0.3, 1.0])), min_size=1, max_size=12).filter(lambda rows: any(share for _, share in rows)))
def test_no_cut_overlaps_better_than_the_best(rows):
    distances, shares = torch.tensor([float(far) for far, _ in rows]), torch.tensor([share for _, share in rows])

    def overlap(cut):
        taken = distances > cut
        both = float(shares[taken].sum())
        return both / (float(taken.sum()) + float(shares.sum()) - both)

    assert overlap(best_cut(distances, shares)) >= max(overlap(value - 0.5) for value in distances.tolist()) - 1e-6


def test_what_is_to_be_found_apart_is_cut_in_the_middle():
    assert best_cut(torch.tensor([0.1, 0.9, 0.2, 0.7]), torch.tensor([0.0, 1.0, 0.0, 1.0])) == pytest.approx(0.45)


def test_there_is_no_cut_where_nothing_is_to_be_found():
    with pytest.raises(ValueError, match="to be found"):
        best_cut(torch.tensor([0.1, 0.2]), torch.zeros(2))
