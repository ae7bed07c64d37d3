"""Scores of benchmarks against counts by hand and by brute force."""

import numpy as np
import pytest

from likewise.functional import episode_metrics as scores


def maps(seed, count, size=(13, 17)):
    random = np.random.default_rng(seed)
    return random.integers(0, count, size), random.integers(0, count, size)


def test_overlaps_are_those_of_a_loop_over_labels():
    predicted, truth = maps(0, 4)
    void = np.random.default_rng(1).random(truth.shape) < 0.3
    found = scores.label_overlap(predicted, truth, 4, void)
    for label in range(4):
        one, two = (predicted == label) & ~void, (truth == label) & ~void
        assert found[:, label].tolist() == [(one & two).sum(), (one | two).sum()]


def test_different_shapes_and_labels_beyond_the_count_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        scores.label_overlap(np.zeros((2, 3), int), np.zeros((3, 2), int), 2)
    with pytest.raises(ValueError, match="a label is 3"):
        scores.label_overlap(np.full((2, 2), 3), np.zeros((2, 2), int), 3)


def test_relative_labels_go_to_the_slots_of_their_classes():
    overlap = np.array([[5, 2, 1], [9, 4, 3]])
    assert scores.fscs_counts(overlap, np.array([7, 3]), 9).tolist() == [[5, 0, 0, 1, 0, 0, 0, 2, 0], [9, 0, 0, 3, 0, 0, 0, 4, 0]]


def test_a_class_that_never_occurs_counts_zero_in_the_mean():
    counts = np.array([[5, 3, 0], [5, 4, 0]])
    assert scores.mean_class_iou(counts, [1, 2]) == pytest.approx(37.5)


def test_an_episode_is_exact_only_with_every_class_right():
    predicted = np.array([[True, False, True], [False, False, False], [True, True, True]])
    truth = np.array([[True, False, True], [False, True, False], [True, True, True]])
    assert scores.exact_ratio(predicted, truth) == pytest.approx(200 / 3)


def test_foreground_and_background_are_pooled_apart_and_then_averaged():
    counts = np.zeros((2, 2, 3), np.int64)
    counts[:, :, 1] = [[6, 1], [8, 4]]
    counts[:, :, 2] = [[2, 3], [4, 3]]
    miou, fb_iou = scores.fss_scores(counts, [1, 2])
    assert miou == pytest.approx(100 * (1 / 4 + 3 / 3) / 2)
    assert fb_iou == pytest.approx(100 * (8 / 12 + 4 / 7) / 2)


def test_what_is_claimed_of_an_absent_class_costs_unless_the_published_meter_is_asked_for():
    predicted, truth = np.array([[1, 2, 0, 2]]), np.array([[1, 0, 0, 255]])
    fair = scores.panet_counts(predicted, truth, np.array([4, 2]), 5)
    official = scores.panet_counts(predicted, truth, np.array([4, 2]), 5, official=True)
    assert fair[:, 2].tolist() == [0, 1, 0]
    assert official[:, 2].tolist() == [0, 0, 0]
    assert fair[:, 4].tolist() == official[:, 4].tolist() == [1, 0, 0]
    assert np.isnan(scores.panet_iou(official)[2])
    assert scores.panet_iou(fair)[2] == 0
