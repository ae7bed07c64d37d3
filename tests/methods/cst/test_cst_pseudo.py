"""Pseudo masks and their enhancer."""

import torch

from likewise.methods.cst.enhancer import enhancer_loss, new_enhancer
from likewise.methods.cst.pseudo import head_cosines, pseudo_masks


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
