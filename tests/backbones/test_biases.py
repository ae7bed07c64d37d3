"""Bias sets: a batch of several tasks equals each task alone with a network of its own, for every kind of transformer."""

import copy

import pytest
import torch

from likewise.backbones import load_backbone
from likewise.backbones.biases import bias_names, chosen, equal_rows, repeated

NAMES = ["vit-tiny-14", "vit-tiny-8", "beit-tiny-8"]


def sets(network, rows):
    generator = torch.Generator().manual_seed(3)
    start = repeated(network, network.config.depth, rows)
    return {name: tensor + 0.3 * torch.randn(tensor.shape, generator=generator) for name, tensor in start.items()}


def some_images(network, count):
    side = 3 * network.config.patch
    return torch.randn(count, 3, side, side + network.config.patch, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_with_several_rows_equals_networks_with_these_biases(name):
    network = load_backbone(f"random:{name}").network
    biases, images, rows = sets(network, 3), some_images(network, 4), [2, 0, 2, 1]
    with torch.no_grad():
        together = network(images, (0, -1), biases=chosen(biases, rows), facets=("q",))
        for place, row in enumerate(rows):
            own = copy.deepcopy(network)
            own.load_state_dict({key: tensor[row] for key, tensor in biases.items()}, strict=False)
            for found, expected in zip(together, own(images[place : place + 1], (0, -1), facets=("q",)), strict=True):
                torch.testing.assert_close(found[place : place + 1], expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_repeated_own_biases_change_nothing_and_nothing_is_written_into_the_network(name):
    network = load_backbone(f"random:{name}").network
    before, images = copy.deepcopy(network.state_dict()), some_images(network, 2)
    with torch.no_grad():
        torch.testing.assert_close(network(images, ()), network(images, (), biases=chosen(repeated(network, network.config.depth, 5), [4, 1])))
        network(images, (), biases=chosen(sets(network, 2), [0, 1]))
    assert all(torch.equal(tensor, network.state_dict()[key]) for key, tensor in before.items())


def test_gradients_reach_the_rows_that_a_batch_uses_and_no_others():
    network = load_backbone("random:beit-tiny-8").network
    biases = {name: tensor.requires_grad_() for name, tensor in sets(network, 4).items()}
    network(some_images(network, 2), (-1,), biases=chosen(biases, [3, 1]))[0].square().sum().backward()
    for name, tensor in biases.items():
        moved = tensor.grad.abs().sum(dim=1) > 0
        assert moved.tolist() == [False, True, False, True], name


def test_a_branch_that_is_dropped_adds_nothing_and_the_others_are_scaled():
    network = load_backbone("random:beit-tiny-8").network
    images, depth = some_images(network, 2), network.config.depth
    with torch.no_grad():
        nothing = network(images, (-1,), kept=torch.zeros(depth, 2, 2))[0]
        torch.testing.assert_close(nothing, network.embed(images, network.position((3, 4))))
        one_off = torch.ones(depth, 2, 2)
        one_off[:, :, 1] = 0
        mixed = network(images, (-1,), kept=one_off)[0]
        torch.testing.assert_close(mixed[0], network(images, (-1,))[0][0])
        torch.testing.assert_close(mixed[1], nothing[1])


def test_equal_rows_are_found_only_where_every_set_is_equal():
    one = torch.tensor([[1.0, 2], [1, 2], [1, 2], [3, 4]])
    other = torch.tensor([[0.0], [5], [0], [0]])
    assert equal_rows({"a": one, "b": other}) == [0, 1, 0, 3]


def test_the_names_are_those_of_the_network():
    network = load_backbone("random:vit-tiny-8").network
    known = dict(network.named_parameters())
    assert len(bias_names(network.config.depth)) == 5 * network.config.depth
    assert set(bias_names(network.config.depth)) <= known.keys()
