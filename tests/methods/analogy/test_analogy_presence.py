"""Presence: a curve on how high a class peaks and how like the support an image is, moved by examples without the class."""

import pytest
import torch

from likewise.methods.analogy.presence import adjust, nearest_example, nearest_others, peaks, scene_vector, score, shipped_curve

SEEN = torch.tensor([True, True, False])


def maps(*tops):
    """Probabilities (N+1, 8, 9) whose classes reach these tops in their first rows and are 0.01 elsewhere."""
    found = torch.full((len(tops) + 1, 8, 9), 0.01)
    for place, top in enumerate(tops, start=1):
        found[place, :2] = top
    return found


class TestEvidence:
    def test_a_peak_is_told_in_log_odds_of_every_class_but_the_background(self):
        torch.testing.assert_close(peaks(maps(0.5, 0.9, 0.2)), torch.logit(torch.tensor([0.5, 0.9, 0.2])))

    def test_certainty_is_finite(self):
        never, always = peaks(maps(0.0, 1.0)).tolist()
        assert never == -always
        assert 3 < always < 10

    def test_a_single_cell_is_no_peak(self):
        found = maps(0.01)
        found[1, 3, 4] = 1.0
        assert torch.sigmoid(peaks(found)[0]) < 0.5

    def test_the_place_of_a_peak_does_not_matter(self):
        found = maps(0.7, 0.3)
        torch.testing.assert_close(peaks(found), peaks(found.flip(1).roll(3, 2)))

    def test_a_scene_is_the_direction_of_its_mean_last_token(self):
        tokens = torch.randn(11, 12, generator=torch.Generator().manual_seed(1))
        mean = tokens[:, 7:].mean(0)
        torch.testing.assert_close(scene_vector(tokens, 5), mean / mean.norm())

    def test_the_nearest_example_is_the_most_alike(self):
        scenes = torch.nn.functional.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(2)), dim=1)
        assert nearest_example(scenes[2], scenes) == pytest.approx(1, abs=1e-5)
        assert nearest_example(-scenes[2], scenes) == pytest.approx(max(float(-scenes[2] @ other) for other in scenes), abs=1e-5)

    def test_an_example_is_compared_with_the_others_alone(self):
        scenes = torch.nn.functional.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(3)), dim=1)
        expected = [nearest_example(scenes[e], torch.cat([scenes[:e], scenes[e + 1 :]])) for e in range(4)]
        torch.testing.assert_close(nearest_others(scenes), torch.tensor(expected))
        assert nearest_others(scenes[:1]).tolist() == [1]


class TestScore:
    def test_it_grows_with_the_peak_and_with_the_likeness(self):
        tops = [float(score(peaks(maps(top, 0.5, 0.5)), 0.8, SEEN)[0]) for top in (0.02, 0.1, 0.4, 0.6, 0.9, 0.97)]
        likenesses = [float(score(peaks(maps(0.6, 0.5, 0.5)), alike, SEEN)[0]) for alike in (-0.2, 0.3, 0.7, 0.95)]
        assert tops == sorted(set(tops))
        assert likenesses == sorted(set(likenesses))

    def test_a_class_that_was_never_seen_is_surely_absent(self):
        found = torch.sigmoid(score(peaks(maps(0.9, 0.9, 0.9)), 1.0, SEEN))
        assert found[2] == 0
        assert (found[:2] > 0.5).all()

    def test_a_class_does_not_touch_another(self):
        one, two = (score(peaks(maps(0.6, other, 0.1)), 0.8, SEEN) for other in (0.1, 0.9))
        assert one[0] == two[0]

    def test_the_shipped_curve_tells_clear_presence_from_clear_absence(self):
        assert len(shipped_curve()) == 3
        there, gone = (float(torch.sigmoid(score(peaks(maps(top)), 0.9, SEEN[:1])[0])) for top in (0.97, 0.03))
        assert there > 0.8
        assert gone < 0.3


class TestAdjusting:
    def moved(self, scores, present):
        """Slope and shift, and the probabilities (E,) that they make of the scores."""
        slope, shift = adjust(torch.tensor(scores), torch.tensor(present))
        return slope, shift, torch.sigmoid(slope * torch.tensor(scores) + shift)

    @pytest.mark.parametrize("present", [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, torch.nan, 1.0], [torch.nan] * 3])
    def test_examples_of_one_kind_leave_the_curve_as_it_is_shipped(self, present):
        assert adjust(torch.tensor([2.0, -1.0, 0.5]), torch.tensor(present)) == (1.0, 0.0)

    def test_no_example_leaves_it_too(self):
        assert adjust(torch.zeros(0), torch.zeros(0)) == (1.0, 0.0)

    def test_examples_without_the_class_that_score_high_move_it_down(self):
        _, shift, found = self.moved([4.0, 3.5, 4.2, 1.5, 1.2, 1.6, 1.4], [1.0, 1, 1, 0, 0, 0, 0])
        assert shift < 0
        assert (found[:3] > 0.5).all()
        assert (found[3:] < 0.5).all()

    def test_examples_with_the_class_that_score_low_move_it_up(self):
        _, shift, found = self.moved([-1.0, -0.8, -1.2, -4.0, -4.5, -3.8], [1.0, 1, 1, 0, 0, 0])
        assert shift > 0
        assert (found[:3] > 0.5).all()
        assert (found[3:] < 0.5).all()

    def test_one_example_moves_it_less_than_many(self):
        few = self.moved([4.0, 1.5], [1.0, 0.0])[1]
        many = self.moved([4.0] * 6 + [1.5] * 6, [1.0] * 6 + [0.0] * 6)[1]
        assert many < few <= 0

    def test_both_outcomes_count_the_same(self):
        balanced = self.moved([3.0] * 6 + [1.0] * 6, [1.0] * 6 + [0.0] * 6)[:2]
        lopsided = self.moved([3.0] * 11 + [1.0], [1.0] * 11 + [0.0])[:2]
        assert lopsided == balanced

    def test_unknown_examples_and_classes_without_a_score_do_not_count(self):
        known = self.moved([4.0, 3.0, 1.5, 1.0], [1.0, 1, 0, 0])[:2]
        assert adjust(torch.tensor([4.0, 3.0, 1.5, 1.0, -3.0, -torch.inf]), torch.tensor([1.0, 1, 0, 0, torch.nan, 1])) == known
