"""Geometry against brute force: pixel i covers [i, i+1)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.data.geometry import area_resize, box_to_pixels, draw_polyline, fill_polygons, fitted_size, resize_image, scale_points, working_grid


def brute_area(plane, grid):
    """Each cell's mean by cutting every pixel into equal parts that no edge crosses."""
    rows, columns = np.lcm(plane.shape[0], grid[0]), np.lcm(plane.shape[1], grid[1])
    fine = np.kron(plane, np.ones((rows // plane.shape[0], columns // plane.shape[1])))
    return fine.reshape(grid[0], rows // grid[0], grid[1], columns // grid[1]).mean((1, 3))


@given(st.integers(1, 9), st.integers(1, 11), st.integers(1, 6), st.integers(1, 7), st.integers(0, 99))
def test_area_resize_is_the_mean_of_what_a_cell_covers(height, width, rows, columns, seed):
    plane = np.random.default_rng(seed).random((height, width))
    assert np.allclose(area_resize(plane, (rows, columns)), brute_area(plane, (rows, columns)), atol=1e-5)


def inside(x, y, ring):
    """Even-odd rule by counting the crossings left of a point."""
    crossings = 0
    for one, other in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        (x0, y0), (x1, y1) = sorted([tuple(one), tuple(other)], key=lambda point: point[1])  # an edge there and back rounds alike
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
            crossings += 1
    return crossings % 2 == 1


@given(st.lists(st.tuples(st.integers(-8, 40), st.integers(-8, 40)), min_size=3, max_size=7))
def test_a_polygon_holds_the_pixels_whose_centres_are_inside(corners):
    ring = np.array(corners, float) / 3.1
    size = (9, 11)
    expected = np.array([[inside(column + 0.5, row + 0.5, ring) for column in range(size[1])] for row in range(size[0])])
    got = fill_polygons(size, [ring])
    if expected.any():
        assert np.array_equal(got, expected)


def test_a_ring_inside_another_is_a_hole():
    outer, hole = np.array([(0, 0), (6, 0), (6, 5), (0, 5)], float), np.array([(2, 1), (4, 1), (4, 3), (2, 3)], float)
    mask = fill_polygons((7, 8), [outer, hole])
    assert mask.sum() == 30 - 4
    assert not mask[1:3, 2:4].any()


def test_a_polygon_too_thin_for_any_centre_marks_its_outline():
    mask = fill_polygons((6, 9), [np.array([(1.0, 2.1), (7.0, 2.1), (7.0, 2.2)])])
    assert mask[2, 1:7].all()
    assert mask.sum() == mask[2].sum()


def test_a_polyline_is_connected_and_cut_at_the_edge():
    mask = draw_polyline((5, 8), np.array([(-3.0, 2.5), (20.0, 2.5)]))
    assert mask[2].all()
    assert mask.sum() == 8
    assert draw_polyline((5, 8), np.array([(3.2, 1.7)]))[1, 3]


@given(st.tuples(st.floats(-5, 25), st.floats(-5, 25), st.floats(0.01, 30), st.floats(0.01, 30)))
def test_a_box_in_pixels_lies_inside_and_holds_at_least_one(values):
    x, y, width, height = values
    x0, y0, x1, y1 = box_to_pixels((x, y, x + width, y + height), (13, 17))
    assert 0 <= x0 < x1 <= 17
    assert 0 <= y0 < y1 <= 13


def test_points_and_boxes_scale_with_the_image():
    assert scale_points(np.array([[2.0, 3.0]]), (6, 8), (12, 4)).tolist() == [[1.0, 6.0]]
    assert scale_points(np.array([[0.0, 1.0, 8.0, 6.0]]), (6, 8), (12, 4)).tolist() == [[0.0, 2.0, 4.0, 12.0]]


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_a_working_grid_keeps_the_area_and_the_shape(height, width):
    rows, columns = working_grid((height, width), 448, 14)
    assert rows % 2 == 0
    assert columns % 2 == 0
    assert 0.75 <= rows * columns / 1024 <= 1.3
    if 0.25 <= width / height <= 4:
        assert abs(np.log((columns / rows) / (width / height))) < 0.2


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 2000))
def test_a_fitted_picture_keeps_its_shape_and_the_limit(height, width, longest):
    found = fitted_size((height, width), longest)
    assert min(found) >= 1
    assert max(found) == min(max(height, width, 256), longest)
    factor = max(found) / max(height, width)
    assert abs(found[0] - height * factor) <= max(0.5, 1 - height * factor) + 1e-9
    assert abs(found[1] - width * factor) <= max(0.5, 1 - width * factor) + 1e-9


@pytest.mark.parametrize("size", [(4, 5), (20, 30), (10, 14)])
def test_a_resized_image_has_the_size_and_keeps_a_flat_colour(size):
    image = np.full((10, 14, 3), (10, 120, 250), np.uint8)
    resized = resize_image(image, size)
    assert resized.shape == (*size, 3)
    assert (resized == image[0, 0]).all()
