"""Full context embeddings: what they depend on, how often the supports are read, and a step worked out by single gates."""

import pytest
import torch

from likewise.errors import WeightsError
from likewise.methods.classifiers.matching_model import FullContext, full_context_of

WIDTH = 5


def rows(count, seed):
    return torch.randn((count, WIDTH), generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network():
    torch.manual_seed(7)
    return FullContext(WIDTH)


def test_each_support_gets_what_both_directions_say_of_it(network):
    supports = rows(4, 1)
    torch.testing.assert_close(network.supports(supports), supports + sum(_directions(network.G_encoder, supports)))


def _directions(lstm, supports):
    """The outputs of each direction by a cell of its own, the second run from the end."""
    for suffix in ("", "_reverse"):
        cell = torch.nn.LSTMCell(WIDTH, WIDTH)
        cell.load_state_dict({name: getattr(lstm, f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")})
        hidden, found = (torch.zeros(1, WIDTH), torch.zeros(1, WIDTH)), []
        for support in supports.flip(0) if suffix else supports:
            hidden = cell(support[None], hidden)
            found.append(hidden[0])
        yield torch.cat(found[::-1] if suffix else found)


def test_supports_depend_on_their_order_and_the_mean_over_all_orders_does_not(network):
    supports = rows(3, 2)
    turned = torch.tensor([2, 0, 1])
    orders = [torch.tensor(order) for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))]
    assert not torch.allclose(network.supports(supports[turned]), network.supports(supports)[turned], atol=1e-3)
    mean = network.supports_in_orders(supports, orders)
    torch.testing.assert_close(network.supports_in_orders(supports[turned], orders), mean[turned])
    torch.testing.assert_close(network.supports_in_orders(supports, orders[:1]), network.supports(supports))


def test_one_step_of_reading_is_one_step_of_the_cell(network):
    queries, supports = rows(2, 3), rows(4, 4)
    read = torch.softmax(queries @ supports.T, dim=1) @ supports
    gates = torch.cat([queries, read], dim=1) @ network.FCE.lstmcell.weight_ih.T + queries @ network.FCE.lstmcell.weight_hh.T
    gates = gates + network.FCE.lstmcell.bias_ih + network.FCE.lstmcell.bias_hh
    enter, _, new, leave = gates.chunk(4, dim=1)  # nothing is kept from before the first step, so nothing is forgotten
    expected = torch.sigmoid(leave) * torch.tanh(torch.sigmoid(enter) * torch.tanh(new)) + queries
    torch.testing.assert_close(network.queries(queries, supports, steps=1), expected)


def test_the_supports_are_read_as_often_as_there_are_supports(network):
    queries, supports = rows(3, 5), rows(4, 6)
    torch.testing.assert_close(network.queries(queries, supports), network.queries(queries, supports, steps=4))
    assert not torch.allclose(network.queries(queries, supports), network.queries(queries, supports, steps=3), atol=1e-4)
    assert torch.equal(network.queries(queries, supports, steps=0), queries)


def test_queries_do_not_know_of_each_other(network):
    supports = network.supports(rows(4, 8))
    torch.testing.assert_close(network.queries(rows(6, 9), supports)[:2], network.queries(rows(6, 9)[:2], supports))


def test_a_checkpoint_of_a_whole_model_gives_the_embeddings(network):
    whole = {**network.state_dict(), "feature.trunk.0.C.weight": torch.zeros(2, 1, 3, 3)}
    supports, queries = rows(4, 1), rows(2, 2)
    for found, expected in zip(full_context_of(whole)(supports, queries), network(supports, queries), strict=True):
        assert torch.equal(found, expected)


def test_a_checkpoint_without_embeddings_is_refused(network):
    with pytest.raises(WeightsError, match="no full context"):
        full_context_of({"feature.trunk.0.C.weight": torch.zeros(2, 1, 3, 3)})
    half = {name: tensor for name, tensor in network.state_dict().items() if "reverse" not in name}
    with pytest.raises(WeightsError, match="missing"):
        full_context_of(half)
