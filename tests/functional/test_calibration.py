"""Presence and confidence from maps of probabilities."""

import pytest
import torch

from likewise.functional.calibration import dice_confidence, fit_presence, gated, lead, nothing_there, peak, soft_iou


def test_peak_is_the_mean_of_the_strongest_cells():
    probabilities = torch.zeros(2, 1000)
    probabilities[0, :10] = 0.8
    probabilities[1, 5] = 1.0
    assert peak(probabilities, 0.01).tolist() == pytest.approx([0.8, 0.1])


def test_peak_of_a_map_smaller_than_the_count_takes_all_cells():
    assert peak(torch.tensor([[0.2, 0.4]])).tolist() == pytest.approx([0.3])


def test_presence_moves_between_what_was_absent_and_what_was_present():
    slope, middle = fit_presence(torch.tensor([0.2, 0.25, 0.3, 0.75, 0.8, 0.7]), torch.tensor([0, 0, 0, 1, 1, 1.0]))
    assert 0.3 < middle < 0.7
    assert slope > 4
    _, low = fit_presence(torch.tensor([0.05, 0.02, 0.04] * 4 + [0.2, 0.3, 0.25] * 4), torch.tensor([0.0] * 12 + [1.0] * 12))
    assert low < 0.35


def test_presence_keeps_the_given_values_where_one_outcome_was_never_seen():
    assert fit_presence(torch.tensor([1.0, 1.0]), torch.ones(2)) == (8.0, 0.5)
    assert fit_presence(torch.zeros(0), torch.zeros(0)) == (8.0, 0.5)


def test_presence_begins_at_half_the_usual_peak_of_faint_classes():
    slope, middle = fit_presence(torch.tensor([0.4, 0.4, 0.5]), torch.ones(3))
    assert middle == pytest.approx(0.2)
    assert slope * middle == pytest.approx(4.0)


def test_a_certain_map_has_full_dice_confidence_and_a_doubtful_one_less():
    certain = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    confidence, found = dice_confidence(certain)
    assert confidence.tolist() == [1, 1]
    assert found.all()
    doubtful, _ = dice_confidence(torch.tensor([[0.6, 0.6, 0.4, 0.4], [0.4, 0.4, 0.6, 0.6]]))
    assert doubtful.tolist() == pytest.approx([0.6, 0.6])


def test_a_class_that_is_not_found_has_no_confidence():
    confidence, found = dice_confidence(torch.tensor([[0.9, 0.9], [0.1, 0.1]]))
    assert confidence[1] == 0
    assert not found[1]


def test_soft_iou_of_hard_labels_is_the_iou():
    logits = torch.tensor([[1.0, 0], [0, 1], [0, 1], [1, 0]])
    shares = torch.nn.functional.one_hot(torch.tensor([0, 1, 0, 1]), 2).float()
    both, either = soft_iou(logits, shares, torch.ones(4))
    assert (both / either).tolist() == pytest.approx([1 / 3, 1 / 3])
    both, either = soft_iou(logits, shares, torch.tensor([1.0, 1, 0, 0]))
    assert (both / either).tolist() == [1, 1]


def test_the_lead_is_over_the_best_of_the_others():
    found = lead(torch.tensor([[0.5, 0.2], [0.3, 0.7], [0.2, 0.1]]))
    torch.testing.assert_close(found, torch.tensor([[0.2, -0.5], [-0.2, 0.5], [-0.3, -0.6]]))


def test_a_class_below_a_half_is_out_and_the_background_never():
    found = gated(torch.tensor([[0.0, 3.0, 1.0], [0.5, 2.0, 4.0]]), torch.tensor([0.49, 0.5]))
    assert found.argmax(1).tolist() == [2, 2]
    assert torch.isinf(found).tolist() == [[False, True, False]] * 2


def test_nothing_is_there_if_no_class_is():
    assert nothing_there(torch.tensor([0.1, 0.2, 0.0])) == pytest.approx(0.72)
    assert nothing_there(torch.tensor([0.1, 1.0])) == 0
