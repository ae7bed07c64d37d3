"""Metrics against scikit-learn and brute force."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, jaccard_score, mean_absolute_percentage_error, root_mean_squared_error

from likewise.functional.metrics import (
    DenseSums,
    absolute_relative_error,
    accuracy,
    dense_sums,
    intersection_over_union,
    mean_absolute_error,
    mean_iou,
    overlap_counts,
    presence_counts,
    root_mean_square_error,
    share_close,
)

NUMBERS = [1, 4, 300]
MAPS = arrays(np.int16, (5, 7), elements=st.sampled_from([0, 1, 4, 300]))


@given(predicted=MAPS, truth=MAPS, hidden=arrays(bool, (5, 7)))
def test_overlaps_agree_with_scikit_learn_on_the_pixels_that_are_not_ignored(predicted, truth, hidden):
    marked = np.where(hidden, 255, truth)
    got = intersection_over_union(overlap_counts(predicted, marked, NUMBERS))
    for place, number in enumerate(NUMBERS):
        a, b = predicted[~hidden] == number, truth[~hidden] == number
        if (a | b).any():
            assert got[place] == pytest.approx(jaccard_score(b, a))
        else:
            assert math.isnan(got[place])


@given(predicted=MAPS, truth=MAPS)
def test_minus_one_ignores_like_255(predicted, truth):
    at_255, at_minus_one = truth.copy(), truth.copy()
    at_255[1, 2:6], at_minus_one[1, 2:6] = 255, -1
    assert (overlap_counts(predicted, at_255, NUMBERS) == overlap_counts(predicted, at_minus_one, NUMBERS)).all()


def test_a_class_of_the_truth_that_the_task_does_not_know_counts_as_background():
    counts = overlap_counts(np.array([[1, 1, 0]]), np.array([[1, 9, 9]]), [1])
    assert counts.tolist() == [[1, 2]]


def test_the_mean_leaves_out_classes_that_occur_nowhere_and_pools_counts_over_images():
    first, second = np.array([[1, 4], [0, 0], [0, 0]]), np.array([[5, 6], [2, 8], [0, 0]])
    assert mean_iou(first + second) == pytest.approx((6 / 10 + 2 / 8) / 2)
    assert math.isnan(mean_iou(np.zeros((3, 2), np.int64)))


@given(predicted=arrays(bool, 6), truth=arrays(bool, 6), known=arrays(bool, 6))
def test_presence_agrees_with_scikit_learn_where_the_truth_is_known(predicted, truth, known):
    got = accuracy(presence_counts(predicted, truth, known))
    if known.any():
        assert got == pytest.approx(accuracy_score(truth[known], predicted[known]))
    else:
        assert math.isnan(got)


FLOATS = st.floats(0.5, 1000, width=32)


@given(predicted=arrays(np.float32, (4, 9), elements=FLOATS), truth=arrays(np.float32, (4, 9), elements=FLOATS), cut=st.integers(1, 8))
def test_dense_errors_agree_with_scikit_learn_and_pool_over_pieces(predicted, truth, cut):
    sums = dense_sums(predicted[:, :cut], truth[:, :cut]) + dense_sums(predicted[:, cut:], truth[:, cut:])
    flat, expected = predicted.astype(float).ravel(), truth.astype(float).ravel()
    assert root_mean_square_error(sums) == pytest.approx(root_mean_squared_error(expected, flat))
    assert absolute_relative_error(sums) == pytest.approx(mean_absolute_percentage_error(expected, flat))
    assert mean_absolute_error(sums) == pytest.approx(np.abs(flat - expected).mean())
    assert share_close(sums) == pytest.approx((np.maximum(flat / expected, expected / flat) < 1.25).mean())


def test_unknown_values_count_nowhere_and_a_truth_of_zero_has_no_relative_error():
    sums = dense_sums(np.array([3.0, 1.0, np.nan, 7.0]), np.array([1.0, 0.0, 2.0, np.nan]))
    assert sums == DenseSums(values=2, squared=5.0, relative_values=1, relative=2.0, absolute=3.0, positive=1, close=0)
    assert math.isnan(root_mean_square_error(DenseSums()))
    assert math.isnan(absolute_relative_error(DenseSums()))


@pytest.mark.parametrize("call", [lambda a, b: overlap_counts(a, b, [1]), dense_sums, lambda a, b: presence_counts(a[0] > 0, b[0] > 0, b[0] > 0)])
def test_different_shapes_are_refused_with_both_shapes(call):
    with pytest.raises(ValueError, match="differ in shape"):
        call(np.ones((2, 3), int), np.ones((2, 5), int))
