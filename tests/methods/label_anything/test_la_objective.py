"""The objective of Label Anything: what counts, and how much. Values of the published form are proven by golden files."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from likewise.methods.label_anything.objective import IGNORED, class_weights, focal_loss, pixel_weights


def logits_and_truth():
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(2, 3, 5, 7, generator=generator)
    truth = torch.randint(0, 3, (2, 5, 7), generator=generator)
    truth[0, 1:3], truth[1, :, 4] = IGNORED, IGNORED
    return logits, truth


def test_without_focus_and_weights_it_is_the_mean_cross_entropy_of_known_pixels():
    logits, truth = logits_and_truth()
    torch.testing.assert_close(focal_loss(logits, truth, gamma=0.0), cross_entropy(logits, truth, ignore_index=IGNORED))


def test_ignored_pixels_count_officially_and_not_in_ours():
    logits, truth = logits_and_truth()
    more = torch.nn.functional.pad(logits, (0, 3)), torch.nn.functional.pad(truth, (0, 3), value=IGNORED)
    torch.testing.assert_close(focal_loss(*more), focal_loss(logits, truth))
    torch.testing.assert_close(focal_loss(*more, official=True), focal_loss(logits, truth, official=True) * 7 / 10)
    torch.testing.assert_close(class_weights(more[1], 3), class_weights(truth, 3))
    assert (class_weights(more[1], 3, official=True) > class_weights(truth, 3, official=True)).all()


def test_focus_takes_more_from_what_is_right_already():
    sure, unsure = torch.tensor([[[[6.0]], [[0.0]]]]), torch.tensor([[[[0.1]], [[0.0]]]])
    right = torch.zeros(1, 1, 1, dtype=torch.long)
    kept = [float(focal_loss(logits, right, gamma=2.0) / focal_loss(logits, right, gamma=0.0)) for logits in (sure, unsure)]
    assert kept[0] == pytest.approx(float(1 - torch.softmax(sure, 1)[0, 0]) ** 2, rel=1e-3)
    assert kept[0] < 0.001 < 0.2 < kept[1]


def test_rare_classes_weigh_more_and_absent_ones_one():
    truth = torch.zeros(1, 4, 5, dtype=torch.long)
    truth[0, 0, 0] = 1
    weights = class_weights(truth, 4)
    assert weights.tolist() == pytest.approx([1 / math.log(1.1 + 19 / 20), 1 / math.log(1.1 + 1 / 20), 1, 1])
    truth[0, 3] = IGNORED
    assert pixel_weights(truth, weights)[0, 3].tolist() == [0.0] * 5


def test_a_map_without_any_known_pixel_has_no_loss_and_a_gradient_of_zero():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = focal_loss(logits, torch.full((1, 2, 2), IGNORED), class_weights(torch.full((1, 2, 2), IGNORED), 3))
    loss.backward()
    assert float(loss.detach()) == 0
    assert float(logits.grad.abs().max()) == 0
