"""Presence: a curve on what an image shows of a class, moved by examples without the class."""

import dataclasses

import pytest
import torch

from likewise.methods.analogy.evidence import Evidence, shipped
from likewise.methods.analogy.presence import adjust, said, score

STAY = torch.tensor([[1.0, 0.0]]).repeat(3, 1)
SEEN = torch.tensor([True, True, False])
CLEAR = Evidence(torch.full((3,), 0.9), torch.full((3,), 0.3), torch.full((3,), 0.75), torch.full((3,), 0.3))


def with_(**changes):
    """Clear evidence of three classes, with these figures of the first replaced."""
    return dataclasses.replace(CLEAR, **{name: torch.cat([torch.tensor([value]), getattr(CLEAR, name)[1:]]) for name, value in changes.items()})


class TestScore:
    @pytest.mark.parametrize("name", ["lead", "found", "familiar", "margin"])
    def test_it_grows_with_what_speaks_for_the_class(self, name):
        scores = [float(score(with_(**{name: value}))[0]) for value in (-0.2, 0.1, 0.4, 0.6, 0.9)]
        assert scores == sorted(set(scores))

    def test_a_class_does_not_touch_another(self):
        assert score(with_(lead=-0.9, found=-0.5))[1] == score(CLEAR)[1]

    def test_the_shipped_curve_tells_clear_presence_from_clear_absence(self):
        assert set(shipped("presence")) == {"bias", "lead", "found", "familiar", "margin"}
        found = said(with_(lead=-0.9, found=-0.1, familiar=0.3, margin=-0.3), STAY, SEEN)
        assert found[0] < 0.2
        assert found[1] > 0.8


class TestWhatIsSaid:
    def test_a_class_that_was_never_seen_is_surely_absent(self):
        assert said(CLEAR, STAY, SEEN)[2] == 0

    def test_the_curve_of_each_class_is_moved_by_its_own_slope_and_shift(self):
        moved = torch.tensor([[0.5, -1.0], [1.0, 2.0], [1.0, 0.0]])
        expected = torch.sigmoid(moved[:, 0] * score(CLEAR) + moved[:, 1])
        torch.testing.assert_close(said(CLEAR, moved, SEEN)[:2], expected[:2])


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
        _, shift, found = self.moved([4.0, 3.5, 4.2, 1.5, 1.2, 1.6, 1.4] * 4, [1.0, 1, 1, 0, 0, 0, 0] * 4)
        assert shift < 0
        assert (found.reshape(4, -1)[:, :3] > 0.5).all()
        assert (found.reshape(4, -1)[:, 3:] < 0.5).all()

    def test_examples_with_the_class_that_score_low_move_it_up(self):
        _, shift, found = self.moved([-1.0, -0.8, -1.2, -4.0, -4.5, -3.8] * 4, [1.0, 1, 1, 0, 0, 0] * 4)
        assert shift > 0
        assert (found.reshape(4, -1)[:, :3] > 0.5).all()
        assert (found.reshape(4, -1)[:, 3:] < 0.5).all()

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
