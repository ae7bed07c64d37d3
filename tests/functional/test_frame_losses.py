"""Losses of the frame of HSNet and ASNet."""

import pytest
import torch

from likewise.functional.frame_losses import log_maps, mask_loss, presence_loss


def test_void_counts_nowhere_or_as_published_as_background():
    maps = torch.log_softmax(torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(1))
    void, background = labels.clone(), labels.clone()
    void[:, :2], background[:, :2] = 255, 0
    assert float(mask_loss(maps, void)) == pytest.approx(float(mask_loss(maps[:, :, 2:], labels[:, 2:])))
    assert float(mask_loss(maps, void, ignore=None)) == pytest.approx(float(mask_loss(maps, background)))
    assert float(mask_loss(maps, torch.full_like(labels, 255))) == 0


def test_the_loss_of_masks_is_the_mean_of_what_is_missing_to_certainty():
    maps = torch.tensor([0.2, 0.7]).log()[None, :, None, None].expand(1, 2, 2, 2)
    labels = torch.tensor([[[0, 1], [1, 1]]])
    expected = -(torch.tensor(0.2).log() + 3 * torch.tensor(0.7).log()) / 4
    assert float(mask_loss(maps, labels)) == pytest.approx(float(expected))


def test_the_loss_of_presence_takes_the_mean_of_logarithms_over_places():
    logits = torch.tensor([[0.0, 2.0], [1.0, -1.0]])[None, None, :, None]  # (1, 1, 2, 1, 2)
    maps = log_maps(logits)
    here, absent = (float(presence_loss(maps, torch.tensor([[flag]]))) for flag in (True, False))
    chances = torch.softmax(torch.tensor([[0.0, 1.0], [2.0, -1.0]]), dim=1)
    assert here == pytest.approx(float(-chances[:, 1].log().mean()))
    assert absent == pytest.approx(float(-chances[:, 0].log().mean()))
