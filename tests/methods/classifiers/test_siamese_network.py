"""Siamese networks: sizes, embeddings, pairs, and several shots."""

import pytest
import torch

from likewise.errors import WeightsError
from likewise.methods.classifiers.siamese_model import SiameseNetwork, siamese_of


def numbers(*shape, seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network():
    torch.manual_seed(5)
    return SiameseNetwork(widths=(2, 3), kernels=(4, 3), width=6, side=15)


def test_the_published_network_has_the_published_number_of_weights():
    with torch.device("meta"):
        published = SiameseNetwork()
    assert sum(parameter.numel() for parameter in published.parameters()) == 38_951_745
    assert published.embed(torch.empty(2, 1, 105, 105, device="meta")).shape == (2, 4096)


def test_embeddings_lie_between_0_and_1(network):
    embedded = network.embed(20 * numbers(4, 1, 15, 15) - 10)
    assert embedded.shape == (4, 6)
    assert 0 <= embedded.min() < embedded.max() <= 1


def test_a_logit_is_a_weighted_sum_of_absolute_differences(network):
    first, second = numbers(3, 1, 15, 15), numbers(3, 1, 15, 15, seed=2)
    difference = (network.embed(first) - network.embed(second)).abs()
    torch.testing.assert_close(network(first, second), difference @ network.out.weight.T + network.out.bias)
    assert torch.equal(network(first, second), network(second, first))
    torch.testing.assert_close(network(first, first), network.out.bias.expand(3, 1))


def test_with_one_support_a_class_scores_are_logits_of_pairs(network):
    queries, supports = numbers(4, 6), numbers(3, 6, seed=3)
    scores = network.scores(queries, supports, torch.tensor([0, 1, 2]), 3)
    expected = torch.cat([network.compare(queries, support.expand(4, 6)) for support in supports], dim=1)
    torch.testing.assert_close(scores, expected)


def test_with_several_supports_a_class_has_the_mean_of_their_logits(network):
    queries, supports = numbers(4, 6), numbers(3, 6, seed=3)
    single = network.scores(queries, supports, torch.arange(3), 3)
    scores = network.scores(queries, supports, torch.tensor([1, 0, 1]), 3)
    torch.testing.assert_close(scores[:, 1], (single[:, 0] + single[:, 2]) / 2)
    torch.testing.assert_close(scores[:, 0], single[:, 1])
    assert bool((scores[:, 2] == -torch.inf).all())


def test_sizes_follow_the_tensors(network):
    other = siamese_of(network.state_dict(), side=15)
    drawings = numbers(2, 1, 15, 15)
    assert torch.equal(other.embed(drawings), network.embed(drawings))
    with pytest.raises(WeightsError, match=r"liner\.0\.weight"):
        siamese_of(network.state_dict(), side=25)
    with pytest.raises(WeightsError, match="no Siamese network"):
        siamese_of({"out.weight": torch.zeros(1, 3)})
