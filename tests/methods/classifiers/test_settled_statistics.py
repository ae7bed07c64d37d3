"""Running statistics over many episodes."""

import pytest
import torch
from torch import nn

from likewise.methods.classifiers.statistics import settle_statistics


@pytest.fixture
def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3, momentum=1.0), nn.ReLU(), nn.BatchNorm2d(3, track_running_stats=False))


def batches(count):
    return [torch.rand((2 + place, 2, 4, 5), generator=torch.Generator().manual_seed(place)) for place in range(count)]


def test_statistics_are_the_mean_over_all_episodes(network):
    seen = [network[0](batch) for batch in batches(5)]
    settle_statistics(network, batches(5), network)
    torch.testing.assert_close(network[1].running_mean, torch.stack([x.mean(dim=(0, 2, 3)) for x in seen]).mean(dim=0))
    torch.testing.assert_close(network[1].running_var, torch.stack([x.var(dim=(0, 2, 3)) for x in seen]).mean(dim=0))


def test_what_was_seen_before_is_forgotten_and_the_momentum_stays(network):
    network.train()(100 * batches(1)[0])
    settle_statistics(network, batches(3), network)
    first = network[1].running_mean.clone()
    settle_statistics(network, batches(3), network)
    assert torch.equal(first, network[1].running_mean)
    assert network[1].momentum == 1.0
    assert not network.training


def test_the_weights_stay_as_they_were(network):
    before = [parameter.clone() for parameter in network.parameters()]
    settle_statistics(network, batches(2), network)
    assert all(torch.equal(one, two) for one, two in zip(before, network.parameters(), strict=True))


def test_without_an_episode_there_are_no_statistics(network):
    with pytest.raises(ValueError, match="no statistics"):
        settle_statistics(network, [], network)
    assert network[1].momentum == 1.0
