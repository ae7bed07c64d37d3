"""The network of MM-Former: images and supports apart or together, shots, what is empty, alignments left out."""

from dataclasses import replace

import pytest
import torch
from mm_small import MATCHING, labels, maps, noise, small_matcher

from likewise.methods.mm_former.alignment import CrossAlignment, keeps_size, memory_size, self_aligned, sine_position
from likewise.methods.mm_former.matching import Matching, Side, View, merged, proposal_means, support_side
from likewise.methods.mm_former.model import expected

SIZE = (96, 112)


@pytest.fixture(scope="module")
def module():
    return small_matcher()


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def shot(module, seed, batch=1, grid=(12, 14)):
    return module.shown(maps(seed, batch, grid), labels(seed, batch))


def close(one, two, atol=1e-5):
    torch.testing.assert_close(one, two, atol=atol, rtol=1e-4)


def test_several_queries_in_one_call_are_answered_as_if_each_were_alone(module):
    together = module.answered(module.viewed(maps(1, 3)), [shot(module, 2, 3), shot(module, 3, 3)], SIZE)
    assert together.foreground.std() > 0.01
    for index in range(3):
        query = [x[index : index + 1] for x in maps(1, 3)]
        own = [module.shown([x[index : index + 1] for x in maps(seed, 3)], labels(seed, 3)[index : index + 1]) for seed in (2, 3)]
        alone = module.answered(module.viewed(query), own, SIZE)
        close(alone.foreground[0], together.foreground[index])
        close(alone.prototype[0], together.prototype[index])


def test_proposals_do_not_depend_on_the_support_and_a_support_not_on_the_query(module):
    view, one, two = module.viewed(maps(1)), shot(module, 2), shot(module, 3)
    first, second = module.answered(view, [one], SIZE), module.answered(view, [two], SIZE)
    assert not torch.allclose(first.similarity, second.similarity, atol=1e-4)
    close(module.answered(module.viewed(maps(1)), [one], SIZE).foreground, first.foreground)


def test_supports_of_a_batch_are_those_of_each_image(module):
    together = module.shown(maps(2, 2), labels(2, 2))
    for index in range(2):
        alone = module.shown([x[index : index + 1] for x in maps(2, 2)], labels(2, 2)[index : index + 1])
        for one, two in zip(alone, together, strict=True):
            for part in ("map", "place", "small", "small_place", "mask", "weight"):
                close(getattr(one, part)[0], getattr(two, part)[index])


def test_duplicates_of_a_support_are_one(module):
    view, one = module.viewed(maps(1)), shot(module, 2)
    close(module.answered(view, [one] * 4, SIZE).foreground, module.answered(view, [one], SIZE).foreground)


def test_shots_are_means_of_prototypes_on_both_sides_before_they_are_compared(module):
    view, shots = module.viewed(maps(1)), [shot(module, seed) for seed in (2, 3, 4)]
    alone = [module.answered(view, [each], SIZE) for each in shots]
    together = module.answered(view, shots, SIZE)
    close(together.prototype, torch.stack([each.prototype for each in alone]).mean(dim=0))
    asked = torch.stack([proposal_means(module.matching.aligned(view.sides, each)[0], view.proposals, eps=1e-6) for each in shots]).mean(dim=0)
    close(together.similarity, torch.nn.functional.cosine_similarity(asked, together.prototype[:, None], dim=2))
    assert not torch.allclose(together.similarity, torch.stack([each.similarity for each in alone]).mean(dim=0), atol=1e-4)


def test_the_order_of_shots_does_not_matter(module):
    view, shots = module.viewed(maps(1)), [shot(module, seed) for seed in (2, 3, 4)]
    close(module.answered(view, shots, SIZE).foreground, module.answered(view, shots[::-1], SIZE).foreground)


def test_a_hundred_shots_run_with_the_weights_of_one(module):
    view, shots = module.viewed(maps(1)), [shot(module, seed % 9) for seed in range(100)]
    found = module.answered(view, shots, SIZE)
    assert found.foreground.isfinite().all()
    few = torch.stack([module.answered(view, [shots[seed]], SIZE).prototype for seed in range(9)])
    counts = torch.tensor([12.0] + [11.0] * 8)[:, None, None] / 100
    close(found.prototype, (counts * few).sum(dim=0))


@pytest.mark.parametrize("official", [True, False])
def test_an_empty_support_is_like_nothing_and_the_answer_stays_finite(module, official):
    view = module.viewed(maps(1))
    empty = module.shown(maps(2), torch.zeros(1, 48, 56))
    found = module.answered(view, [empty], SIZE, official=official)
    assert (found.similarity == 0).all()
    assert found.foreground.isfinite().all()
    close(found.coefficients, module.matching.coefficients(torch.zeros(1, 7)))


def test_an_empty_support_beside_another_adds_nothing_to_the_prototype_but_its_queries_count(module):
    view, one, empty = module.viewed(maps(1)), shot(module, 2), module.shown(maps(3), torch.zeros(1, 48, 56))
    alone, both = module.answered(view, [one], SIZE), module.answered(view, [one, empty], SIZE)
    close(both.prototype, alone.prototype / 2)
    assert not torch.allclose(both.similarity, alone.similarity, atol=1e-4)


def test_a_proposal_that_is_nowhere_is_no_number_as_published_and_matches_nothing_else(module):
    view = module.viewed(maps(1))
    proposals = view.proposals.clone()
    proposals[:, 2] = 0
    gone = View(view.sides, proposals)
    assert module.answered(gone, [shot(module, 2)], SIZE, official=True).foreground.isnan().all()
    found = module.answered(gone, [shot(module, 2)], SIZE)
    assert found.foreground.isfinite().all()
    assert found.similarity[0, 2] == 0


def test_without_any_proposal_nothing_is_found(module):
    view = module.viewed(maps(1))
    found = module.answered(View(view.sides, torch.zeros_like(view.proposals)), [shot(module, 2)], SIZE)
    assert (found.foreground == 0).all()


def test_alignment_with_each_other_can_be_left_out(module):
    view, one = module.viewed(maps(1)), shot(module, 2)
    mine, means = module.matching.aligned(view.sides, one, cross=False)
    for level, (x, mean) in enumerate(zip(mine, means, strict=True)):
        assert torch.equal(x, view.sides[level].map)
        weight = one[level].weight
        close(mean, (one[level].map * weight[:, None]).sum(dim=(2, 3)) / (weight.sum(dim=(1, 2))[:, None] + 1e-7))
    with_it = module.answered(view, [one], SIZE)
    assert not torch.allclose(module.answered(view, [one], SIZE, cross=False).similarity, with_it.similarity, atol=1e-4)


def test_alignment_within_images_can_be_left_out(module):
    x = maps(1)
    for level, plain in enumerate(module.matching.reduced(x[:0:-1], within=False)):
        conv = module.matching.get_submodule(f"conv_{level}")
        assert torch.equal(plain, conv(x[3 - level]))
        close(module.matching.reduced(x[:0:-1])[level], conv(self_aligned(x[3 - level])))
    one, two = (module.viewed(x, within=within) for within in (True, False))
    assert torch.equal(one.proposals, two.proposals)
    assert not torch.allclose(one.sides[0].map, two.sides[0].map)


def test_self_alignment_scales_channels_by_a_gate_of_where_the_mean_channel_is_large():
    x = noise(4, 2, 5, 6, 7)
    for image, found in zip(x, self_aligned(x), strict=True):
        weights = image.mean(dim=0).flatten().softmax(dim=0)
        for channel in range(5):
            close(found[channel], image[channel] / (1 + (-(image[channel].flatten() @ weights)).exp()))


@pytest.mark.parametrize("grid", [(12, 14), (15, 20)])  # the second is attended to at its own size
def test_what_is_computed_of_a_support_alone_is_what_enters_its_mean(module, grid):
    view, one = module.viewed(maps(1, 2, grid)), shot(module, 2, 2, grid)
    quick = module.matching.aligned(view.sides, one)
    with torch.inference_mode(mode=False), torch.enable_grad():
        sides = [Side(*(part.clone() for part in (s.map, s.place, s.small, s.small_place))) for s in view.sides]
        other = [Side(*(part.clone() for part in (s.map, s.place, s.small, s.small_place, s.mask, s.weight))) for s in one]
        whole = module.matching.aligned(sides, other)
    for part, wanted in zip((*quick[0], *quick[1]), (*whole[0], *whole[1]), strict=True):
        close(part, wanted.detach())


def test_what_lies_outside_of_a_mask_has_no_part_in_a_support(module):
    x, mask = maps(2), labels(2)
    other = [level.clone() for level in x]
    outside = torch.nn.functional.interpolate(mask[:, None], size=(12, 14), mode="area")[0, 0] == 0
    for level in other[1:]:
        level[..., outside] = 9.0
    reduced = [module.matching.reduced(maps_[:0:-1], within=False) for maps_ in (x, other)]
    one, two = (module.matching.support_sides(each, mask) for each in reduced)
    for level in range(3):
        inside = one[level].weight[0] == 0
        close((one[level].map * one[level].weight[:, None]), (two[level].map * two[level].weight[:, None]))
        assert inside.any()


def test_attention_is_the_same_with_and_without_gradients():
    torch.manual_seed(3)
    block = CrossAlignment(16, 4, 20).requires_grad_(False)
    x, place, memory, other = noise(1, 2, 11, 16), noise(2, 2, 11, 16), noise(3, 2, 5, 16), noise(4, 2, 5, 16)
    quick = block(x, place, memory, other)
    with torch.inference_mode(mode=False), torch.enable_grad():
        close(quick, block(*(part.clone() for part in (x, place, memory, other))))


def test_prototypes_of_proposals_are_means_weighed_by_the_masks():
    x, proposals = [noise(1, 2, 3, 6, 5), noise(2, 2, 4, 3, 3)], noise(3, 2, 5, 12, 10).sigmoid()
    found = proposal_means(x, proposals)
    assert found.shape == (2, 5, 7)
    small = torch.nn.functional.interpolate(proposals, size=(3, 3), mode="bilinear", align_corners=True)
    close(found[1, 4, 3:], (x[1][1] * small[1, 4]).sum(dim=(1, 2)) / small[1, 4].sum())


def test_merging_before_enlarging_is_enlarging_before_merging():
    proposals, weights = noise(1, 2, 5, 12, 10).sigmoid(), noise(2, 2, 5)
    large = torch.nn.functional.interpolate(proposals, size=(40, 37), mode="bilinear", align_corners=False)
    close(merged(proposals, weights, (40, 37)), torch.einsum("bnhw, bn -> bhw", large, weights))


def test_sizes_of_memory_and_when_maps_are_attended_to_as_they_are():
    assert memory_size((30, 50)) == (15, 25)
    assert memory_size((47, 20)) == (35, 15)
    assert memory_size((8, 8)) == (15, 15)
    assert [keeps_size(size) for size in ((15, 40), (40, 15), (16, 14))] == [True, True, False]


def test_positions_say_the_row_in_the_first_half_and_the_column_in_the_second():
    found = sine_position(5, 7, 12)
    assert found.shape == (12, 5, 7)
    assert (found[:6] == found[:6, :, :1]).all()
    assert (found[6:] == found[6:, :1]).all()
    close(found[0, 0, 0], torch.tensor(2 * torch.pi / (5 + 1e-6)).sin())
    close(found[7, 0, 6], torch.tensor(2 * torch.pi * 7 / (7 + 1e-6)).cos())


def test_masks_behind_earlier_layers_are_made_where_they_are_asked_for_alone(module):
    x = maps(1)
    found, last = module.segmenter(x, earlier=True), module.segmenter(x)
    assert len(found.earlier) == 3
    assert last.earlier == ()
    close(found.logits, last.logits, atol=1e-4)


def test_of_a_support_its_positions_are_masked_too_and_its_label_is_resized_in_two_ways():
    x, mask = noise(1, 1, 8, 6, 5), torch.zeros(1, 18, 20)
    mask[:, 4:11, 3:12] = 1
    found = support_side(x, mask)
    assert torch.equal(found.map, x * found.mask)
    assert torch.equal(found.place, sine_position(6, 5, 8)[None] * found.mask)
    assert not torch.equal(found.mask, found.weight)


def test_how_many_levels_and_proposals_there_are_is_in_the_configuration():
    module = Matching(replace(MATCHING, channels=(9, 6), proposals=4, layers=1))
    assert {name.split(".")[0] for name, _ in module.named_parameters()} == {"conv_0", "conv_1", "crossat_0", "crossat_1", "fc1", "fc2"}
    assert module.coefficients(torch.zeros(3, 4)).shape == (3, 4)


def test_by_cosines_the_most_alike_proposals_make_the_foreground_whatever_their_order():
    proposals = torch.zeros(1, 3, 4, 6)
    proposals[0, 0, :2, :3] = proposals[0, 1, 2:, 3:] = proposals[0, 2, :, :] = 1
    cosines = torch.tensor([[0.9, 0.9, 0.2]])
    foreground = merged(proposals, expected(proposals, cosines, 50.0), (4, 6))[0]
    assert torch.equal(foreground > 0.5, proposals[0, :2].sum(dim=0) > 0)
    assert foreground.max() == pytest.approx(1)
    turned = [2, 0, 1]
    again = merged(proposals[:, turned], expected(proposals[:, turned], cosines[:, turned], 50.0), (4, 6))[0]
    assert torch.allclose(again, foreground, atol=1e-6)
