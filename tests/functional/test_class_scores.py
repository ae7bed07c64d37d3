"""Scores of classifiers against scikit-learn's and by hand."""

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from likewise.functional.class_scores import accuracy, harmonic_mean, mean_class_accuracy, present_classes

SCORES = torch.rand((40, 5), generator=torch.Generator().manual_seed(3))
LABELS = torch.tensor([0] * 20 + [1] * 11 + [4] * 9)


def test_accuracies_are_scikit_learns():
    predicted = SCORES.argmax(dim=1)
    assert accuracy(SCORES, LABELS) == pytest.approx(accuracy_score(LABELS, predicted))
    right = torch.nn.functional.one_hot(torch.where(torch.arange(40) % 3 == 0, LABELS, 1 - LABELS.clamp(max=1)), 5)
    assert mean_class_accuracy(right, LABELS) == pytest.approx(balanced_accuracy_score(LABELS, right.argmax(dim=1)))


def test_a_rare_class_counts_as_much_as_a_frequent_one():
    labels = torch.tensor([0, 0, 0, 1])
    always_first = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
    assert accuracy(always_first, labels) == 0.75
    assert mean_class_accuracy(always_first, labels) == 0.5


def test_the_harmonic_mean_is_0_where_one_side_fails():
    assert harmonic_mean(0.6, 0.3) == pytest.approx(0.4)
    assert harmonic_mean(0.9, 0.0) == harmonic_mean(0.0, 0.0) == 0


def test_classes_of_a_batch_come_in_the_order_of_their_appearance():
    labels = torch.tensor([3, 9, 9, 0, 3, 9])
    classes, places = present_classes(labels)
    assert classes.tolist() == [3, 9, 0]
    assert torch.equal(classes[places], labels)
