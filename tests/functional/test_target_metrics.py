"""Directions, counts and points are scored by their own arithmetic, pooled over images."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from likewise.functional.target_metrics import (
    count_scores,
    degrees_apart,
    degrees_between,
    direction_scores,
    direction_sums,
    extent,
    point_scores,
)


def test_degrees_between_vectors_are_those_of_their_product():
    random = np.random.default_rng(0)
    one, two = random.normal(size=(5, 7, 3)), random.normal(size=(5, 7, 3))
    cosine = (one * two).sum(2) / np.linalg.norm(one, axis=2) / np.linalg.norm(two, axis=2)
    assert np.allclose(degrees_between(one, two), np.degrees(np.arccos(cosine)))
    assert np.allclose(degrees_between(one, -3 * one), 180)
    assert np.isnan(degrees_between(np.zeros((1, 2)), np.ones((1, 2)))).all()
    with pytest.raises(ValueError, match="differ in shape"):
        degrees_between(one, two[:4])


def test_angles_go_the_shorter_way_round():
    assert degrees_apart(np.array([350.0, -170.0, 0.0]), np.array([10.0, 170.0, 540.0])).tolist() == [20, 20, 180]


@given(arrays(np.float64, 57, elements=st.floats(0, 180)), st.integers(1, 56))
def test_pooled_directions_have_the_mean_the_median_and_the_shares_of_all_values(degrees, cut):
    scores = direction_scores(direction_sums(degrees[:cut]) + direction_sums(degrees[cut:]))
    assert scores["mean"] == pytest.approx(degrees.mean())
    assert abs(scores["median"] - np.median(degrees)) <= 0.75 + 1e-6
    for limit in (11.25, 22.5, 30.0):
        assert scores[f"within_{limit:g}"] == pytest.approx((degrees < limit - 1e-9).mean(), abs=1 / 57 * (np.abs(degrees - limit) < 1e-8).sum() + 1e-9)


def test_unknown_directions_count_nowhere():
    assert direction_scores(direction_sums(np.array([np.nan, 10.0])))["mean"] == 10
    assert all(math.isnan(value) for value in direction_scores(direction_sums(np.array([np.nan]))).values())


def test_counts_are_off_by_the_mean_error_of_images():
    assert count_scores([(10.0, 12.0), (5.0, 4.0), (1.0, 0.0)]) == {"count_error": pytest.approx(4 / 3), "count_relative": 0.25}
    assert math.isnan(count_scores([])["count_error"])


def test_points_are_measured_against_the_box_around_them_or_the_image_for_a_single_name():
    assert extent({"a": (0.0, 0.0), "b": (6.0, 8.0), "c": None}, (20, 30), 3) == 10
    assert math.isnan(extent({"a": (0.0, 0.0), "b": None}, (20, 30), 2))
    assert extent({"a": (0.0, 0.0)}, (20, 30), 1) == 30


def test_shares_of_points_within_a_share_of_the_size():
    scores = point_scores([1.0, 2.0, 30.0], [0.04, 0.15, math.nan], [True, False])
    assert (scores["error"], scores["median"], scores["visible_right"]) == (11.0, 2.0, 0.5)
    assert (scores["pck_0.05"], scores["pck_0.1"], scores["pck_0.2"]) == (0.5, 0.5, 1.0)
    assert all(math.isnan(value) for value in point_scores([], [], []).values())
