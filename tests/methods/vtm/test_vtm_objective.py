"""The loss of VTM: which channels take which, and over which pixels it is a mean."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from likewise.methods.vtm.objective import hybrid_loss


def maps(seed):
    return torch.rand(3, 2, 5, 7, generator=torch.Generator().manual_seed(seed))


def test_classes_take_the_entropy_and_values_the_absolute_error():
    logits, target, known = maps(0) * 4 - 2, maps(1), torch.ones(3, 2, 5, 7)
    kinds = torch.tensor([True, False, False])[:, None]
    expected = (binary_cross_entropy_with_logits(logits[:1], target[:1]) + 2 * (logits[1:].sigmoid() - target[1:]).abs().mean()) / 3
    torch.testing.assert_close(hybrid_loss(logits, target, known, kinds), expected)


def test_unknown_pixels_are_left_out_of_the_mean_or_count_as_zero():
    logits, target, known = maps(0), maps(1), (maps(2) > 0.5).float()
    kinds = torch.zeros(3, 1, dtype=torch.bool)
    plain, official = hybrid_loss(logits, target, known, kinds), hybrid_loss(logits, target, known, kinds, official=True)
    torch.testing.assert_close(official, plain * known.mean())
    changed = torch.where(known.bool(), target, 1 - target)
    assert hybrid_loss(logits, changed, known, kinds) == plain


def test_nothing_known_is_no_loss_and_no_gradient():
    logits = maps(0).requires_grad_()
    loss = hybrid_loss(logits, maps(1), torch.zeros(3, 2, 5, 7), torch.ones(3, 1, dtype=torch.bool))
    loss.backward()
    assert loss.item() == pytest.approx(0)
    assert not logits.grad.any()
