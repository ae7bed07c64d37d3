"""Correlation tokens against loops over layers, heads and places."""

import pytest
import torch

from likewise.functional.resize import resize_corners
from likewise.layers.correlation import correlation, hidden_tokens, pool_square, square_side, unit_query, unit_support

X, L, A, D, GRID, SIDE = 2, 3, 2, 10, (5, 7), 4


def tokens(seed, count):
    return torch.randn(X, L, count, D, generator=torch.Generator().manual_seed(seed))


def test_channels_go_through_the_layers_of_one_head_before_those_of_the_next():
    query, patches, first = tokens(0, 6), tokens(1, 35), tokens(2, 1)[:, :, 0]
    found = correlation(unit_query(query, A), unit_support(first, patches, GRID, SIDE, A))
    assert found.shape == (X, A * L, 6, 1 + SIDE * SIDE)
    for head in range(A):
        for layer in range(L):
            part = slice(5 * head, 5 * head + 5)
            mine = query[1, layer, 4, part]
            small = resize_corners(patches[1, layer].T.reshape(D, *GRID), (SIDE, SIDE))[part, 2, 3]
            channel = found[1, head * L + layer, 4]
            torch.testing.assert_close(channel[0], torch.cosine_similarity(mine, first[1, layer, part], dim=0))
            torch.testing.assert_close(channel[1 + 2 * SIDE + 3], torch.cosine_similarity(mine, small, dim=0))


def test_support_tokens_have_length_one_in_every_head():
    found = unit_support(tokens(2, 1)[:, :, 0], tokens(1, 35), GRID, SIDE, A)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(X, L, A, 1 + SIDE * SIDE))


def test_patches_that_are_not_the_grid_are_refused():
    with pytest.raises(ValueError, match="34 patches are no grid of 5x7"):
        unit_support(tokens(2, 1)[:, :, 0], tokens(1, 34), GRID, SIDE, A)


def test_pooling_leaves_the_first_token_and_averages_blocks():
    x = torch.arange(26.0).reshape(2, 13, 1).permute(0, 2, 1)[..., :10].repeat(1, 3, 1)
    found = pool_square(x, 2)
    assert found.shape == (2, 3, 2)
    assert found[1, 2].tolist() == [13.0, (14 + 15 + 17 + 18) / 4]


def test_support_tokens_that_are_no_square_are_refused():
    assert square_side(10) == 3
    for count in (1, 9, 12):
        with pytest.raises(ValueError, match=f"{count} support tokens"):
            square_side(count)


def test_a_token_is_hidden_only_where_the_mask_does_not_touch_its_point():
    masks = torch.zeros(3, 21, 31)
    masks[0, 0, 0] = 3  # the first corner, whatever the value
    masks[1, 10, 15] = 1  # the centre
    masks[2, 5, 6] = 1  # between the points
    assert (~hidden_tokens(masks, 3)).int().tolist() == [[1, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0, 0, 0], [0] * 9]


def test_a_mask_that_touches_a_point_by_a_part_leaves_it_visible():
    masks = torch.zeros(1, 22, 32)
    masks[0, 10, 15] = 1  # one of the four pixels around the middle point
    assert (~hidden_tokens(masks, 3)).flatten().nonzero().tolist() == [[4]]
