"""Altered copies: fixed, moderate, and put back in place."""

import numpy as np
import pytest
import torch

from likewise.backbones.alter import ALTERATIONS, alteration, altered, placed_back, toned

PHOTO = np.random.default_rng(5).integers(0, 256, (4, 6, 3), dtype=np.uint8)
COPIES = range(1, len(ALTERATIONS) + 1)


def test_copy_0_is_the_picture_itself():
    assert altered(PHOTO, 0) is PHOTO
    assert toned(PHOTO, 0) is PHOTO
    assert (alteration(0).table() == np.arange(256)[:, None]).all()


@pytest.mark.parametrize("copy", COPIES)
def test_every_odd_copy_is_mirrored_and_the_caller_keeps_the_picture(copy):
    before = PHOTO.copy()
    found = altered(PHOTO, copy)
    assert np.array_equal(found, toned(PHOTO, copy)[:, ::-1] if copy % 2 else toned(PHOTO, copy))
    assert np.array_equal(PHOTO, before)


@pytest.mark.parametrize("copy", COPIES)
def test_tones_are_those_of_the_written_rule(copy):
    one = ALTERATIONS[copy - 1]
    pixel = PHOTO[2, 3] / 255
    expected = [min(max(one.gain * (one.contrast * (v**one.gamma - 0.5) + 0.5) * cast, 0), 1) * 255 for v, cast in zip(pixel, one.cast, strict=True)]
    assert np.abs(toned(PHOTO, copy)[2, 3] - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_differs_visibly_and_loses_little(copy):
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    changed = toned(ramp, copy).astype(int)
    assert 8 < np.abs(changed - ramp).mean() < 60
    assert (np.diff(changed, axis=1) >= 0).all()
    assert all(len(np.unique(changed[..., channel])) > 160 for channel in range(3))


def test_the_copies_differ_from_each_other():
    assert len({toned(PHOTO, copy).tobytes() for copy in (0, *COPIES)}) == len(ALTERATIONS) + 1


@pytest.mark.parametrize("copy", [-1, len(ALTERATIONS) + 1])
def test_a_copy_beyond_the_list_is_refused(copy):
    with pytest.raises(ValueError, match=f"no copy {copy}"):
        altered(PHOTO, copy)


def test_tokens_of_a_mirrored_copy_are_put_back_row_by_row():
    rows, columns = 2, 3
    places = torch.arange(rows * columns).reshape(1, rows * columns, 1) * torch.ones(4, 1, 5)
    mirrored = torch.tensor([2, 1, 0, 5, 4, 3])
    assert torch.equal(placed_back(places[:, mirrored], (rows, columns), 1), places)
    assert torch.equal(placed_back(places, (rows, columns), 2), places)
