"""Masks and tokens: the mean of a mask, and what masks together say of a place."""

import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.proposals.source import Proposals, covered_mean, token_means


def test_the_mean_token_of_a_mask_is_that_of_the_patches_below_it():
    tokens = torch.nn.functional.normalize(torch.randn(1, 6, 5, generator=torch.Generator().manual_seed(0)), dim=-1)
    masks = torch.zeros(2, 4, 9)
    masks[0, :2, :3] = 1  # the first patch of 2 x 3
    masks[1, 2:, 3:] = 1  # the last two
    found = token_means(ImageFeatures(tokens, torch.zeros(1, 1, 5), (2, 3), (40, 90)), Proposals(masks))
    assert found[0].tolist() == pytest.approx(tokens[0, 0].tolist(), abs=1e-6)
    assert found[1].tolist() == pytest.approx(torch.nn.functional.normalize(tokens[0, 4] + tokens[0, 5], dim=0).tolist(), abs=1e-6)


def test_a_place_takes_the_weighted_mean_of_the_masks_that_cover_it():
    masks = torch.tensor([[[1.0, 1.0, 0.0]], [[0.0, 1.0, 0.0]]])
    found = covered_mean(Proposals(masks), torch.tensor([[0.2, 0.8], [0.6, 0.4]]), torch.tensor([3.0, 1.0]))
    assert found[:, 0, 0].tolist() == pytest.approx([0.2, 0.8])
    assert found[:, 0, 1].tolist() == pytest.approx([0.3, 0.7])
    assert found[:, 0, 2].tolist() == [1.0, 0.0]


def test_without_proposals_everything_is_background():
    found = covered_mean(Proposals(torch.zeros(0, 3, 5)), torch.zeros(0, 4), torch.zeros(0))
    assert found[0].eq(1).all()
    assert found[1:].eq(0).all()
