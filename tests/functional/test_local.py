"""Local features: what they count, what of the light they ignore, what a line looks like in them; other lights stay pictures."""

import numpy as np
import pytest
import torch

from likewise.functional.local import FEATURES, SCALES, local_bank, relit

HIGH, LOW, SLOPE = 1, 2, 0  # places of a scale's features after the seven of colour


def blotches(height=41, width=67, seed=5):
    """A picture (h, w, 3) of soft blotches in 0.1..0.9."""
    random = np.random.default_rng(seed)
    coarse = random.random((height // 8 + 1, width // 8 + 1, 3)).astype(np.float32)
    picture = np.kron(coarse, np.ones((8, 8, 1), np.float32))[:height, :width]
    return 0.1 + 0.8 * np.clip(picture + 0.05 * random.standard_normal(picture.shape), 0, 1).astype(np.float32)


def at_scale(bank, scale, which):
    return bank[:, :, 7 + 5 * SCALES.index(scale) + which]


@pytest.mark.parametrize("size", [(41, 67), (1, 1), (3, 20)])
def test_every_pixel_has_as_many_finite_features_as_are_told(size):
    bank = local_bank(blotches(*size))
    assert bank.shape == (*size, FEATURES)
    assert bank.dtype == np.float32
    assert np.isfinite(bank).all()


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0.2), (0.7, 0.0), (1.0, 0.08)])
def test_brightness_and_contrast_of_the_picture_change_little(gain, offset):
    picture = blotches()
    bank, dimmed = local_bank(picture), local_bank(picture * np.float32(gain) + np.float32(offset))
    assert np.abs(dimmed - bank).max() < 0.03 * np.abs(bank).max()


def test_a_picture_of_one_colour_has_nothing_but_its_colour():
    bank = local_bank(np.full((13, 17, 3), 0.25, np.float32))
    np.testing.assert_allclose(bank, 0, atol=1e-3)


@pytest.mark.parametrize("horizontal", [True, False])
def test_a_bright_line_bends_down_across_and_not_along_itself(horizontal):
    picture = np.full((60, 60, 3), 0.3, np.float32)
    picture[28:31] = 0.8
    bank = local_bank(picture if horizontal else picture.transpose(1, 0, 2).copy())
    bank = bank if horizontal else bank.transpose(1, 0, 2)
    across, along = at_scale(bank, 1.0, LOW), at_scale(bank, 1.0, HIGH)
    assert (across[29, 10:50] < -1).all()
    assert np.abs(along[29, 10:50]).max() < 0.05
    assert np.abs(across[5, 10:50]).max() < 0.05


def test_a_dark_line_bends_up():
    picture = np.full((60, 60, 3), 0.8, np.float32)
    picture[28:31] = 0.3
    assert (at_scale(local_bank(picture), 1.0, HIGH)[29, 10:50] > 1).all()


def test_the_slope_is_largest_on_an_edge():
    picture = np.full((50, 64, 3), 0.3, np.float32)
    picture[:, 32:] = 0.7
    slope = at_scale(local_bank(picture), 2.0, SLOPE)
    assert set(slope[20:30].argmax(1)) <= {31, 32}


def test_what_is_turned_has_turned_features_but_for_the_rim():
    picture, inner = blotches(), np.s_[2:-2, 2:-2]
    turned = local_bank(np.ascontiguousarray(picture.transpose(1, 0, 2))).transpose(1, 0, 2)
    np.testing.assert_allclose(turned[inner], local_bank(picture)[inner], atol=1e-4)


class TestRelit:
    def pictures(self):
        return torch.rand(3, 3, 11, 14, generator=torch.Generator().manual_seed(1))

    def test_pictures_stay_pictures_and_change(self):
        pictures = self.pictures()
        found = relit(pictures, torch.Generator().manual_seed(2))
        assert found.shape == pictures.shape
        assert 0 <= found.min() <= found.max() <= 1
        assert all((one - other).abs().mean() > 0.01 for one, other in zip(found, pictures, strict=True))

    def test_every_picture_gets_a_light_of_its_own(self):
        alike = self.pictures()[:1].expand(3, -1, -1, -1)
        one, two, three = relit(alike, torch.Generator().manual_seed(2))
        assert min(float((one - two).abs().mean()), float((two - three).abs().mean())) > 0.01

    def test_light_changes_colours_and_not_places(self):
        flat = torch.rand(2, 3, 1, 1, generator=torch.Generator().manual_seed(3)).expand(-1, -1, 5, 8)
        assert (relit(flat, torch.Generator().manual_seed(4)).flatten(2).std(2) == 0).all()

    def test_the_generator_alone_decides(self):
        before = torch.get_rng_state()
        one, two, other = (relit(self.pictures(), torch.Generator().manual_seed(seed)) for seed in (7, 7, 8))
        assert torch.equal(one, two)
        assert not torch.equal(one, other)
        assert torch.equal(before, torch.get_rng_state())

    def test_no_amount_leaves_pictures_as_they_are(self):
        pictures = self.pictures()
        torch.testing.assert_close(relit(pictures, torch.Generator().manual_seed(7), amount=0.0), pictures.clamp(1e-4, 1))
