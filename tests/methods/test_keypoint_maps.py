"""Keypoints as heat maps for methods of dense values: what a point, a hidden and an unknown one become, and the way back."""

import numpy as np
import pytest

from likewise.data import Example, LabelKind, Support
from likewise.functional.heatmaps import point_map, spread_of
from likewise.methods import method_class
from likewise.methods.keypoints import points_in, with_heatmaps

RIDGE, ANALOGY, CST = (method_class(name) for name in ("ridge", "analogy", "cst"))


@pytest.fixture
def support():
    big, small = np.zeros((300, 700, 3), np.uint8), np.zeros((60, 44, 3), np.uint8)
    return Support([Example(big, "big", keypoints={"nose": (500.0, 120.0), "tail": None}), Example(small, "small", keypoints={"tail": (3.0, 50.0)})])


def test_a_point_is_a_bump_a_hidden_one_zeros_and_an_unknown_one_no_map(support):
    big, small = (example.labels.dense for example in with_heatmaps(RIDGE, support).examples)
    assert set(big) == {"keypoint:nose", "keypoint:tail"}
    assert set(small) == {"keypoint:tail"}
    assert big["keypoint:nose"].max() == pytest.approx(1, abs=0.01)
    assert not big["keypoint:tail"].any()
    assert max(big["keypoint:nose"].shape) == 256


def test_maps_come_back_as_points_at_the_size_of_the_image(support):
    maps = with_heatmaps(RIDGE, support).examples[0].labels.dense
    found = points_in({name: values.transpose(2, 0, 1) for name, values in maps.items()} | {"depth": np.ones((1, 2, 3))}, (300, 700))
    assert set(found) == {"nose", "tail"}
    assert np.hypot(found["nose"][0] - 500, found["nose"][1] - 120) < 1
    assert found["nose"][2] > 0.95
    assert found["tail"][2] == 0


def test_low_answers_are_less_likely_points():
    heat = point_map((20.0, 9.0), (40, 50), (20, 25), spread_of((40, 50)))[None]
    probabilities = [points_in({"keypoint:x": factor * heat}, (40, 50))["x"][2] for factor in (0.1, 0.5, 0.9)]
    assert probabilities == sorted(probabilities)
    assert probabilities[0] < 0.5 < probabilities[1]


def test_methods_that_take_keypoints_and_those_without_dense_values_get_the_support_as_it_is(support):
    assert LabelKind.KEYPOINT in ANALOGY.takes
    assert with_heatmaps(ANALOGY, support) is support
    assert with_heatmaps(CST, support) is support
