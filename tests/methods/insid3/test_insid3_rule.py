"""INSID3's steps against brute force, against scikit-learn, and in cases that can be seen through."""

import math

import pytest
import torch
from sklearn.cluster import AgglomerativeClustering
from torch.nn.functional import normalize

from likewise.methods.insid3 import rule
from likewise.methods.insid3.keypoints import matched


def tokens(seed, *shape, spread=1.0):
    centre = torch.randn(shape[-1], generator=torch.Generator().manual_seed(99))
    return normalize(centre + spread * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


class TestTokenMasks:
    def test_three_of_the_four_pixels_in_the_middle_are_enough_and_two_are_not(self):
        mask = torch.zeros(24, 24)
        mask[3, 3:5] = mask[4, 3] = 1  # three, patch (0, 0)
        mask[11:13, 11] = 1  # two, patch (1, 1)
        found = rule.token_mask(mask, (3, 3))
        assert torch.nonzero(found).tolist() == [[0, 0]]

    def test_the_size_of_the_object_in_the_mask_is_any_number_but_0(self):
        mask = torch.zeros(24, 24)
        mask[8:16, 8:16] = 255
        assert torch.nonzero(rule.token_mask(mask, (3, 3))).tolist() == [[1, 1]]

    def test_an_object_between_the_samples_is_the_patch_at_its_mean_place(self):
        mask = torch.zeros(24, 24)
        mask[9:11, 21:23] = 1
        assert torch.nonzero(rule.token_mask(mask, (3, 3))).tolist() == [[1, 2]]

    def test_an_empty_mask_is_refused(self):
        with pytest.raises(ValueError, match="empty"):
            rule.token_mask(torch.zeros(24, 24), (3, 3))
        with pytest.raises(ValueError, match="empty"):
            rule.squared(torch.zeros(30, 50, dtype=torch.bool), 24)

    def test_a_mask_is_squared_by_its_corner_pixels_and_never_vanishes(self):
        mask = torch.zeros(30, 60, dtype=torch.bool)
        mask[10:20, 30:] = True
        assert torch.equal(rule.squared(mask, 15), mask[::2, ::4])
        speck = torch.zeros(30, 60, dtype=torch.bool)
        speck[21, 43] = True  # no corner of a sample
        assert torch.nonzero(rule.squared(speck, 15)).tolist() == [[10, 10]]


class TestPrototype:
    def test_each_example_counts_the_same_whatever_its_area(self):
        d = tokens(1, 3, 10, 5)
        masks = torch.zeros(3, 10, dtype=torch.bool)
        masks[0, :9], masks[1, 4] = True, True  # the third has none
        expected = normalize((d[0, :9].mean(dim=0) + d[1, 4]) / 2, dim=0)
        torch.testing.assert_close(rule.prototype(d, masks), expected)

    def test_without_any_token_there_is_none(self):
        with pytest.raises(ValueError, match="no example"):
            rule.prototype(tokens(1, 2, 4, 5), torch.zeros(2, 4, dtype=torch.bool))


class TestCandidates:
    def test_votes_are_those_of_brute_force(self, monkeypatch):
        monkeypatch.setattr(rule, "_AT_ONCE", 4)
        d, examples = tokens(2, 11, 6), tokens(3, 3, 7, 6)
        masks = torch.rand(3, 7, generator=torch.Generator().manual_seed(4)) > 0.5
        found = rule.votes(rule.nearest(d, examples), masks)
        for place, token in enumerate(d):
            expected = sum(bool(mask[max(range(7), key=lambda k, own=own: float(own[k] @ token))]) for own, mask in zip(examples, masks, strict=True))
            assert int(found[place]) == expected

    @pytest.mark.parametrize(("shots", "needed"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
    def test_half_of_the_examples_are_enough(self, shots, needed):
        found = rule.candidates(torch.ones(shots + 1), torch.arange(shots + 1), shots)
        assert found.tolist() == [votes >= needed for votes in range(shots + 1)]

    def test_where_nothing_is_like_the_class_the_likest_tenth_is_taken(self):
        forward = -torch.arange(1.0, 22.0)
        found = rule.candidates(forward, torch.ones(21, dtype=torch.long), 1)
        assert torch.nonzero(found)[:, 0].tolist() == [0, 1]


class TestClusters:
    @pytest.mark.parametrize("seed", range(4))
    def test_they_are_those_of_scikit_learn_numbered_by_first_appearance(self, seed):
        x = tokens(seed, 60, 8, spread=0.7)
        found = rule.clustered(x, x, 0.6).member.tolist()
        distances = (1 - (x @ x.T).clamp(-1, 1)).numpy()
        theirs = AgglomerativeClustering(n_clusters=None, metric="precomputed", linkage="average", distance_threshold=0.4).fit(distances).labels_
        first = {}
        assert found == [first.setdefault(number, len(first)) for number in theirs.tolist()]
        assert 1 < len(first) < 60

    def test_two_that_are_exactly_so_far_apart_stay_apart(self):
        x = torch.eye(2)
        assert rule.clustered(x, x, 0.0).member.tolist() == [0, 1]
        assert rule.clustered(x, x, -0.001).member.tolist() == [0, 0]

    def test_one_token_is_one_cluster(self):
        x = tokens(1, 1, 4)
        assert rule.clustered(x, x, 0.6).member.tolist() == [0]

    def test_means_of_both_forms_have_length_1(self):
        x, d = tokens(5, 40, 8, spread=0.5), tokens(6, 40, 8)
        groups = rule.clustered(x, d, 0.6)
        for number in range(int(groups.member.max()) + 1):
            own = groups.member == number
            torch.testing.assert_close(groups.x[number], normalize(x[own].mean(dim=0), dim=0))
            torch.testing.assert_close(groups.d[number], normalize(d[own].mean(dim=0), dim=0))


class TestJudged:
    def test_each_number_is_that_of_brute_force(self):
        x, d, likest = tokens(7, 50, 8, spread=0.6), tokens(8, 50, 8), tokens(9, 8)
        chosen = torch.rand(50, generator=torch.Generator().manual_seed(1)) > 0.8
        groups, forward = rule.clustered(x, d, 0.6), d @ likest
        said = rule.judged(groups, chosen, forward, likest)
        count = len(groups.x)
        hit = [number for number in range(count) if any(chosen[groups.member == number])]
        seed = max(hit, key=lambda number: float(groups.d[number] @ likest))
        assert said.seed == seed
        for number in range(count):
            own = groups.member == number
            area = 1.0 if number == seed else float(chosen[own].sum() / own.sum())
            cross, intra = float(forward[own].mean()), float(groups.x[seed] @ groups.x[number])
            assert float(said.combined[number]) == pytest.approx(cross * intra * area, abs=1e-5)

    def test_without_a_candidate_there_is_no_seed_and_nothing_is_kept(self):
        x = tokens(7, 20, 8)
        said = rule.judged(rule.clustered(x, x, 0.6), torch.zeros(20, dtype=torch.bool), torch.ones(20), x[0])
        assert said.seed == -1
        assert said.combined.abs().max() == 0


def test_a_mask_of_tokens_is_enlarged_and_rounded():
    kept = torch.tensor([[[0, 1], [0, 0]]])
    found = rule.enlarged(kept, 8)
    assert set(found.unique().tolist()) == {0.0, 1.0}
    assert found[0, :2, 6:].all()
    assert not found[0, 5:].any()
    assert not found[0, :, :4].any()


class TestKeypoints:
    def test_a_point_is_found_where_its_token_stands(self):
        one = torch.zeros(6, 8, 3)
        one[..., 0], other = 1, torch.zeros(5, 9, 3)
        other[..., 0] = 1
        one[2, 5], other[4, 7] = torch.tensor([0.0, 1, 0]), torch.tensor([0.0, 1, 0])
        found = matched(torch.tensor([[5 * 10.0, 2 * 20.0]]), (120, 80), one, other, (50, 180), temperature=0.01)
        assert found.tolist() == [[pytest.approx(7 * 20, abs=1e-2), pytest.approx(4 * 10, abs=1e-2)]]

    def test_half_a_token_is_rounded_to_the_even_one_and_points_stay_on_the_grid(self):
        one = torch.eye(4)[None]  # (1, 4, 4): each token a direction of its own
        points = torch.tensor([[0.5, 0.0], [1.5, 0.0], [2.5, 0.0], [3.9, 0.9]])
        found = matched(points, (1, 4), one, one, (1, 4), temperature=0.001)
        assert found[:, 0].round().tolist() == [0, 2, 2, 3]

    def test_two_equal_places_are_weighed_by_the_window_around_the_first(self):
        line = torch.zeros(1, 9, 2)
        line[..., 1] = 1
        line[0, [1, 6]] = torch.tensor([1.0, 0.0])
        sigma, temperature = 3.0, 0.5
        found = matched(torch.tensor([[1.0, 0.0]]), (1, 9), line, line, (1, 9), sigma=sigma, temperature=temperature)
        heights = [math.exp(-((x - 1) ** 2) / (2 * sigma**2)) if x in (1, 6) else 0.0 for x in range(9)]
        chance = [math.exp(height / temperature) for height in heights]
        assert float(found[0, 0]) == pytest.approx(sum(x * each for x, each in enumerate(chance)) / sum(chance), abs=1e-4)
