"""Published ways of resizing, against the formulas that they stand for."""

import torch

from likewise.functional.resize import resize_corners, resize_nearest


def test_corner_samples_lie_on_each_other_and_a_ramp_stays_a_ramp():
    ramp = torch.arange(5.0)[:, None] * 3 + torch.arange(7.0)
    found = resize_corners(ramp.expand(2, 3, 5, 7), (9, 4))
    assert found.shape == (2, 3, 9, 4)
    expected = torch.linspace(0, 4, 9)[:, None] * 3 + torch.linspace(0, 6, 4)
    torch.testing.assert_close(found[1, 2], expected)


def test_shrinking_looks_at_single_samples_and_averages_nothing():
    speck = torch.zeros(9, 9)
    speck[3, 3] = 1
    assert float(resize_corners(speck, (3, 3)).sum()) == 0
    assert float(resize_corners(speck.roll(1, 0).roll(1, 1), (3, 3)).sum()) == 1


def test_the_nearest_sample_is_the_floor_of_the_scaled_place():
    plane = torch.arange(10, dtype=torch.uint8).reshape(1, 10).repeat(3, 1)
    found = resize_nearest(plane, (3, 4))
    assert found.dtype == torch.uint8
    assert found[0].tolist() == [0, 2, 5, 7]  # floor(i * 10 / 4), not the centres 1, 3, 6, 8
