"""Prototypical networks: episodes as one batch, the mean over shots, and the form without any example."""

import pytest
import torch

from likewise.backbones.conv_encoders import ConvConfig, ConvEncoder
from likewise.methods.classifiers.common import class_major, parted
from likewise.methods.classifiers.prototypical_model import PrototypicalNetwork, ZeroShotPrototypes


def numbers(*shape, seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network():
    torch.manual_seed(3)
    return PrototypicalNetwork(ConvEncoder(ConvConfig(channels=1, widths=(3, 5), padding=(1, 1), pooled=2)))


def test_an_episode_is_parted_into_supports_and_queries():
    supports, queries = parted(numbers(4, 5, 2), 3)
    assert supports.shape == (4, 3, 2)
    assert queries.shape == (4, 2, 2)
    assert class_major(3, 2).tolist() == [0, 0, 1, 1, 2, 2]
    for shots in (0, 5):
        with pytest.raises(ValueError, match="leave no query"):
            parted(numbers(4, 5, 2), shots)


def test_the_logits_of_an_episode_are_those_of_its_features(network):
    episode = numbers(3, 6, 1, 9, 9)
    logits, prototypes = network.eval()(episode, 2)
    features = network.encoder(episode.flatten(0, 1)).unflatten(0, (3, 6))
    torch.testing.assert_close(prototypes, features[:, :2].mean(dim=1))
    expected = -(features[:, 2:].flatten(0, 1)[:, None] - prototypes).square().sum(dim=-1)
    torch.testing.assert_close(logits, expected)
    assert logits.shape == (12, 3)


def test_in_training_mode_the_norms_see_supports_and_queries_together(network):
    episode = numbers(3, 4, 1, 8, 8)
    other = episode.clone()
    other[:, 3] += 1
    assert not torch.allclose(network.train()(episode, 1)[1], network.train()(other, 1)[1], atol=1e-3)
    assert torch.equal(network.eval()(episode, 1)[1], network.eval()(other, 1)[1])


def test_class_vectors_become_prototypes_of_length_1_and_images_keep_theirs():
    torch.manual_seed(5)
    network = ZeroShotPrototypes(7, 4, 6)
    attributes, features = numbers(3, 4), numbers(5, 7)
    assert network.prototypes(attributes).norm(dim=1).tolist() == pytest.approx([1] * 3)
    expected = -(network.image(features)[:, None] - network.prototypes(attributes)).square().sum(dim=-1)
    torch.testing.assert_close(network(features, attributes), expected)
