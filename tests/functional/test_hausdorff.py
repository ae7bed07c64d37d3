"""The modified Hausdorff distance against all distances at once."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from likewise.functional.hausdorff import ink_points, modified_hausdorff


def points(count, seed):
    return np.random.default_rng(seed).integers(0, 30, (count, 2)).astype(float)


def test_distances_are_those_of_the_formula():
    firsts, seconds = [points(9, 1), points(14, 2)], [points(5, 3), points(11, 4), points(1, 5)]
    found = modified_hausdorff(firsts, seconds)
    for row, first in enumerate(firsts):
        for column, second in enumerate(seconds):
            between = cdist(first, second)
            assert found[row, column] == pytest.approx(max(between.min(axis=1).mean(), between.min(axis=0).mean()))


def test_a_drawing_is_at_no_distance_from_itself_wherever_it_stands():
    ink = np.zeros((12, 17), bool)
    ink[2:5, 3] = ink[4, 3:9] = True
    moved = np.roll(ink, (5, 6), axis=(0, 1))
    assert modified_hausdorff([ink_points(ink)], [ink_points(moved)])[0, 0] == pytest.approx(0, abs=1e-12)
    assert ink_points(ink).mean(axis=0) == pytest.approx([0, 0], abs=1e-12)


def test_a_part_of_a_drawing_is_as_far_as_the_rest_of_it():
    whole = np.array([[0.0, 0.0], [0.0, 4.0]])
    assert modified_hausdorff([whole[:1]], [whole]).tolist() == [[2.0]]
    assert modified_hausdorff([whole], [whole[:1]]).tolist() == [[2.0]]


def test_a_drawing_without_ink_is_refused():
    with pytest.raises(ValueError, match="without ink"):
        ink_points(np.zeros((3, 4), bool))
