"""What convpaint does with a picture, against scikit-image, torch's own layers, and in closed cases."""

import numpy as np
import pytest
import torch
from skimage.transform import resize
from torch import nn

from likewise.methods.convpaint import pictures, vgg


def picture(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32))


def network_of(depth, seed=1):
    """Torch's layers as VGG-16 begins, narrower, and their weights by torchvision's names."""
    generator, before, parts, weights = torch.Generator().manual_seed(seed), 3, [], {}
    for place, part in enumerate(vgg.PLACES[:depth]):
        if part == "conv":
            layer = nn.Conv2d(before, before + 1, 3, padding=1)
            layer.weight.data = torch.randn(layer.weight.shape, generator=generator) / 4
            layer.bias.data = torch.randn(layer.bias.shape, generator=generator) / 4
            weights |= {f"features.{place}.weight": layer.weight.data, f"features.{place}.bias": layer.bias.data}
            before += 1
        else:
            layer = nn.ReLU() if part == "relu" else nn.MaxPool2d(2, 2)
        parts.append(layer)
    return parts, weights


class TestNumbers:
    def test_whole_numbers_are_scaled_by_their_type(self):
        for kind, low, high in ((np.uint8, 0, 255), (np.uint16, 0, 65535), (np.int16, -32768, 32767)):
            found = pictures.colours(np.stack([np.array([[low, high]], kind)] * 3))
            assert found[:, 0, 0].tolist() == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], abs=1e-5)
            assert found[:, 0, 1].tolist() == pytest.approx([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225], abs=1e-5)

    def test_floating_numbers_outside_0_to_1_are_passed_with_a_warning(self):
        with pytest.warns(UserWarning, match="outside 0..1"):
            assert pictures.colours(np.full((3, 1, 1), 7.0))[:, 0, 0].tolist() == [7, 7, 7]

    def test_channels_have_mean_0_and_deviation_1_each_and_flat_ones_stay_flat(self):
        values = np.stack([np.random.default_rng(1).normal(50, 9, (20, 30)), np.full((20, 30), 3.0)])
        found = pictures.channels(values)
        assert float(found[0].mean()) == pytest.approx(0, abs=1e-5)
        assert float(found[0].std(correction=0)) == pytest.approx(1, abs=1e-5)
        assert found[1].abs().max() == 0


class TestPyramid:
    @pytest.mark.parametrize("scales", [(1, 2, 4), (3, 2), (1,)])
    @pytest.mark.parametrize("size", [(45, 62), (7, 5), (64, 64)])
    @pytest.mark.parametrize("layers", [(0,), (0, 2, 5), (10,)])
    def test_every_scale_divides_what_is_padded_and_the_border_is_wide_enough(self, size, scales, layers):
        reach = vgg.reach_of(layers)
        for (before, after), length in zip(pictures.paddings(size, scales, reach), size, strict=True):
            assert min(before, after) >= reach.padding * max(scales)
            for scale in scales:
                assert before % (scale * reach.stride) == 0
                assert (before + length + after) % (scale * reach.stride) == 0

    def test_features_inside_are_those_of_a_larger_cut_of_the_picture(self):
        layers, scales = (0, 2, 5), (1, 2)
        weights = network_of(6)[1]
        whole, around = picture(3, 3, 64, 80), 24
        cut = whole[:, around:48, around:60]
        found = [pictures.pyramid(part, lambda images: vgg.hooked(weights, layers, images), scales, vgg.reach_of(layers)) for part in (whole, cut)]
        middle = slice(10, 12), slice(10, 24)
        torch.testing.assert_close(found[0][:, around:48, around:60][:, *middle], found[1][:, *middle], atol=1e-4, rtol=1e-4)

    def test_channels_go_through_the_network_one_by_one(self):
        found = pictures.pyramid(picture(4, 2, 9, 11), lambda images: [images[:, :1], images.mean(dim=1, keepdim=True)], (1,), pictures.Reach(1, 1), alone=True)
        torch.testing.assert_close(found, picture(4, 2, 9, 11)[[0, 0, 1, 1]])

    def test_a_scale_is_the_mean_of_blocks_spread_again(self):
        maps = picture(5, 3, 8, 12)
        found = pictures.pyramid(maps, lambda images: [images], (1, 4), pictures.Reach(0, 1))
        torch.testing.assert_close(found[:3], maps)
        blocks = maps.reshape(3, 2, 4, 3, 4).mean(dim=(2, 4))
        torch.testing.assert_close(found[3:], blocks.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2))


class TestVgg:
    def test_the_deepest_comes_before_its_relu_and_all_others_behind_theirs(self):
        parts, weights = network_of(6)
        images, x, kept = picture(6, 2, 3, 10, 14), None, {}
        x = images
        with torch.inference_mode():
            for place, part in enumerate(parts):
                x = part(x)
                kept[place] = x
            found = vgg.hooked(weights, (0, 5, 2), images)
        for mine, theirs in zip(found, (kept[1], kept[5], kept[3]), strict=True):
            torch.testing.assert_close(mine, theirs)
        assert found[1].min() < 0

    def test_how_far_it_looks_is_what_moves_an_output(self):
        for layer in (0, 2, 5, 7):
            weights = {name: torch.ones_like(value) for name, value in network_of(layer + 1)[1].items()}
            reach = vgg.reach_of((layer,))
            images = torch.zeros(1, 3, 1, 96).requires_grad_()
            out = vgg.hooked(weights, (layer,), images.expand(-1, -1, 33, -1))[0]
            out[0, 0, out.shape[2] // 2, out.shape[3] // 2].backward()
            seen = torch.nonzero(images.grad[0, 0, 0])[:, 0]
            assert (seen.max() - seen.min() + 1) // 2 == reach.padding or layer > 2  # behind a pool the largest alone has a gradient
            assert 96 // out.shape[3] == reach.stride

    @pytest.mark.parametrize("layers", [(1,), (0, 99), (-1,), ()])
    def test_a_place_without_a_convolution_is_refused(self, layers):
        with pytest.raises(ValueError, match="no convolution"):
            vgg.hooked({}, layers, picture(7, 1, 3, 4, 4))


class TestPatches:
    def test_borders_are_mirrored_as_scikit_image_does(self):
        tokens = picture(8, 2, 4, 6)
        found = pictures.unpatched(tokens, 7, (25, 40), official=True)
        expected = np.stack([resize(plane, (28, 42), order=1, mode="reflect", anti_aliasing=False) for plane in tokens.numpy()])
        assert np.abs(found.numpy() - expected[:, :25, :40]).max() < 1e-5

    def test_the_sane_form_keeps_the_border_and_is_torchs(self):
        tokens = picture(9, 2, 4, 6)
        expected = nn.functional.interpolate(tokens[None], size=(28, 42), mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(pictures.unpatched(tokens, 7, (25, 40)), expected[:, :25, :40])

    def test_one_patch_is_the_same_everywhere(self):
        for official in (False, True):
            found = pictures.unpatched(torch.full((1, 1, 3), 2.0), 5, (5, 15), official=official)
            torch.testing.assert_close(found, torch.full((1, 5, 15), 2.0))

    def test_what_is_spread_is_the_token_of_the_patch(self):
        tokens = picture(10, 3, 2, 3)
        found = pictures.spread(tokens, 5, (9, 12))
        assert found.shape == (3, 9, 12)
        assert torch.equal(found[:, 4, 4], tokens[:, 0, 0])
        assert torch.equal(found[:, 8, 11], tokens[:, 1, 2])

    def test_a_picture_is_mirrored_to_whole_patches_however_small(self):
        padded = pictures.patch_padded(torch.arange(3.0).reshape(1, 1, 3), 7)
        assert padded.shape == (1, 7, 7)
        assert padded[0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2]


def test_rows_are_labelled_pixels_row_by_row():
    features, numbers = picture(11, 4, 3, 5), torch.zeros(3, 5, dtype=torch.uint8)
    numbers[0, 3], numbers[2, 1] = 2, 1
    rows, kinds = pictures.labelled_rows(features, numbers)
    assert torch.equal(rows, torch.stack([features[:, 0, 3], features[:, 2, 1]]))
    assert kinds.tolist() == [2, 1]
