"""Winograd's way gives what a plain convolution gives, at any size."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.functional.winograd import convolved, pays, transformed

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.integers(1, 14), st.integers(1, 14))


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=60)
@given(SIZES, st.integers(0, 1000))
def test_it_equals_a_plain_convolution_of_any_size(sizes, seed):
    batch, channels, out, height, width = sizes
    maps, kernels, bias = drawn(seed, batch, channels, height, width), drawn(seed + 1, out, channels, 3, 3), drawn(seed + 2, out)
    plain = torch.nn.functional.conv2d(maps.double(), kernels.double(), bias.double(), padding=1)
    added = torch.nn.functional.conv2d(maps.abs(), kernels.abs(), bias.abs(), padding=1).max()  # rounding is a share of what is added up
    error = (convolved(maps, transformed(kernels), bias).double() - plain).abs().max()
    assert error <= 24 * torch.finfo(torch.float32).eps * added  # 16.4 was the most in 6,000 draws


def test_its_rounding_error_is_that_of_a_plain_convolution():
    maps, kernels = drawn(0, 1, 256, 28, 24), drawn(1, 40, 256, 3, 3) / 48
    exact = torch.nn.functional.conv2d(maps.double(), kernels.double(), padding=1)
    errors = [(found - exact).abs().max() for found in (convolved(maps, transformed(kernels)), torch.nn.functional.conv2d(maps, kernels, padding=1))]
    assert errors[0] < 8 * errors[1] + 1e-6  # a processor that adds and multiplies in one step rounds plain convolutions half as much


def test_nothing_that_goes_in_is_changed():
    maps, kernels, bias = drawn(0, 2, 3, 9, 7), transformed(drawn(1, 4, 3, 3, 3)), drawn(2, 4)
    before = [tensor.clone() for tensor in (maps, kernels, bias)]
    convolved(maps, kernels, bias)
    assert all(torch.equal(one, other) for one, other in zip(before, (maps, kernels, bias), strict=True))


@pytest.mark.parametrize(
    ("side", "channels", "dtype", "trained", "expected"),
    [
        (56, 256, torch.float32, False, True),
        (7, 256, torch.float32, False, False),
        (56, 24, torch.float32, False, False),
        (56, 256, torch.bfloat16, False, False),
        (56, 256, torch.float32, True, False),
    ],
)
def test_it_pays_on_large_maps_of_many_channels_under_frozen_kernels(side, channels, dtype, trained, expected):
    kernels = torch.zeros(96, channels, 3, 3, dtype=dtype, requires_grad=trained)
    assert pays(torch.zeros(1, channels, side, side + 1, dtype=dtype), kernels) is expected


def test_maps_that_need_gradients_go_the_plain_way():
    kernels, maps = torch.zeros(96, 96, 3, 3), torch.zeros(1, 96, 56, 56, requires_grad=True)
    assert not pays(maps, kernels)
    with torch.no_grad():
        assert pays(maps, kernels)
