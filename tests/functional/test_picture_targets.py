"""Targets made from pictures, against what is known of pictures that are easy."""

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab
from skimage.feature import structure_tensor

from likewise.functional.picture_targets import PICTURE_TARGETS, contrast, corners, lab, orientation, place, saliency, smoothed, structure, tint


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(4))


def square(height=41, width=53):
    """A white square with corners at (10, 12) and (24, 30) on black."""
    picture = torch.zeros(1, 3, height, width)
    picture[..., 10:25, 12:31] = 1
    return picture


@pytest.mark.parametrize("name", PICTURE_TARGETS)
def test_values_and_known_have_the_declared_channels_and_lie_in_0_to_1(name):
    target = PICTURE_TARGETS[name]
    values, known = target.make(noise(2, 3, 45, 37))
    assert values.shape == known.shape == (2, target.channels, 45, 37)
    assert float(values.min()) >= 0
    assert float(values.max()) <= 1
    assert set(known.unique().tolist()) <= {0.0, 1.0}
    assert target.source


@pytest.mark.parametrize("name", PICTURE_TARGETS)
def test_a_picture_has_the_same_target_whatever_its_companions(name):
    pictures = noise(3, 3, 40, 33)
    pictures[1] *= 0.2
    together, alone = PICTURE_TARGETS[name].make(pictures)[0][1], PICTURE_TARGETS[name].make(pictures[1:2])[0][0]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", [name for name in PICTURE_TARGETS if name not in ("colour", "tint", "place")])
def test_a_plain_picture_has_nothing(name):
    values, known = PICTURE_TARGETS[name].make(torch.full((1, 3, 40, 47), 0.4))
    assert float((values * known).max()) < 0.05


def test_the_tint_of_a_place_is_the_colour_of_its_surroundings():
    pictures = torch.zeros(1, 3, 48, 32)
    pictures[:, :, 24:] = 1
    values, known = tint(pictures)
    light = values[0, 0, :, 9]
    assert (float(light[0]), float(light[47])) == pytest.approx((0, 1), abs=1e-5)
    assert float(light[23:25].mean()) == pytest.approx(0.5)
    assert float(light[27]) == pytest.approx(0.88, abs=0.02)  # 3.5 rows from the border: a Gaussian of 3
    assert known.all()


def test_the_place_in_a_picture_runs_to_the_right_and_down():
    across, down = place(torch.zeros(1, 3, 5, 9))[0][0]
    assert (across[3, 0], across[3, 4], across[3, 8], down[0, 2], down[2, 2], down[4, 2]) == (0, 0.5, 1, 0, 0.5, 1)


def test_lab_is_that_of_another_library():
    pictures = noise(2, 3, 9, 7)
    theirs = np.stack([rgb2lab(picture.movedim(0, -1).numpy()) for picture in pictures])
    np.testing.assert_allclose(lab(pictures).movedim(1, -1).numpy(), theirs, atol=0.05)


def test_corners_stand_at_the_corners_and_not_along_the_edges():
    found = corners(square())[0][0, 0]
    for row, column in ((10, 12), (10, 30), (24, 12), (24, 30)):
        assert float(found[row - 2 : row + 3, column - 2 : column + 3].max()) > 0.9
    assert float(found[17, 8:16].max()) < 0.05
    assert float(found[8:13, 21].max()) < 0.05
    assert float(found[0, 0]) < 0.01


def test_what_stands_out_in_colour_is_salient():
    picture = torch.tensor([0.2, 0.5, 0.2])[:, None, None].repeat(1, 40, 50)
    picture[:, 15:22, 30:39] = torch.tensor([0.8, 0.1, 0.1])[:, None, None]
    found = saliency(picture[None])[0][0, 0]
    assert float(found[17:20, 32:37].min()) > 0.9
    assert float(found[:10, :20].max()) < 0.3


def test_contrast_is_high_where_lightness_changes():
    picture = torch.full((1, 3, 48, 60), 0.5)
    picture[..., 30:] = (torch.arange(30) % 2).float()
    found = contrast(picture)[0][0, 0]
    assert float(found[24, 45]) > 0.9
    assert float(found[24, 5]) < 0.05


@pytest.mark.parametrize("degrees", [0, 30, 90, 160])
def test_orientation_is_the_direction_of_the_gradient(degrees):
    angle = math.radians(degrees)
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(70.0), indexing="ij")
    wave = 0.5 + 0.3 * torch.sin(0.5 * (columns * math.cos(angle) + rows * math.sin(angle)))
    values, known = orientation(wave.expand(1, 3, -1, -1))
    cosine, sine = 2 * values[0, :, 30, 35] - 1
    assert bool(known[0, :, 30, 35].all())
    assert (float(cosine), float(sine)) == pytest.approx((math.cos(2 * angle), math.sin(2 * angle)), abs=0.05)


def test_orientation_is_unknown_where_nothing_changes():
    values, known = orientation(square())
    assert not known[0, :, 17, 48].any()
    assert not values[0, :, 17, 48].any()
    assert known[0, :, 17, 12].all()


def test_the_structure_tensor_is_that_of_another_library_up_to_its_filter():
    pictures = smoothed(noise(1, 3, 40, 50), 2.0)
    light = lab(pictures)[0, 0].numpy() / 100
    theirs = structure_tensor(light, sigma=2, mode="nearest", order="xy")
    for mine, other in zip(structure(pictures, 2.0), theirs, strict=True):
        assert np.corrcoef(mine[0, 0].numpy()[8:-8, 8:-8].ravel(), other[8:-8, 8:-8].ravel())[0, 1] > 0.99
