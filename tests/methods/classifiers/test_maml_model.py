import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from likewise.methods.classifiers.maml_model import InnerLoop, MamlNetwork, adapted, meta_gradient, settled, support_statistics

WAY, SHOT, QUERIES, SIDE = 3, 2, 4, 5


@pytest.fixture
def network():
    torch.manual_seed(1)
    encoder = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Softplus(), nn.Flatten())  # smooth, so that differences are derivatives
    return MamlNetwork(encoder, 4 * (SIDE - 2) ** 2, WAY).double()


@pytest.fixture
def episodes():
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(WAY, SHOT + QUERIES, 2, SIDE, SIDE, generator=generator, dtype=torch.float64) for _ in range(2)]


def parameters_of(network):
    return {name: value.detach() for name, value in network.named_parameters()}


def by_hand(network, parameters, episode, steps, rate):
    """Adapted parameters and query loss with plain autograd, each inner gradient taken apart from the graph."""
    support, queries = episode[:, :SHOT].flatten(0, 1), episode[:, SHOT:].flatten(0, 1)
    current = copy.deepcopy(network)
    current.load_state_dict(parameters)
    for _ in range(steps):
        current.zero_grad()
        cross_entropy(current(support), torch.arange(WAY).repeat_interleave(SHOT)).backward()
        with torch.no_grad():
            for value in current.parameters():
                value -= rate * value.grad
    current.zero_grad()
    loss = cross_entropy(current(queries), torch.arange(WAY).repeat_interleave(QUERIES))
    loss.backward()
    return current, loss.detach()


def test_the_adapted_parameters_are_those_of_plain_gradient_descent(network, episodes):
    start = parameters_of(network)
    support = episodes[0][:, :SHOT].flatten(0, 1)
    found = adapted(network, start, support, torch.arange(WAY).repeat_interleave(SHOT), InnerLoop(steps=3, rate=0.2))
    expected, _ = by_hand(network, start, episodes[0], 3, 0.2)
    for name, value in expected.named_parameters():
        torch.testing.assert_close(found[name], value.detach())


def test_the_meta_gradient_agrees_with_finite_differences(network, episodes):
    start, inner = parameters_of(network), InnerLoop(steps=2, rate=0.3)
    found = meta_gradient(network, start, episodes, SHOT, inner)
    generator = torch.Generator().manual_seed(7)
    for _ in range(3):
        way = {name: torch.randn(value.shape, generator=generator, dtype=torch.float64) for name, value in start.items()}

        def loss_at(step, way=way):
            moved = {name: value + step * way[name] for name, value in start.items()}
            return sum(by_hand(network, moved, episode, 2, 0.3)[1] for episode in episodes)

        difference = (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5
        slope = sum((found.gradient[name] * way[name]).sum() for name in start)
        torch.testing.assert_close(slope, difference, rtol=1e-6, atol=1e-8)


def test_the_first_order_gradient_is_the_one_at_the_adapted_parameters(network, episodes):
    start = parameters_of(network)
    found = meta_gradient(network, start, episodes, SHOT, InnerLoop(steps=2, rate=0.3, first_order=True))
    moved = [by_hand(network, start, episode, 2, 0.3) for episode in episodes]
    for name, value in found.gradient.items():
        torch.testing.assert_close(value, sum(dict(one.named_parameters())[name].grad for one, _ in moved))
    torch.testing.assert_close(found.loss, sum(loss for _, loss in moved))


def test_detached_inner_gradients_give_the_first_order_gradient_through_the_steps_as_well(network, episodes):
    start, inner = parameters_of(network), InnerLoop(steps=2, rate=0.3, first_order=True)
    support, queries = episodes[0][:, :SHOT].flatten(0, 1), episodes[0][:, SHOT:].flatten(0, 1)

    def loss(parameters):
        moved = adapted(network, parameters, support, torch.arange(WAY).repeat_interleave(SHOT), inner)
        return cross_entropy(torch.func.functional_call(network, moved, (queries,)), torch.arange(WAY).repeat_interleave(QUERIES))

    through = torch.func.grad(loss)(start)
    for name, value in meta_gradient(network, start, episodes[:1], SHOT, inner).gradient.items():
        torch.testing.assert_close(value, through[name])


def test_the_orders_differ_and_agree_as_the_rate_goes_to_zero(network, episodes):
    start = parameters_of(network)

    def gap(rate):
        second, first = (meta_gradient(network, start, episodes, SHOT, InnerLoop(steps=1, rate=rate, first_order=flag)).gradient for flag in (False, True))
        return max(float((second[name] - first[name]).abs().max()) for name in start)

    assert gap(0.1) > 1e-3
    assert gap(1e-7) < 1e-5


def test_a_settled_network_answers_the_support_as_its_batch_and_a_query_for_itself(network, episodes):
    support, queries = episodes[0][:, :SHOT].flatten(0, 1), episodes[0][:, SHOT:].flatten(0, 1)
    labels = torch.arange(WAY).repeat_interleave(SHOT)
    moved = adapted(network, parameters_of(network), support, labels, InnerLoop(steps=2, rate=0.3))
    found = settled(network, moved, support_statistics(network, moved, support))
    with torch.no_grad():
        torch.testing.assert_close(found(support), torch.func.functional_call(network, moved, (support,)))
        torch.testing.assert_close(found(queries)[4:5], found(queries[4:5]))
    assert not torch.allclose(torch.func.functional_call(network, moved, (queries,))[4:5], torch.func.functional_call(network, moved, (queries[4:5],)))


def test_statistics_are_those_of_every_norm_and_leave_the_network_as_it_was(network, episodes):
    before, start = copy.deepcopy(network.state_dict()), parameters_of(network)
    images = episodes[0].flatten(0, 1)
    found = support_statistics(network, start, images)
    assert set(found) == {"feature.1.running_mean", "feature.1.running_var"}
    with torch.no_grad():
        seen = network.feature[0](images).transpose(0, 1).flatten(1)
    torch.testing.assert_close(found["feature.1.running_mean"], seen.mean(dim=1))
    torch.testing.assert_close(found["feature.1.running_var"], (seen - seen.mean(dim=1, keepdim=True)).square().mean(dim=1))
    settled(network, start, found)
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
