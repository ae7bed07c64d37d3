"""What the learners read of a picture on a backbone."""

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.backbones.features import ImageFeatures
from likewise.methods.classifiers.reading import centred, encoder_wish, pictures, side_of, whole_vectors, whole_wish


def features(prefix_tokens, seed):
    """Two layers, six patches, five numbers a token."""
    torch.manual_seed(seed)
    return ImageFeatures(torch.randn(2, 6, 5).half(), torch.randn(2, prefix_tokens, 5).half(), (2, 3), (20, 30))


def test_a_vector_is_the_class_token_beside_the_mean_patch_of_the_last_layer_each_of_length_one():
    items = [features(3, seed) for seed in (0, 1, 2)]
    for item, vector in zip(items, whole_vectors(items), strict=True):
        token, mean = item.prefix[1, 0].float(), item.tokens[1].float().mean(dim=0)
        assert torch.allclose(vector, torch.cat([token / token.norm(), mean / mean.norm()]), atol=1e-6)


def test_a_network_without_class_token_gives_the_mean_patch_alone():
    assert whole_vectors([features(0, 4)]).shape == (1, 5)


def test_what_all_examples_share_does_not_count():
    vectors = torch.randn(4, 5, generator=torch.Generator().manual_seed(3))
    shifted = vectors + 100.0
    one, two = centred(vectors, vectors.mean(dim=0)), centred(shifted, shifted.mean(dim=0))
    assert torch.allclose(one, two, atol=1e-4)
    assert torch.allclose(one.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize(("encoder", "side", "asked"), [("conv4s", 28, 32), ("conv6np", 84, 96), ("resnet18map", 224, 257), ("resnet12", 84, 96)])
def test_an_encoder_sees_the_middle_of_a_larger_picture_as_published(encoder, side, asked):
    assert side_of(encoder) == side
    assert encoder_wish(encoder, 0).side == asked


@pytest.mark.parametrize(("side", "asked"), [(0, 105), (28, 105), (120, 120)])
def test_whole_drawings_are_asked_for_as_they_were_drawn(side, asked):
    assert whole_wish("conv4snp", side).side == asked


def test_whole_photographs_are_asked_for_at_the_encoders_side():
    assert whole_wish("conv4", 0).side == 84
    assert whole_wish("resnet10", 64).side == 64


def test_whole_drawings_are_brought_to_size_as_pillow_does_by_nearest_neighbours():
    drawn = np.random.default_rng(8).integers(0, 2, (105, 105), dtype=np.uint8) * 255
    item = ImageFeatures(torch.zeros(0), torch.zeros(0), (0, 0), (105, 105), pixels=torch.from_numpy(drawn).expand(3, -1, -1))
    expected = np.asarray(Image.fromarray(drawn).resize((28, 28), Image.Resampling.NEAREST)) / 255
    assert torch.allclose(pictures([item], 28, "grey", whole=True)[0, 1], torch.from_numpy(expected).float())
