"""Outlines that move to the edges of the picture, and no farther than they may."""

import numpy as np
import pytest

from likewise.functional.outlines import REACH, snapped

SIZE = (120, 160)


def scene(seed=0):
    """A red disc on grey noise, and where it is."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (rows - 60) ** 2 + (columns - 80) ** 2 < 30**2
    picture = random.integers(90, 130, (*SIZE, 3))
    picture[disc] = np.array([180, 20, 20]) + random.integers(0, 40, (disc.sum(), 3))
    return picture.astype(np.uint8), disc


def square(centre, half):
    found = np.zeros(SIZE, np.int64)
    found[centre[0] - half : centre[0] + half, centre[1] - half : centre[1] + half] = 1
    return found


def iou(one, two):
    return (one & two).sum() / (one | two).sum()


def test_a_coarse_mask_becomes_that_of_the_object():
    picture, disc = scene()
    coarse = square((60, 80), 28)
    assert iou(coarse == 1, disc) < 0.85
    assert iou(snapped(picture, coarse) == 1, disc) > 0.97


def test_an_outline_moves_no_farther_than_its_reach():
    picture, _ = scene()
    found = snapped(picture, square((60, 80), 12)) == 1
    reach = int(np.ceil(REACH * 160)) + 1
    near = np.zeros(SIZE, bool)
    near[48 - reach : 72 + reach, 68 - reach : 92 + reach] = True
    assert found.any()
    assert not found[~near].any()


def test_a_label_takes_nothing_from_another():
    picture, _ = scene()
    labels = square((60, 80), 28)
    labels[:, 80:] *= 2  # the right half is another class
    found = snapped(picture, labels)
    assert not (found[labels == 2] == 1).any()
    assert set(np.unique(found)) == {0, 1, 2}


@pytest.mark.parametrize("labels", [np.zeros(SIZE, np.int64), np.ones(SIZE, np.int64)])
def test_nothing_and_everything_stay(labels):
    assert np.array_equal(snapped(scene()[0], labels), labels)


def test_the_same_every_time():
    picture, _ = scene(3)
    assert np.array_equal(snapped(picture, square((60, 80), 26)), snapped(picture, square((60, 80), 26)))


def test_a_speck_stays_as_it_is():
    labels = np.zeros(SIZE, np.int64)
    labels[10:12, 10:13] = 1
    assert np.array_equal(snapped(scene()[0], labels), labels)
