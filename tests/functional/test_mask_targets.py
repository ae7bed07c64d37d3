"""Targets made from masks of an object."""

import numpy as np
import pytest
import torch

from likewise.functional.mask_targets import MASK_TARGETS, bulge, centre, distance, soft, within

HIGH, WIDE = 60, 84


def block(top=20, bottom=40, left=10, right=50):
    found = torch.zeros(1, HIGH, WIDE)
    found[0, top:bottom, left:right] = 1
    return found, torch.ones(1, HIGH, WIDE)


@pytest.mark.parametrize("name", list(MASK_TARGETS))
def test_a_family_gives_its_channels_in_0_to_1_for_any_mask(name):
    family, made = MASK_TARGETS[name], block()[0]
    masks = torch.cat([made, torch.zeros_like(made), torch.ones_like(made)])
    known = torch.ones_like(masks)
    known[:, :5] = 0
    values, seen = family.make(masks, known)
    assert values.shape == seen.shape == (3, family.channels, HIGH, WIDE)
    assert torch.isfinite(values).all()
    assert 0 <= float(values.min()) <= float(values.max()) <= 1
    assert not seen[:, :, :5].any()


def test_a_soft_mask_is_a_half_on_the_border_and_keeps_its_area():
    values, _ = soft(*block())
    assert float(values[0, 0, 19:21, 30].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(values.sum()) == pytest.approx(20 * 40, rel=1e-3)


def test_distance_grows_inwards_and_ends_at_a_quarter_of_the_height():
    values = distance(*block())[0][0, 0]
    assert (values > 0.5).equal(block()[0][0] > 0)
    assert float(values[29, 30] - values[25, 30]) == pytest.approx(4 / 30)
    assert float(values[0, 80]) == 0


def test_every_large_piece_has_a_bump_in_its_middle_and_a_speck_has_none():
    masks, known = block()
    masks[0, 50:58, 60:80] = 1
    masks[0, 2:4, 70:73] = 1
    values = centre(masks, known)[0][0, 0]
    assert float(values[29, 29]) > 0.98
    assert float(values[53, 69]) > 0.98
    assert float(values[3, 71]) < 0.1


def test_the_place_within_an_object_is_told_by_its_box_and_known_inside_alone():
    masks, known = block()
    (across, down), seen = within(masks, known)[0][0], within(masks, known)[1][0]
    assert [float(across[30, column]) for column in (10, 49)] == [0, 1]
    assert [float(down[row, 30]) for row in (20, 39)] == [0, 1]
    assert seen.equal(masks.expand(2, HIGH, WIDE))


def test_an_inflated_object_leans_outwards():
    values = bulge(*block())[0][0]
    assert float(values[0, 30, 12]) < 0.2
    assert float(values[0, 30, 47]) > 0.8
    assert float(values[1, 22, 30]) < 0.2
    assert np.allclose(values[:, 5, 70], 0.5, atol=1e-6)
