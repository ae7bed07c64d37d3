"""Points become heat maps and come back finer than a cell, for any size of image and map."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from likewise.data.geometry import working_grid
from likewise.functional.heatmaps import peak, point_map, probability, spread_of

SHARE = st.floats(0.12, 0.88)


@given(across=SHARE, down=SHARE, size=st.sampled_from([(480, 640), (90, 61), (333, 334)]), side=st.sampled_from([448, 896, 3000]))
def test_a_point_comes_back_within_a_third_of_a_cell(across, down, size, side):
    grid = working_grid(size, side, 14)
    x, y = across * size[1], down * size[0]
    found = peak(point_map((x, y), size, grid, spread_of(size)), size)
    assert abs(found[0] - x) < 0.34 * size[1] / grid[1]
    assert abs(found[1] - y) < 0.34 * size[0] / grid[0]


def test_the_middle_of_the_first_pixel_is_one_half():
    x, y, height = peak(point_map((0.5, 0.5), (7, 9), (7, 9), 0.3), (7, 9))
    assert (x, y, height) == (0.5, 0.5, 1.0)


def test_a_hidden_point_is_a_map_of_zeros_and_a_flat_map_has_its_peak_inside():
    assert not point_map(None, (20, 30), (5, 7), 2.0).any()
    for heat in (np.zeros((5, 7)), np.full((5, 7), -0.25)):
        x, y, height = peak(heat, (20, 30))
        assert 0 <= x <= 30
        assert 0 <= y <= 20
        assert height == heat[0, 0]


def test_a_second_lower_bump_does_not_pull_the_first():
    heat = np.maximum(point_map((40.0, 30.0), (100, 160), (25, 40), 5.0), 0.8 * point_map((120.0, 70.0), (100, 160), (25, 40), 5.0))
    x, y, _ = peak(heat, (100, 160))
    assert np.hypot(x - 40, y - 30) < 1


def test_probability_rises_with_height_around_that_of_even_odds():
    assert probability(0.4, 0.4) == 0.5
    assert probability(-1.0, 0.4) == 0.0
    heights = [probability(height, 0.4) for height in np.linspace(0, 2, 30)]
    assert heights == sorted(heights)
    assert 0.99 < heights[-1] <= 1
