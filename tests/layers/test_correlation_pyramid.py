"""Correlations and centre-pivot convolutions against their sums written out."""

import pytest
import torch
from torch.nn.functional import conv3d

from likewise.layers.center_pivot import CenterPivotConv4d
from likewise.layers.correlation_pyramid import correlations, masked, pooled_support, resize_query, unit


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_correlation_is_the_cosine_where_that_is_not_below_zero():
    query, support = noise(0, 2, 3, 5, 4, 6), noise(1, 2, 3, 5, 7, 2)
    found = correlations(unit(query), unit(support))
    expected = torch.cosine_similarity(query[..., :, :, None, None], support[..., None, None, :, :], dim=2).clamp(min=0)
    assert found.shape == (2, 3, 4, 6, 7, 2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
    assert (found == 0).any()


def test_places_outside_the_mask_are_correlated_with_nothing():
    masks = torch.zeros(2, 13, 13)
    masks[0, :7] = 2  # the number of a class: by how much does not matter
    masks[1] = 1
    level = noise(2, 2, 3, 5, 7, 7)
    found = unit(masked(level, masks))
    assert not found[0, :, :, 4:].any()
    torch.testing.assert_close(found[0, :, :, :3], unit(level)[0, :, :, :3], atol=1e-4, rtol=1e-4)
    assert torch.equal(found[1], unit(level[1]))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 4), (3, 1)])
def test_a_centre_pivot_convolution_is_that_over_three_axes_for_each_place_of_the_fourth(kernel, stride):
    """The same sums by a library's convolution over three axes, one of which has a kernel of one place."""
    torch.manual_seed(0)
    module = CenterPivotConv4d(2, 3, kernel, stride).requires_grad_(False)
    x, half = noise(3, 2, 2, 4, 5, 9, 7), kernel // 2
    found = module(x)
    rows, columns = -(-9 // stride), -(-7 // stride)
    assert found.shape == (2, 3, 4, 5, rows, columns)
    for s in range(rows):
        over_query = conv3d(x[..., stride * s, ::stride], module.conv1.weight[..., None], module.conv1.bias, padding=(half, half, 0))
        for place in ((0, 0), (3, 4), (2, 1)):
            over_support = conv3d(x[:, :, place[0], place[1]][:, :, None], module.conv2.weight[:, :, None], module.conv2.bias, stride, (0, half, half))
            torch.testing.assert_close(found[:, :, place[0], place[1], s], over_query[:, :, place[0], place[1]] + over_support[:, :, 0, s])


def test_one_module_takes_inputs_of_any_size_one_after_the_other():
    module = CenterPivotConv4d(1, 2, 3, 2).requires_grad_(False)
    large, small = noise(4, 1, 1, 3, 3, 9, 9), noise(5, 1, 1, 4, 2, 5, 8)
    first = module(small)
    module(large)
    assert torch.equal(module(small), first)


def test_only_large_maps_of_a_support_are_pooled_and_the_zeros_around_count():
    wide, narrow = torch.ones(1, 2, 6, 50), torch.ones(1, 2, 6, 49)
    found = pooled_support(wide)
    assert found.shape == (1, 2, 3, 25)
    assert float(found[0, 0, 1, 1]) == 1
    assert float(found[0, 0, 0, 0]) == pytest.approx(4 / 9)
    assert pooled_support(narrow) is narrow


def test_resizing_over_the_query_leaves_the_support_as_it_is():
    x = noise(6, 2, 3, 4, 5, 6, 7)
    found = resize_query(x, (8, 9))
    assert found.shape == (2, 3, 8, 9, 6, 7)
    for corner in (0, -1):
        torch.testing.assert_close(found[:, :, corner, corner], x[:, :, corner, corner])
    assert resize_query(x, (4, 5)) is x
