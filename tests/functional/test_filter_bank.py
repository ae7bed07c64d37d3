"""Gaussian features of pixels against closed forms, and against scikit-image."""

import numpy as np
import pytest
from skimage.feature import hessian_matrix, hessian_matrix_eigvals

from likewise.functional.filter_bank import FILTERS, SIGMAS, filter_bank

SMOOTH, LAPLACE, GRADIENT, DIFFERENCE, OUTER, INNER, LARGER, SMALLER = range(FILTERS)


def inside(plane, border=40):
    return plane[border:-border, border:-border]


def test_every_channel_has_every_filter_at_every_scale():
    assert filter_bank(np.zeros((3, 9, 11), np.float32)).shape == (3 * FILTERS * len(SIGMAS), 9, 11)


def test_a_flat_picture_has_brightness_and_nothing_else():
    found = filter_bank(np.full((1, 30, 40), 0.25, np.float32), sigmas=(1.6,))
    assert found[SMOOTH] == pytest.approx(0.25, abs=1e-6)
    assert np.abs(np.delete(found, SMOOTH, axis=0)).max() < 2e-4  # what sampling leaves of second derivatives


def test_a_slope_has_its_steepness_at_every_scale():
    down, across = np.mgrid[:100, :120].astype(np.float32)
    for sigma in (1.0, 3.5):
        found = filter_bank((0.03 * down + 0.04 * across)[None], sigmas=(sigma,))
        assert inside(found[GRADIENT]) == pytest.approx(0.05, abs=1e-3)
        assert np.abs(inside(found[INNER])).max() < 1e-4
    assert inside(found[OUTER]) == pytest.approx(0.0025, abs=1e-4)  # one direction: the square of the steepness


def test_a_bowl_has_the_curvatures_that_it_has():
    down, across = np.mgrid[:110, :120].astype(np.float32) - 55
    found = filter_bank((0.002 * down**2 + 0.005 * across**2)[None], sigmas=(3.5,))
    assert inside(found[LARGER]) == pytest.approx(0.01, rel=0.05)
    assert inside(found[SMALLER]) == pytest.approx(0.004, rel=0.05)
    assert inside(found[LAPLACE]) == pytest.approx(0.014, rel=0.05)


def test_curvatures_agree_with_scikit_image():
    random = np.random.default_rng(3)
    picture = np.kron(random.random((13, 17)), np.ones((8, 8))).astype(np.float32)
    found = filter_bank(picture[None], sigmas=(3.5,))
    matrices = hessian_matrix(picture, sigma=3.5, order="rc", use_gaussian_derivatives=True, mode="reflect")
    larger, smaller = hessian_matrix_eigvals(matrices)
    for mine, theirs in ((found[LARGER], larger), (found[SMALLER], smaller)):
        assert np.corrcoef(inside(mine, 30).ravel(), inside(theirs, 30).ravel())[0, 1] > 0.99
