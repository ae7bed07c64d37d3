"""Dense targets that are made of masks, points and images."""

import numpy as np
import pytest

from likewise.functional.target_maps import density_map, signed_distance, texture_edges


def test_signed_distances_are_those_of_brute_force():
    random = np.random.default_rng(3)
    mask = random.random((9, 14)) < 0.4
    places = np.argwhere(np.ones_like(mask))
    inside, outside = places[mask.ravel()], places[~mask.ravel()]
    found = signed_distance(mask)
    for y, x in places:
        other = outside if mask[y, x] else inside
        distance = np.sqrt(((other - (y, x)) ** 2).sum(1)).min() - 0.5
        assert found[y, x] == pytest.approx(distance if mask[y, x] else -distance, abs=1e-4)


def test_masks_without_an_outline_and_limits():
    assert (signed_distance(np.ones((3, 5))) == 5).all()
    assert (signed_distance(np.zeros((3, 5)), limit=2) == -2).all()
    with pytest.raises(ValueError, match="a mask is"):
        signed_distance(np.zeros((3, 5, 2)))


@pytest.mark.parametrize("spread", [0.01, 1.0, 6.0])
def test_the_sum_of_a_density_is_the_number_of_points_also_at_the_border(spread):
    points = [(0.0, 0.0), (12.9, 6.9), (13.0, 7.0), (6.2, 3.1)]
    assert density_map(points, (7, 13), spread).sum() == pytest.approx(4, abs=1e-4)


def test_edges_stand_where_the_brightness_steps():
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, 23:] = 40
    edges = texture_edges(image)
    assert edges.shape == (20, 40)
    assert set(edges.argmax(1).tolist()) <= {22, 23}
    assert edges[:, :12].max() == 0
    assert edges.max() <= 1
