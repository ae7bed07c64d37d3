"""Losses of MM-Former against slow forms: sets of masks, soft IoU, dice, contrast."""

from itertools import permutations

import pytest
import torch
from mm_small import noise

from likewise.methods.mm_former.objective import SetLoss, contrast, dice_of_both, few_shot_dice, sampled, set_loss, soft_iou, unsure_points


def uniform(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda shape: torch.rand(*shape, generator=generator)


def blobs(seed, count, size=(20, 24)):
    return (torch.nn.functional.interpolate(noise(seed, 1, count, 4, 5), size=size, mode="bilinear")[0] > 0).float()


def test_soft_iou_of_masks_that_are_sure_is_the_iou():
    masks, label = blobs(1, 5)[None], blobs(2, 1)
    found = soft_iou(masks, label)[0]
    for index in range(5):
        both, either = (masks[0, index] * label[0]).sum(), ((masks[0, index] + label[0]) > 0).sum()
        torch.testing.assert_close(found[index], both / either, atol=1e-5, rtol=1e-5)


def test_soft_iou_enlarges_the_masks_and_of_an_empty_label_is_nothing():
    masks = blobs(3, 4, (10, 12))[None]
    assert soft_iou(masks, blobs(4, 1)).shape == (1, 4)
    assert (soft_iou(masks, torch.zeros(1, 20, 24)) == 0).all()


def test_proposals_are_matched_with_targets_so_that_the_whole_cost_is_least():
    logits, targets = 3 * noise(5, 1, 4, 10, 12), blobs(6, 3)
    found = set_loss(logits, [targets], uniform(), SetLoss(points=60))
    cost, pairs = found.costs[0], found.pairs[0]
    own = float(cost[pairs[0], pairs[1]].sum())
    least = min(sum(float(cost[proposal, target]) for target, proposal in enumerate(order)) for order in permutations(range(4), 3))
    assert own == pytest.approx(least, rel=1e-5)


def test_the_cost_is_the_mean_cross_entropy_and_the_dice_at_the_points():
    logits, targets, config = 2 * noise(7, 1, 3, 10, 12), blobs(8, 2), SetLoss(points=40, weight_mask=2.0, weight_dice=7.0)
    found = set_loss(logits, [targets], uniform(9), config)
    places = uniform(9)([1, 40, 2])
    for proposal in range(3):
        for target in range(2):
            x = sampled(logits[0, proposal][None, None], places)[0, 0]
            t = sampled(targets[target][None, None], places)[0, 0]
            p = x.sigmoid()
            entropy = -(t * p.log() + (1 - t) * (1 - p).log()).mean()
            dice = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
            torch.testing.assert_close(found.costs[0][proposal, target], 2 * entropy + 7 * dice, atol=1e-4, rtol=1e-4)


def test_right_masks_lose_nothing_and_wrong_ones_much():
    targets = blobs(10, 2)
    right = 40 * (2 * targets - 1)
    good, bad = (set_loss(x[None], [targets], uniform(), SetLoss(points=50)) for x in (right, -right))
    assert good.pairs[0].tolist() == [[0, 1], [0, 1]]
    assert bad.mask > 4 * good.mask
    assert bad.dice > good.dice + 0.3


def test_images_of_a_batch_have_targets_of_their_own():
    logits, targets = noise(11, 2, 5, 10, 12), [blobs(12, 1), blobs(13, 3)]
    found = set_loss(logits, targets, uniform(), SetLoss(points=30))
    assert [pair.shape for pair in found.pairs] == [(2, 1), (2, 3)]


def test_points_lie_where_masks_are_least_sure():
    slope = torch.linspace(-8, 8, 40).expand(1, 1, 30, 40).contiguous()
    found = unsure_points(slope, uniform(), SetLoss(points=100))
    assert found.shape == (1, 100, 2)
    keen, rest = found[0, :75, 0], found[0, 75:, 0]
    assert (keen - 0.5).abs().mean() < 0.5 * (rest - 0.5).abs().mean()


def test_places_are_x_and_y_of_pixel_edges_and_nothing_lies_outside():
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    found = sampled(x, torch.tensor([[[0.125, 0.5], [0.875, 1 / 6], [1.5, 0.5]]]))
    torch.testing.assert_close(found[0, 0], torch.tensor([4.0, 3.0, 0.0]))


def test_the_few_shot_dice_adds_background_and_foreground_of_each_image():
    foreground, label = noise(14, 2, 6, 7).sigmoid(), blobs(15, 2, (6, 7))
    slow = 0.0
    for one, truth in zip(foreground, label, strict=True):
        for answer, wanted in ((one, truth), (1 - one, 1 - truth)):
            slow += 1 - 2 * (answer * wanted).sum() / (answer.square().sum() + wanted.square().sum())
    torch.testing.assert_close(few_shot_dice(foreground, label), slow / 2)
    both = torch.stack([1 - foreground, foreground], dim=1)
    torch.testing.assert_close(few_shot_dice(foreground, label, official=True), dice_of_both(both.sigmoid(), label))


def test_unknown_pixels_have_no_part_unless_as_published():
    foreground, label, known = noise(16, 1, 6, 7).sigmoid(), blobs(17, 1, (6, 7)), torch.ones(1, 6, 7, dtype=torch.bool)
    known[:, 2:4] = False
    changed = torch.where(known, foreground, 1 - foreground)
    assert torch.equal(few_shot_dice(foreground, label, known), few_shot_dice(changed, label, known))
    assert not torch.equal(few_shot_dice(foreground, label, known, official=True), few_shot_dice(changed, label, known, official=True))


def test_contrast_draws_the_best_up_and_the_worst_down_and_no_other():
    similarity, quality = noise(18, 2, 5).requires_grad_(), torch.tensor([[0.2, 0.9, 0.1, 0.4, 0.3], [0.8, 0.1, 0.4, 0.3, 0.2]])
    loss, pair = contrast(similarity, quality)
    spread = (similarity - similarity.amin(dim=1, keepdim=True)) / (similarity.amax(dim=1, keepdim=True) - similarity.amin(dim=1, keepdim=True) + 1e-8)
    torch.testing.assert_close(pair, torch.stack([spread[[0, 1], [2, 1]], spread[[0, 1], [1, 0]]], dim=1))
    slow = torch.stack([-(1 - pair[:, 0]).log().clamp_min(-100), -pair[:, 1].log().clamp_min(-100)]).mean()
    torch.testing.assert_close(loss, slow)


def test_contrast_is_nothing_where_the_best_has_the_highest_cosine_and_the_worst_the_lowest():
    quality = torch.tensor([[0.1, 0.5, 0.9]])
    assert contrast(torch.tensor([[-0.3, 0.2, 0.8]]), quality)[0] < 1e-6
    assert contrast(torch.tensor([[0.8, 0.2, -0.3]]), quality)[0] > 10
