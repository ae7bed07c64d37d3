"""The two-way transformer and the mixer: masks, the image alone, norms over channels."""

import pytest
import torch

from likewise.layers.two_way import ChannelNorm, CrossAttention, Mixer, TwoWayTransformer


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def mixer():
    torch.manual_seed(0)
    return Mixer(12, 3, 20, downsample=2).eval()


def test_a_masked_key_is_as_if_it_were_not_there(mixer):
    x = noise(1, 2, 5, 12)
    mask = torch.tensor([[True, True, False, True, False]]).expand(2, -1)
    kept = [0, 1, 3]
    torch.testing.assert_close(mixer(x, mask)[:, kept], mixer(x[:, kept]), atol=1e-6, rtol=1e-5)


def test_a_row_without_any_key_attends_to_all(mixer):
    x = noise(1, 2, 5, 12)
    mask = torch.tensor([[False] * 5, [True] * 5])
    torch.testing.assert_close(mixer(x, mask), mixer(x))


def test_the_image_alone_is_the_image_of_the_whole():
    torch.manual_seed(0)
    network = TwoWayTransformer(16, heads=4, hidden=24, depth=3).eval()
    image, places, tokens = noise(1, 2, 9, 16), noise(2, 1, 9, 16), noise(3, 2, 4, 16)
    torch.testing.assert_close(network.image(image, places, tokens), network(image, places, tokens)[1])


def test_a_masked_token_changes_neither_the_image_nor_the_others():
    torch.manual_seed(0)
    network = TwoWayTransformer(16, heads=4, hidden=24).eval()
    image, places, tokens = noise(1, 1, 9, 16), noise(2, 1, 9, 16), noise(3, 1, 4, 16)
    mask = torch.tensor([[True, True, True, False]])
    others, seen = network(image, places, tokens[:, :3])
    found, image_found = network(image, places, tokens, mask)
    torch.testing.assert_close(found[:, :3], others, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(image_found, seen, atol=1e-6, rtol=1e-5)


def test_tokens_do_not_see_each_other_through_the_batch():
    torch.manual_seed(0)
    network = TwoWayTransformer(16, heads=4, hidden=24).eval()
    image, places, tokens = noise(1, 3, 9, 16), noise(2, 1, 9, 16), noise(3, 3, 4, 16)
    alone = network(image[1:2], places, tokens[1:2])[0]
    torch.testing.assert_close(network(image, places, tokens)[0][1:2], alone, atol=1e-6, rtol=1e-5)


def test_channels_are_normed_at_each_place():
    norm = ChannelNorm(6, eps=0.0)
    found = norm(noise(1, 2, 6, 3, 4))
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(2, 3, 4), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.var(dim=1, correction=0), torch.ones(2, 3, 4))


def test_heads_that_do_not_divide_the_inner_width_are_refused():
    with pytest.raises(ValueError, match="4 heads do not divide an inner width of 6"):
        CrossAttention(12, 4, downsample=2)
