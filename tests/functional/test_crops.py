"""Crops and their answers: every pixel is the mean over the crops that contain it."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likewise.functional.crops import blend, cut, five_crops, windows

sides = st.integers(9, 60)


@given(sides, sides, st.integers(0, 8))
def test_windows_cover_everything_stay_inside_and_share_enough(height, width, overlap):
    crop = (9, min(width, 17))
    offsets = windows((height, width), crop, overlap)
    covered = torch.zeros(height, width)
    for row, column in offsets:
        assert 0 <= row <= height - crop[0]
        assert 0 <= column <= width - crop[1]
        covered[row : row + crop[0], column : column + crop[1]] += 1
    assert covered.min() >= 1
    rows = sorted({row for row, _ in offsets})
    assert all(two - one <= crop[0] - overlap for one, two in itertools.pairwise(rows))


def test_no_more_windows_than_needed():
    assert windows((10, 10), (10, 10), 3) == [(0, 0)]
    assert len(windows((10, 24), (10, 10), 3)) == 3
    assert len(windows((10, 25), (10, 10), 3)) == 4


def test_a_picture_cut_and_blended_is_the_picture():
    picture = torch.rand(2, 3, 23, 31)
    offsets = five_crops((23, 31), (14, 17))
    torch.testing.assert_close(blend(cut(picture, offsets, (14, 17)), offsets, (23, 31)), picture)


def test_a_pixel_in_two_crops_is_their_mean():
    crops = torch.stack([torch.zeros(1, 2, 3), torch.ones(1, 2, 3)])
    whole = blend(crops, [(0, 0), (0, 2)], (2, 5))
    assert whole.tolist() == [[[0, 0, 0.5, 1, 1]] * 2]


def test_what_cannot_be_covered_is_refused():
    with pytest.raises(ValueError, match="do not cover"):
        blend(torch.zeros(1, 1, 2, 2), [(0, 0)], (2, 3))
    with pytest.raises(ValueError, match="does not fit"):
        five_crops((10, 10), (11, 9))
    with pytest.raises(ValueError, match="cannot cover"):
        windows((10, 10), (11, 5), 2)
    with pytest.raises(ValueError, match="cannot cover"):
        windows((10, 10), (5, 5), 5)
