"""Convolutions in singular values: their factors, one kernel again, and which numbers move."""

import pytest
import torch
from torch import nn

from likewise.layers.singular import FactorisedConv2d, Factors, factorise, factors_of, kernel_of, merged, rank_of


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("shape", "rank"), [((64, 3, 3, 3), 24), ((12, 8, 1, 1), 8), ((4, 6, 3, 3), 4), ((3, 5, 1, 1), 1), ((2, 1, 1, 1), 1)])
def test_the_rank_is_rounded_down_to_a_multiple_of_four_and_is_at_least_one(shape, rank):
    assert rank_of(shape) == rank
    found = factors_of(noise(1, *shape))
    assert found.filters.shape == (rank, *shape[1:])
    assert found.strengths.shape == (1, rank, 1, 1)
    assert found.mixture.shape == (shape[0], rank, 1, 1)


def test_factors_of_full_rank_are_the_kernel_again():
    kernel = noise(2, 12, 8, 3, 3)
    torch.testing.assert_close(kernel_of(factors_of(kernel)), kernel, atol=1e-5, rtol=1e-5)


def test_what_the_rank_leaves_out_is_the_least():
    kernel = noise(3, 7, 2, 3, 1)  # six singular values, four kept
    left = torch.linalg.svdvals(kernel.flatten(1))[4:]
    apart = (kernel_of(factors_of(kernel)) - kernel).norm()
    torch.testing.assert_close(apart, left.norm(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("how", [{"stride": 2, "padding": 1}, {"dilation": 3, "padding": 3}, {"stride": (2, 1), "padding": (0, 1)}])
def test_a_factorised_convolution_is_that_of_the_merged_kernel(how):
    conv, x = nn.Conv2d(8, 12, 3, bias=False, **how), noise(4, 2, 8, 11, 13)
    torch.testing.assert_close(FactorisedConv2d(conv)(x), conv(x), atol=1e-4, rtol=1e-4)


def test_given_factors_are_kept_as_they_are():
    conv = nn.Conv2d(6, 5, 1, bias=False)
    given = Factors(noise(5, 3, 6, 1, 1), noise(6, 1, 3, 1, 1), noise(7, 5, 3, 1, 1))
    found = FactorisedConv2d(conv, given).state_dict()
    assert torch.equal(found["conv_V.weight"], given.filters)
    assert torch.equal(found["vector_S"], given.strengths)
    assert torch.equal(found["conv_U.weight"], given.mixture)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1, bias=False))


def test_a_network_taken_apart_answers_the_same_and_its_merged_tensors_are_those_of_the_plain_one():
    plain = network().eval()
    apart, x = network().eval(), noise(8, 2, 3, 9, 7)
    factorise(apart)
    torch.testing.assert_close(apart(x), plain(x), atol=1e-5, rtol=1e-4)
    tensors = merged(apart.state_dict())
    assert tensors.keys() == plain.state_dict().keys()
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(tensors[name], tensor, atol=1e-5, rtol=1e-4)


def test_a_network_takes_the_factors_of_a_checkpoint_by_full_name():
    first = network()
    factorise(first)
    second = network()
    factorise(second, {name: 2 * tensor if name.endswith("vector_S") else tensor for name, tensor in first.state_dict().items()})
    assert torch.equal(second.state_dict()["3.vector_S"], 2 * first.state_dict()["3.vector_S"])
    assert torch.equal(second.state_dict()["3.conv_U.weight"], first.state_dict()["3.conv_U.weight"])


def test_training_the_strengths_alone_moves_them_alone_and_keeps_the_directions():
    net, x = network(), noise(9, 4, 3, 9, 7)
    factorise(net)
    net.eval()
    strengths = [tensor for name, tensor in net.named_parameters() if name.endswith("vector_S")]
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.requires_grad_(False)
    for tensor in strengths:
        tensor.requires_grad_(True)
    optimiser = torch.optim.SGD(strengths, lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        net(x).square().mean().backward()
        optimiser.step()
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"0.vector_S", "3.vector_S"}
    assert sum(tensor.numel() for tensor in strengths) == 8 + 4
