"""Figures of merit, against scikit-learn and plain loops."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score


def test_auroc_is_that_of_scikit_learn_with_ties_and_weights(bench):
    rng = np.random.default_rng(0)
    scores, truth, weight = rng.integers(0, 9, 57) / 9, rng.random(57) < 0.3, rng.integers(0, 4, 57).astype(float)
    assert bench("measures").auroc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))
    assert bench("measures").auroc(scores, truth, weight) == pytest.approx(roc_auc_score(truth, scores, sample_weight=weight))


def test_without_negatives_there_is_no_auroc(bench):
    assert np.isnan(bench("measures").auroc(np.array([0.2, 0.7, 0.9]), np.array([True, True, True])))


def test_calibration_error_is_the_gap_of_each_bin_by_its_weight(bench):
    said = np.array([0.05, 0.06, 0.5, 0.52, 1.0])
    true = np.array([False, True, True, True, True])
    gaps = [(2, abs(0.5 - 0.055)), (2, abs(1 - 0.51)), (1, 0.0)]
    assert bench("measures").calibration_error(said, true) == pytest.approx(sum(count * gap for count, gap in gaps) / 5)
    twice = bench("measures").calibration_error(said, true, np.array([1.0, 1.0, 2.0, 2.0, 1.0]))
    assert twice == pytest.approx((2 * gaps[0][1] + 4 * gaps[1][1]) / 7)


def test_risk_falls_with_coverage_where_confidence_orders_by_error(bench):
    errors = np.array([0.9, 0.1, 0.4, 0.2])
    curve = bench("measures").risks(1 - errors, errors)
    assert curve == pytest.approx([0.1, 0.15, 0.7 / 3, 0.4])
    assert bench("measures").at_coverage(curve, 0.5) == pytest.approx(0.15)
    assert bench("measures").at_coverage(curve, 1.0) == pytest.approx(0.4)


def test_images_of_the_same_confidence_come_in_no_order(bench):
    errors, sure = np.array([0.0, 1.0, 0.5, 0.1, 0.9]), np.array([0.7, 0.7, 0.7, 0.2, 0.9])
    curve = bench("measures").risks(sure, errors)
    assert curve == pytest.approx([0.9, 1.4 / 2, 1.9 / 3, 2.4 / 4, 2.5 / 5])
    assert bench("measures").risks(sure[::-1], errors[::-1]) == pytest.approx(curve)


def test_bins_of_a_reliability_table_hold_means_and_counts_and_empty_ones_are_left_out(bench):
    said, measured = np.array([0.05, 0.15, 0.95, 1.0, 0.12]), np.array([0.0, 0.4, 0.8, 0.6, 0.2])
    found = bench("measures").calibration_bins(said, measured, 10)
    assert [part["from"] for part in found] == pytest.approx([0.0, 0.1, 0.9])
    assert [part["count"] for part in found] == [1, 2, 2]
    assert [part["said"] for part in found] == pytest.approx([0.05, 0.135, 0.975])
    assert [part["measured"] for part in found] == pytest.approx([0.0, 0.3, 0.7])
