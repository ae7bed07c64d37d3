"""The earth mover's distance against another library's on a line, and against all assignments."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from likewise.functional.transport import earth_mover


def on_a_line(rows, columns):
    random = np.random.default_rng(rows * 100 + columns)
    one, two = random.random(rows), random.random(columns)
    return np.abs(one[:, None] - two), wasserstein_distance(one, two)


@pytest.mark.parametrize("sizes", [(7, 11), (11, 7), (4, 6), (5, 5), (1, 9), (30, 41)])
def test_it_is_that_of_heaps_on_a_line(sizes):
    cost, expected = on_a_line(*sizes)
    assert earth_mover(cost) == pytest.approx(expected, abs=1e-9)


def test_equal_numbers_are_carried_by_the_best_of_all_assignments():
    cost = np.random.default_rng(3).random((5, 5))
    assert earth_mover(cost) == pytest.approx(min(np.mean([cost[i, j] for i, j in enumerate(order)]) for order in permutations(range(5))))


def test_parts_that_both_divide_are_exact_and_others_near():
    cost, expected = on_a_line(7, 11)
    assert earth_mover(cost, 77) == pytest.approx(expected, abs=1e-9)
    cost, expected = on_a_line(61, 97)
    assert earth_mover(np.sort(cost, axis=0), 512) != pytest.approx(expected, abs=1e-9)
    assert earth_mover(cost, 512) == pytest.approx(expected, abs=0.01)


def test_nothing_cannot_be_carried():
    with pytest.raises(ValueError, match=r"\(0, 3\)"):
        earth_mover(np.zeros((0, 3)))
