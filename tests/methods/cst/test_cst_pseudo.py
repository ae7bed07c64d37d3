"""Pseudo masks and their enhancer."""

import pytest
import torch

from likewise.functional.walks import LARGEST, two_groups
from likewise.methods.cst.enhancer import enhancer_loss, new_enhancer
from likewise.methods.cst.pseudo import head_cosines, pseudo_masks, walk_mask, walk_values


def test_cosines_are_taken_head_by_head():
    query, keys = torch.randn(2, 3, 5), torch.randn(2, 3, 7, 5)
    found = head_cosines(query, keys)
    assert found.shape == (2, 3, 7)
    torch.testing.assert_close(found[1, 2, 6], torch.cosine_similarity(query[1, 2], keys[1, 2, 6], dim=0))


def test_masks_are_resized_before_they_are_cut():
    cosines = torch.tensor([[[-1.0, 0.6]]])
    found = pseudo_masks(cosines, (1, 5))  # -1, -0.6, -0.2, 0.2, 0.6; from (x + 1) / 2 > 0.4, that is x > -0.2
    assert found.int().tolist()[0][0][:2] == [0, 0]
    assert found.int().tolist()[0][0][3:] == [1, 1]
    assert pseudo_masks(cosines, (1, 5), threshold=0.7).int().tolist() == [[[0, 0, 0, 0, 1]]]


def test_the_enhancer_learns_what_no_mean_over_heads_can_say():
    generator = torch.Generator().manual_seed(0)
    cosines = torch.rand(6, 3, 9, 11, generator=generator) * 2 - 1
    masks = torch.nn.functional.interpolate((cosines[:, 1:2] > cosines[:, 2:3]).float(), size=(18, 22))[:, 0]
    enhancer = new_enhancer(3)
    optimiser = torch.optim.Adam(enhancer.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        losses.append(enhancer_loss(enhancer(cosines), masks))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]
    found = enhancer.masks(cosines, (18, 22))
    assert (found == (masks > 0)).float().mean() > 0.85


def test_unknown_pixels_teach_the_enhancer_nothing():
    logits = torch.randn(2, 3, 4)
    masks = torch.randint(0, 2, (2, 3, 4))
    part = masks.clone()
    part[0] = 255
    assert torch.isclose(enhancer_loss(logits, part), enhancer_loss(logits[1:], masks[1:]))
    assert float(enhancer_loss(logits, torch.full((2, 3, 4), 255))) == 0


def scene(place, grid=(9, 11), width=6):
    """Tokens (P, D) of an object at `place` (rows, columns) before a background of two kinds, a little noise on all."""
    kinds = torch.ones(grid, dtype=torch.long)
    kinds[:, : grid[1] // 2] = 2
    kinds[place] = 0
    noise = torch.randn(grid[0] * grid[1], width, generator=torch.Generator().manual_seed(0))
    return torch.eye(width)[kinds.flatten()] + 0.05 * noise, kinds == 0


def test_a_walk_stays_longest_in_what_does_not_look_like_the_border():
    tokens, truth = scene((slice(2, 6), slice(3, 8)))
    assert torch.equal(walk_mask(tokens, (9, 11), (9, 11)), truth)
    assert walk_mask(tokens.half(), (9, 11), (45, 30)).shape == (45, 30)


def test_what_reaches_the_border_is_left_sooner():
    inside, _ = scene((slice(2, 6), slice(3, 8)))
    across, truth = scene((slice(2, 9), slice(3, 8)))
    assert walk_values(across, (9, 11))[truth].mean() < 0.5 * walk_values(inside, (9, 11))[truth].mean()


def test_where_nothing_stands_out_the_whole_picture_is_the_mask():
    assert walk_mask(torch.ones(12, 5), (3, 4), (6, 8)).any()
    assert walk_mask(torch.ones(2, 5), (1, 2), (6, 8)).all()
    assert walk_mask(torch.ones(1, 5), (1, 1), (6, 8)).all()


def test_a_large_grid_is_walked_on_a_smaller_one():
    grid = (3 * LARGEST // 2, 2 * LARGEST)
    tokens, truth = scene((slice(12, 36), slice(20, 44)), grid)
    assert walk_values(tokens, grid).shape == (LARGEST, LARGEST)
    found = walk_mask(tokens, grid, grid)
    assert (found & truth).sum() / (found | truth).sum() > 0.85


def test_values_are_cut_where_both_groups_are_most_uniform():
    assert float(two_groups(torch.tensor([1.0, 9.0, 1.2, 8.8, 1.1]))) == pytest.approx(5.0)
