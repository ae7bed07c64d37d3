"""The rules of PANet against the sums that they stand for."""

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy, interpolate

from likewise.methods.panet.model import (
    SCALE,
    alignment_loss,
    averaged_prototypes,
    cells_under,
    enlarged_mean,
    known_entropy,
    peak_log,
    pooled_prototypes,
    scores,
    weights_under,
)

N, K, D, GRID, SIZE = 2, 3, 5, (4, 6), (17, 22)


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(N, K, D, *GRID, generator=generator)
    masks = (torch.rand(N, K, *SIZE, generator=generator) > 0.7).float()
    return maps, masks, (1 - masks) * (torch.rand(N, K, *SIZE, generator=generator) > 0.2)


def enlarged(maps):
    return interpolate(maps.flatten(0, -4), size=SIZE, mode="bilinear", align_corners=False).reshape(*maps.shape[:-2], *SIZE)


def test_the_mean_under_a_mask_is_that_of_the_enlarged_maps(drawn):
    maps, masks, _ = drawn
    expected = (enlarged(maps) * masks[:, :, None]).sum((-2, -1)) / (masks.sum((-2, -1))[..., None] + 1e-5)
    torch.testing.assert_close(enlarged_mean(maps, masks), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(weights_under(masks, GRID).sum((-2, -1)), masks.sum((-2, -1)))


def test_the_original_averages_images_and_the_other_form_pools_their_places(drawn):
    maps, masks, background = drawn
    classes, ground = averaged_prototypes(maps, masks, background)
    single = [enlarged_mean(maps[1, k], masks[1, k]) for k in range(K)]
    torch.testing.assert_close(classes[1], torch.stack(single).mean(0))
    torch.testing.assert_close(ground[0], enlarged_mean(maps, background).reshape(-1, D).mean(0))
    rows = maps.flatten(-2).transpose(-1, -2).flatten(1, 2)  # (N, K h w, D)
    cells = cells_under(masks, GRID).flatten(1).float()
    cells[1, : 2 * GRID[0] * GRID[1]] *= torch.rand(2 * GRID[0] * GRID[1]) > 0.8  # the last image covers most
    pooled, ground = pooled_prototypes(rows, cells, 1 - cells)
    torch.testing.assert_close(pooled[1], rows[1][cells[1] > 0].mean(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ground[0], rows[cells == 0].mean(0), atol=1e-5, rtol=1e-5)
    _, lazy = pooled_prototypes(rows, cells, 1 - cells, lazy=True)
    torch.testing.assert_close(lazy[1], rows[1][cells[1] == 0].mean(0), atol=1e-5, rtol=1e-5)


def test_places_of_all_images_may_be_one_heap_for_all_classes():
    rows, shares, background = torch.randn(7, D), torch.rand(N, 7), torch.rand(N, 7)
    apart = pooled_prototypes(rows.expand(N, -1, -1), shares, background)
    together = pooled_prototypes(rows[None], shares, background)
    for one, other in zip(apart, together, strict=True):
        torch.testing.assert_close(one, other)


def test_scores_are_scaled_cosines_and_those_with_several_backgrounds_are_averaged():
    rows, classes, grounds = torch.randn(7, D), torch.randn(N, D), torch.randn(3, D)
    found = scores(rows, classes, grounds)
    torch.testing.assert_close(found[:, 2], SCALE * cosine_similarity(rows, classes[1], dim=1))
    expected = sum(SCALE * cosine_similarity(rows, ground, dim=1) for ground in grounds) / 3
    torch.testing.assert_close(found[:, 0], expected)


def test_a_mask_touches_every_place_that_a_sample_of_it_reaches():
    mask = torch.zeros(50, 50)
    mask[22, 22] = 1
    assert cells_under(mask, (26, 26)).sum() == 1
    assert cells_under(mask, (13, 13)).sum() == 0  # a single pixel between the samples is not seen
    mask[20:28, 20:28] = 1
    assert 3 <= cells_under(mask, (13, 13)).sum() <= 9


def test_presence_is_of_the_likeliest_place_and_not_of_the_background():
    maps = torch.log(torch.tensor([0.9, 0.1, 0.0001])).reshape(3, 1, 1).repeat(1, 2, 3)
    maps[1, 1, 2] = torch.log(torch.tensor(0.6))
    torch.testing.assert_close(peak_log(maps).exp(), torch.tensor([0.6, 0.0001]))


def test_the_loss_turned_around_is_of_classes_that_were_found_and_of_known_pixels(drawn):
    support, masks, background = drawn
    generator = torch.Generator().manual_seed(1)
    query, answer = torch.randn(1, D, *GRID, generator=generator), torch.randn(1, 1 + N, *GRID, generator=generator)
    answer[:, 2] = -9.0  # the second class is found nowhere
    chosen = answer.argmax(1)[0]
    assert set(chosen.unique().tolist()) == {0, 1}
    prototypes = [query[0][:, chosen == place].mean(1) for place in (0, 1)]
    expected = torch.zeros(())
    for k in range(K):
        logits = torch.stack([SCALE * cosine_similarity(support[0, k], prototype[:, None, None], dim=0) for prototype in prototypes])
        truth = torch.full(SIZE, 255)
        truth[background[0, k] == 1] = 0
        truth[masks[0, k] == 1] = 1
        assert (truth == 255).any()
        expected = expected + cross_entropy(enlarged(logits[None]), truth[None], ignore_index=255) / K / N
    torch.testing.assert_close(alignment_loss(query, answer, support, masks, background), expected, atol=1e-4, rtol=1e-4)


def test_where_nothing_is_known_the_loss_is_nothing():
    logits = torch.randn(1, 3, 4, 5, requires_grad=True)
    loss = known_entropy(logits, torch.full((1, 4, 5), 255))
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
