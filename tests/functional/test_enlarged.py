"""A convolution of an enlarged map equals enlarging first, in values and gradients."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.functional.enlarged import enlarged_convolved, pays
from likewise.functional.resize import resize_corners


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plainly(maps, kernels, bias, size):
    return torch.nn.functional.conv2d(resize_corners(maps, size), kernels, bias, padding=1)


@settings(max_examples=60)
@given(st.integers(1, 3), st.integers(6, 9), st.integers(1, 5), st.integers(1, 11), st.integers(1, 12), st.integers(1, 150), st.integers(1, 130))
def test_it_equals_enlarging_first(batch, channels, out, height, width, tall, wide):
    maps, kernels, bias = (part.double() for part in (drawn(1, batch, channels, height, width), drawn(2, out, channels, 3, 3), drawn(3, out)))
    assert pays(maps)
    found = enlarged_convolved(maps, kernels, bias, (tall, wide))
    torch.testing.assert_close(found, plainly(maps, kernels, bias, (tall, wide)), atol=1e-11, rtol=1e-11)


def test_where_it_does_not_pay_it_is_the_plain_way():
    maps, kernels, bias = drawn(1, 1, 2, 5, 7), drawn(2, 3, 2, 3, 3), drawn(3, 3)
    assert not pays(maps)
    assert torch.equal(enlarged_convolved(maps, kernels, bias, (10, 14)), plainly(maps, kernels, bias, (10, 14)))


def test_gradients_are_those_of_enlarging_first():
    given = [drawn(seed, *shape) for seed, shape in enumerate(((2, 8, 5, 7), (3, 8, 3, 3), (3,)))]
    weight = drawn(9, 2, 3, 10, 14)
    gradients = []
    for form in (enlarged_convolved, plainly):
        own = [tensor.clone().requires_grad_() for tensor in given]
        (form(*own, (10, 14)) * weight).sum().backward()
        gradients.append([tensor.grad for tensor in own])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-5)
