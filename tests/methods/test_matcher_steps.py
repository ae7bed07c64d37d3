"""Matcher step by step: against all assignments of small cases, and cases counted by hand."""

from itertools import permutations

import numpy as np
import pytest
import torch

from likewise.methods.matcher.matching import around, matched, pixels, token_mask
from likewise.methods.matcher.scores import Choice, Scores, chosen, passing, scored


def best_sum(cosines):
    """The largest sum over one-to-one pairs of rows and columns, by trying all."""
    rows, columns = sorted(cosines.shape)
    wide = cosines if cosines.shape[0] == rows else cosines.T
    return max(sum(wide[i, j] for i, j in enumerate(order)) for order in permutations(range(columns), rows))


def seeded(rows, columns, seed):
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(5))
def test_both_ways_are_the_best_of_all_assignments(seed):
    similarity, objects = seeded(7, 5, seed), torch.tensor([1, 0, 1, 0, 1, 0, 0], dtype=torch.bool)
    pairs = matched(similarity, objects)
    cosines, own = similarity.numpy(), np.flatnonzero(objects)
    assert len(set(pairs.forward)) == 3
    assert cosines[own, pairs.forward].sum() == pytest.approx(best_sum(cosines[own]))
    assert len(set(pairs.back)) == 3
    assert cosines[pairs.back, pairs.target].sum() == pytest.approx(best_sum(cosines[:, pairs.target]))
    assert pairs.similarity.tolist() == cosines[own, pairs.forward].tolist()
    home = [bool(objects[back]) for back in pairs.back]
    assert pairs.returned == any(home)
    assert pairs.kept.tolist() == (home if any(home) else [True] * 3)


def test_of_more_object_tokens_than_there_is_place_some_stay_free():
    similarity, objects = seeded(6, 4, 0), torch.ones(6, dtype=torch.bool)
    pairs = matched(similarity, objects)
    assert (pairs.forward == -1).sum() == 2
    assert sorted(pairs.target) == [0, 1, 2, 3]
    assert pairs.target.tolist() == pairs.forward[pairs.forward >= 0].tolist()


def test_a_match_that_comes_back_to_something_else_is_dropped_unless_all_do():
    like = torch.tensor([[0.9, 0.5], [0.2, 0.4], [0.1, 0.8]])
    pairs = matched(like, torch.tensor([True, True, False]))  # the second token takes 1, which is most like the third
    assert pairs.kept.tolist() == [True, False]
    assert pairs.points().tolist() == [0]
    alone = matched(like, torch.tensor([False, True, False]))
    assert alone.kept.tolist() == [True]
    assert not alone.returned


@pytest.mark.parametrize(("count", "expected"), [(40, 40), (41, 20), (59, 29)])
def test_of_more_than_forty_the_better_half_is_kept(count, expected):
    similarity = torch.eye(count) * torch.linspace(0.5, 1, count)
    points = matched(similarity, torch.ones(count, dtype=torch.bool)).points()
    assert points.tolist() == list(range(count - expected, count))


def test_a_token_is_of_the_object_if_any_pixel_is():
    mask = torch.zeros(42, 28)
    mask[13, 14] = mask[41, 0] = 1
    assert token_mask(mask, 14).tolist() == [False, True, False, False, True, False]


@pytest.mark.parametrize(("tokens", "expected"), [(5, [12]), (4, [5, 6, 9, 10])])
def test_an_empty_mask_is_a_square_in_the_middle(tokens, expected):
    mask = torch.zeros(14 * tokens, 14 * tokens)
    assert torch.nonzero(token_mask(mask, 14))[:, 0].tolist() == expected
    assert not mask.any()


def test_points_are_centres_of_tokens_and_the_box_holds_them():
    points = pixels(np.array([1, 6, 11]), 4, 14)
    assert points.tolist() == [[21, 7], [35, 21], [49, 35]]
    assert around(points).tolist() == [21, 7, 49, 35]


def test_scores_are_counted_by_hand():
    masks = np.zeros((3, 28, 42), bool)
    masks[0, :14, :20] = True  # tokens 0 and 1
    masks[1, 20, 40] = True  # token 5
    points = np.array([[7, 7], [21, 21], [19, 3], [41, 27]])
    similarity = torch.tensor([[1.0, 0.0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]])
    found = scored(masks, points, similarity, (2, 3))
    assert found.purity.tolist() == pytest.approx([2 / 2 + 1e-6, 1e-6, 1e-6])
    assert found.coverage.tolist() == pytest.approx([2 / 4 + 1e-6, 1e-6, 1e-6])
    assert found.emd.tolist()[:2] == pytest.approx([1, 0])
    everywhere = np.array([[0, 0.5, 0.5, 0.5, 0.5, 1], [0.5, 0, 0.5, 0.5, 0.5, 1]])  # each row carries 1/2, each column takes 1/6
    by_hand = (2 * 0 + 3 * everywhere[0, 2] + 1) / 6
    assert found.emd[2] == pytest.approx(1 - by_hand)
    assert found.total(0.5, 2, 2)[0] == pytest.approx(0.5 + 2 * (1 + 1e-6) * (0.5 + 1e-6) ** 2)


def test_filters_follow_each_other_and_never_drop_the_best():
    scores = Scores(purity=torch.tensor([0.1, 0.9, 0.5]), coverage=torch.tensor([0.2, 0.1, 0.15]), emd=torch.tensor([0.3, 0.9, 0.5]))
    assert passing(scores, Choice()).tolist() == [0, 1, 2]
    assert passing(scores, Choice(coverage=0.15)).tolist() == [0, 2]
    assert passing(scores, Choice(coverage=0.15, emd=0.4)).tolist() == [2]
    assert passing(scores, Choice(coverage=0.9)).tolist() == [0]


def test_masks_are_joined_that_are_near_the_best():
    total = torch.tensor([0.5, 0.9, 0.895, 0.7, 0.6])  # distances 0.5, 0.1, 0.105, 0.3, 0.4
    assert chosen(total, Choice()).tolist() == [1, 2]  # (0.3 - 0.1) / 0.3 is too far behind
    assert chosen(total, Choice(apart=0.7)).tolist() == [1, 2, 3]
    assert chosen(total, Choice(apart=0.7, most=1)).tolist() == [1]
    assert chosen(total, Choice(below=0.01)).tolist() == [1]
    assert chosen(total, Choice(by_score=False)).tolist() == [1, 2, 3]
    assert chosen(total[:0], Choice()).tolist() == []
