"""PerSAM's prior step by step: against another library's cosines, by hand, and by identities."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from likewise.methods.persam.prior import attention_bias, embedding, official_size, official_tokens, points, prior


def tokens(count, seed):
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed))


def test_the_prior_is_the_cosine_with_the_mean_of_tokens_as_they_are():
    reference, target, objects = tokens(12, 0), tokens(9, 1), torch.arange(12) % 3 == 0
    found = prior(target, embedding(reference, objects))
    assert found.numpy() == pytest.approx(cosine_similarity(target, reference[::3].mean(0, keepdim=True))[:, 0], abs=1e-6)


def test_the_other_embedding_is_between_mean_and_largest():
    found = embedding(torch.tensor([[1.0, 4.0], [3.0, 0.0], [9.0, 9.0]]), torch.tensor([True, True, False]), with_largest=True)
    assert found.tolist() == [2.5, 3.0]


def test_an_object_without_a_token_is_refused():
    with pytest.raises(ValueError, match="none of 4 tokens"):
        embedding(tokens(4, 0), torch.zeros(4, dtype=torch.bool))


@pytest.mark.parametrize(("value", "expected"), [(255, [True, True, False, True]), (128, [True, False, False, True])])
def test_the_value_of_a_mask_says_how_much_of_a_token_must_be_object(value, expected):
    mask = np.zeros((32, 64, 3), np.uint8)
    mask[:16, :24] = mask[:16, 48:] = value  # of the second of four tokens one of the two columns in its middle
    found = official_tokens(mask, 64, (4, 4))
    assert found[0].tolist() == expected
    assert not found[1:].any()


def test_what_is_beside_the_picture_in_the_square_is_no_object():
    found = official_tokens(np.full((20, 40, 3), 255, np.uint8), 64, (8, 8))
    assert found[:4].all()
    assert not found[4:].any()


def test_the_picture_keeps_its_place_in_the_square():
    ramp = torch.linspace(0, 1, 16).expand(16, 16)
    found = official_size(ramp, 64, (32, 64), (50, 100))
    assert found.shape == (50, 100)
    assert torch.allclose(found, found[:1].expand(50, 100))
    assert (found[0].diff() >= -1e-6).all()
    assert found[0, 50] == pytest.approx(0.5, abs=0.02)


def test_points_are_the_extremes():
    values = torch.zeros(3, 5)
    values[1, 4], values[2, 0] = 2, -1
    assert points(values) == ((4, 1), (0, 2))


def test_the_bias_is_that_of_a_prior_with_mean_nought_and_deviation_one():
    values = torch.rand(8, 12, generator=torch.Generator().manual_seed(2))
    found = attention_bias(values, (8, 12))
    assert torch.allclose(found, attention_bias(3 * values - 7, (8, 12)), atol=1e-5)
    wide = values.numpy()
    assert found.numpy() == pytest.approx((1 / (1 + np.exp(-(wide - wide.mean()) / wide.std(ddof=1)))).ravel(), abs=1e-5)
