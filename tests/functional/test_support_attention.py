"""Attention of matching networks against cases worked by hand."""

import math

import pytest
import torch

from likewise.functional.support_attention import attention, class_probabilities, log_probabilities

SUPPORTS = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]], dtype=torch.float64)
QUERY = torch.tensor([[3.0, 4.0]], dtype=torch.float64)  # cosines 0.6, 0.8, -0.6


def softmax(*numbers):
    total = sum(math.exp(number) for number in numbers)
    return [math.exp(number) / total for number in numbers]


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [("cosine", softmax(0.6, 0.8, -0.6)), ("sharp", softmax(60, 80, 0)), ("support", softmax(3, 4, -3))],
)
def test_attention_is_that_worked_by_hand(kernel, expected):
    assert attention(QUERY, SUPPORTS, kernel)[0].tolist() == pytest.approx(expected, rel=2e-3)


def test_a_support_that_points_away_is_as_good_as_one_across():
    away, across = torch.tensor([[-1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    query, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert torch.equal(attention(query, torch.cat([away, across]))[0], torch.tensor([0.5, 0.5]))
    assert attention(other, torch.cat([away, across]))[0, 1] > 0.99


def test_vectors_of_zeros_are_attended_to_evenly():
    assert attention(torch.zeros(1, 2), SUPPORTS.float())[0].tolist() == pytest.approx([1 / 3] * 3)


def test_classes_get_what_their_supports_sum_to():
    weights, labels = torch.tensor([[0.1, 0.2, 0.3, 0.4]], dtype=torch.float64), torch.tensor([1, 0, 1, 1])
    assert class_probabilities(weights, labels, 2)[0].tolist() == pytest.approx([0.2, 0.8])
    assert class_probabilities(weights, labels, 3)[0].tolist() == pytest.approx([0.2, 0.8, 0])


def test_by_shot_a_class_gains_nothing_by_a_support_that_is_given_twice():
    supports = SUPPORTS[[0, 1, 1, 1]]
    once = class_probabilities(attention(QUERY, SUPPORTS[:2], "cosine"), torch.tensor([0, 1]), 2)
    labels = torch.tensor([0, 1, 1, 1])
    weights = attention(QUERY, supports, "cosine")
    torch.testing.assert_close(class_probabilities(weights, labels, 2, by_shot=True), once)
    assert class_probabilities(weights, labels, 2)[0, 1] > once[0, 1] + 0.1


def test_by_shot_every_class_needs_a_support():
    with pytest.raises(ValueError, match="no support"):
        class_probabilities(torch.ones(1, 2) / 2, torch.tensor([0, 0]), 2, by_shot=True)


def test_logarithms_have_a_floor():
    assert log_probabilities(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([math.log(1e-6), 1e-6], abs=1e-6)
