"""Prepared drawings: which pixels are taken, which way they turn, and their values."""

import numpy as np
import pytest
from PIL import Image

from likewise.episodes.classification.drawings import (
    closer_look_drawing,
    closer_look_picture,
    maml_drawing,
    nearest,
    prototypical_drawing,
    relation_drawing,
)

INK = np.random.default_rng(3).random((105, 105)) < 0.2


def one_bit(plane):
    return Image.fromarray(np.where(plane, 0, 255).astype(np.uint8)).convert("1", dither=Image.Dither.NONE)


@pytest.mark.parametrize("side", [28, 20, 33])
def test_the_pixels_taken_are_those_of_a_one_bit_picture_that_is_resized_smoothly(side):
    resized = np.asarray(one_bit(INK).resize((side, side), Image.Resampling.LANCZOS))
    assert np.array_equal(nearest(INK, side), ~resized)


@pytest.mark.parametrize("turns", range(4))
def test_prototypical_drawings_turn_before_they_are_resized_and_have_x_first(turns):
    turned = one_bit(INK).rotate(90 * turns).resize((28, 28), Image.Resampling.NEAREST)
    assert np.array_equal(prototypical_drawing(INK, turns), 1 - np.asarray(turned).T.astype(np.float32))


@pytest.mark.parametrize("turns", range(4))
def test_the_others_turn_after_they_are_resized(turns):
    small = one_bit(INK).resize((28, 28), Image.Resampling.NEAREST)
    paper = np.asarray(small.convert("L").rotate(90 * turns)).astype(np.float32) / 255
    assert np.array_equal(maml_drawing(INK, turns), 1 - paper)
    np.testing.assert_allclose(relation_drawing(INK, turns), (paper - 0.92206) / 0.08426, rtol=1e-5)


def test_paper_and_ink_of_relation_networks_have_the_published_values():
    values = np.unique(relation_drawing(INK))
    assert values.tolist() == pytest.approx([-10.943, 0.925], abs=1e-3)


def test_a_photograph_is_squeezed_and_its_middle_is_kept():
    pixels = np.zeros((40, 90, 3), np.uint8)
    pixels[:, 45:] = (200, 100, 50)
    prepared = closer_look_picture(pixels, 20)
    assert prepared.shape == (3, 20, 20)
    left, right = prepared[:, :, 0], prepared[:, :, -1]
    np.testing.assert_allclose(left.mean(axis=1), [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-5)
    np.testing.assert_allclose(right.mean(axis=1), [(200 / 255 - 0.485) / 0.229, (100 / 255 - 0.456) / 0.224, (50 / 255 - 0.406) / 0.225], rtol=1e-4)
    assert np.ptp(prepared, axis=1).max() == pytest.approx(0, abs=1e-6)


def test_of_a_picture_of_the_larger_size_nothing_but_the_rim_is_lost():
    pixels = np.random.default_rng(4).integers(0, 256, (32, 32, 3), np.uint8)
    prepared = closer_look_picture(pixels, 28).transpose(1, 2, 0)
    expected = (pixels[2:-2, 2:-2] / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    np.testing.assert_allclose(prepared, expected, atol=1e-5)


def test_a_drawing_as_a_photograph_is_dark_on_bright_and_grey_between():
    blank, full = closer_look_drawing(np.zeros((105, 105), bool)), closer_look_drawing(np.ones((105, 105), bool))
    assert blank.min() > 2
    assert full.max() < -1.8
    assert len(np.unique(closer_look_drawing(INK)[0])) > 50
