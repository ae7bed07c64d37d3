"""The networks of VTM: a support remembered once answers as one encoded anew; what may be shared is shared."""

import pytest
import torch
from vtm_small import CONFIG, noise, small_vtm, some_biases

from likewise.backbones.biases import chosen
from likewise.functional import winograd
from likewise.functional.resize import resize_corners
from likewise.methods.vtm.crops import blended, overlap_of, probabilities
from likewise.methods.vtm.decoder import Conv3, Decoder
from likewise.methods.vtm.matching import Matching
from likewise.methods.vtm.model import LEVELS, as_label, level_blocks, untrained_head

CLOSE = {"atol": 2e-5, "rtol": 1e-4}
SIDE = 48


def support(channels, examples):
    labels = as_label(noise(2, channels, examples, SIDE, SIDE), noise(3, channels, examples, SIDE, SIDE) > 0.2)
    return noise(1, examples, 3, SIDE, SIDE), labels


def plain_matching(layer, tokens, support_tokens, labels):
    """The published form: one channel, one query, heads one by one."""
    q, k, v = layer.fc_q(layer.pre_ln(tokens)), layer.fc_k(layer.pre_ln(support_tokens)), layer.fc_v(labels)
    parts = []
    for qh, kh, vh in zip(q.chunk(layer.heads, -1), k.chunk(layer.heads, -1), v.chunk(layer.heads, -1), strict=True):
        parts.append(torch.softmax((qh @ kh.T / labels.shape[-1] ** 0.5).clamp(-1e4, 1e4), dim=-1) @ vh)
    mixed = layer.ln(torch.cat(parts, dim=-1))
    return mixed + torch.nn.functional.gelu(layer.fc_o(mixed))


def test_matching_equals_the_published_form_for_every_query_and_channel():
    torch.manual_seed(0)
    layer = Matching(12, 20, 4)
    tokens, support_tokens, labels = noise(0, 3, 7, 12), noise(1, 11, 12), noise(2, 5, 11, 20)
    with torch.no_grad():
        found = layer(tokens, layer.keys(support_tokens), layer.values(labels))
        assert found.shape == (3, 5, 7, 20)
        for query in range(3):
            for channel in range(5):
                torch.testing.assert_close(found[query, channel], plain_matching(layer, tokens[query], support_tokens, labels[channel]), **CLOSE)
        assert torch.allclose(layer.attention(tokens, layer.keys(support_tokens)).sum(-1), torch.ones(3, 4, 7))


def test_the_decoder_equals_one_that_enlarges_before_its_1x1_convolutions():
    torch.manual_seed(0)
    decoder = Decoder(10, (4, 6, 8, 12), 14).eval()
    levels = [noise(index, 2, 10, 4, 6) for index in range(4)]
    with torch.no_grad():
        below = None
        maps = decoder.reassembled(levels)
        for level in (4, 3, 2, 1):
            own = getattr(decoder, f"layer{level}_rn")(maps[level - 1])
            fusion = getattr(decoder, f"refinenet{level}")
            joined = own if below is None else below + fusion.resConfUnit1(own)
            x = fusion.resConfUnit2(joined)
            below = fusion.out_conv(resize_corners(x, (2 * x.shape[-2], 2 * x.shape[-1])))
        first, _, second, relu, last = decoder.output_conv
        x = first(below)
        expected = last(relu(second(resize_corners(x, (2 * x.shape[-2], 2 * x.shape[-1])))))[:, 0]
        torch.testing.assert_close(decoder(levels), expected, **CLOSE)
    assert expected.shape == (2, 64, 96)


def test_a_wide_frozen_decoder_answers_as_under_training_and_keeps_no_more_tensors(monkeypatch):
    torch.manual_seed(0)
    decoder = Decoder(10, (4, 6, 8, 12), 14).eval()
    levels = [noise(index, 2, 10, 4, 6) for index in range(4)]
    monkeypatch.setattr(winograd, "_SMALLEST", 6)
    monkeypatch.setattr(winograd, "_FEWEST", 5)
    taken = []
    way = winograd.convolved
    monkeypatch.setattr(winograd, "convolved", lambda *given: taken.append(given) or way(*given))
    trained = decoder(levels)
    assert not taken
    names = set(decoder.state_dict())
    frozen = decoder.requires_grad_(False)(levels)
    assert len(taken) > 4
    torch.testing.assert_close(frozen, trained, **CLOSE)
    assert set(decoder.state_dict()) == names


def test_kernels_that_changed_are_transformed_anew(monkeypatch):
    monkeypatch.setattr(winograd, "_SMALLEST", 2)
    monkeypatch.setattr(winograd, "_FEWEST", 2)
    layer, x = Conv3(3, 4).requires_grad_(False), noise(0, 1, 3, 6, 5)
    layer(x)
    with torch.no_grad():
        layer.weight.mul_(-2)
    torch.testing.assert_close(layer(x), torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1), **CLOSE)
    layer.load_state_dict({name: torch.ones_like(tensor) for name, tensor in layer.state_dict().items()}, assign=True)
    layer.requires_grad_(False)
    torch.testing.assert_close(layer(x), torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1), **CLOSE)


def test_an_odd_grid_is_decoded_too():
    decoder = Decoder(10, (4, 6, 8, 12), 14)
    assert decoder([noise(0, 1, 10, 5, 7)] * 4).shape == (1, 80, 112)


@pytest.mark.parametrize(("backbone", "side", "changes"), [("beit-tiny-8", 48, {}), ("vit-tiny-14", 84, {"image_width": 48, "patch": 14})])
def test_channels_together_answer_as_each_alone_under_its_biases_on_any_transformer(backbone, side, changes):
    vtm = small_vtm(backbone, **changes)
    images, labels = noise(1, 2, 3, side, side), noise(2, 3, 2, side, side)
    biases, queries = some_biases(vtm, 3), noise(4, 2, 3, side, side)
    with torch.no_grad():
        together = vtm.logits(queries, vtm.remember(images, labels, biases))
        assert together.shape == (2, 3, 96, 96)
        for channel in range(3):
            alone = vtm.logits(queries, vtm.remember(images, labels[channel : channel + 1], chosen(biases, [channel])))
            torch.testing.assert_close(together[:, channel : channel + 1], alone, **CLOSE)
        assert float((together[:, 0] - together[:, 1]).abs().max()) > 1e-3


def test_channels_with_equal_biases_share_keys_and_answer_the_same():
    vtm = small_vtm()
    images, labels = support(4, 3)
    biases = chosen(some_biases(vtm, 2), [0, 1, 0, 0])
    queries = noise(4, 1, 3, SIDE, SIDE)
    with torch.no_grad():
        shared, apart = vtm.remember(images, labels, biases), vtm.remember(images, labels, biases, share=False)
        assert shared.group == (0, 1, 0, 0)
        assert (len(shared.keys[0]), len(apart.keys[0])) == (2, 4)
        torch.testing.assert_close(vtm.logits(queries, shared), vtm.logits(queries, apart), **CLOSE)


def test_without_sets_the_encoders_own_biases_serve_all_channels():
    vtm = small_vtm()
    images, labels = support(2, 2)
    own = {name: tensor.detach()[None].expand(2, -1) for name, tensor in vtm.image.named_parameters() if name in some_biases(vtm, 1)}
    with torch.no_grad():
        memory = vtm.remember(images, labels)
        assert len(memory.keys[0]) == 1
        torch.testing.assert_close(vtm.logits(images, memory), vtm.logits(images, vtm.remember(images, labels, own)), **CLOSE)


def test_the_order_and_the_number_of_times_of_examples_do_not_matter_nor_how_many_go_at_once():
    vtm = small_vtm()
    images, labels = support(2, 3)
    queries = noise(4, 3, 3, SIDE, SIDE)
    order = [2, 0, 1]
    with torch.no_grad():
        expected = vtm.logits(queries, vtm.remember(images, labels), batch=1)
        for memory in (
            vtm.remember(images[order], labels[:, order]),
            vtm.remember(images.repeat(2, 1, 1, 1), labels.repeat(1, 2, 1, 1)),
            vtm.remember(images, labels, chunk=1),
        ):
            torch.testing.assert_close(vtm.logits(queries, memory, batch=2, chunk=1), expected, **CLOSE)


def test_one_model_answers_on_grids_of_several_shapes():
    vtm = small_vtm()
    images, labels = support(1, 2)
    with torch.no_grad():
        memory = vtm.remember(images, labels)
        wide = vtm.logits(noise(4, 1, 3, 48, 64), memory)
        assert wide.shape == (1, 1, 96, 128)
        torch.testing.assert_close(vtm.logits(images, memory), small_vtm().logits(images, memory), **CLOSE)
        torch.testing.assert_close(small_vtm().logits(noise(4, 1, 3, 48, 64), memory), wide, **CLOSE)
        upright = vtm.image_tokens(noise(4, 1, 3, 64, 36 + 12))[0]
        torch.testing.assert_close(small_vtm().image_tokens(noise(4, 1, 3, 64, 48))[0], upright, **CLOSE)


def test_unknown_pixels_are_minus_one_and_change_the_answer():
    vtm = small_vtm()
    images, _ = support(1, 1)
    labels = noise(6, 1, 1, SIDE, SIDE)
    half = torch.ones_like(labels)
    half[..., : SIDE // 2] = 0
    seen = as_label(labels, half)
    assert seen.min() == -1
    with torch.no_grad():
        assert float((vtm.logits(images, vtm.remember(images, seen)) - vtm.logits(images, vtm.remember(images, labels))).abs().max()) > 1e-3


def test_half_precision_of_the_memory_changes_little_and_halves_it():
    vtm = small_vtm()
    images, labels = support(2, 2)
    with torch.no_grad():
        memory = vtm.remember(images, labels)
        for dtype in (torch.float16, torch.bfloat16):
            small = memory.stored(dtype)
            assert {tensor.element_size() for tensor in (*small.keys, *small.values)} == {2}
            torch.testing.assert_close(vtm.logits(images, small), vtm.logits(images, memory), atol=0.05, rtol=0.05)


def test_levels_are_the_quarters_of_the_depth():
    assert level_blocks(12) == (2, 5, 8, 11)
    assert level_blocks(4) == (0, 1, 2, 3)
    assert len(level_blocks(8)) == LEVELS
    with pytest.raises(ValueError, match="3 blocks"):
        level_blocks(3)


def test_a_seed_makes_the_same_head_and_the_global_random_state_stays():
    before = torch.get_rng_state()
    one, two, other = untrained_head(CONFIG, 1).state_dict(), untrained_head(CONFIG, 1).state_dict(), untrained_head(CONFIG, 2).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["label.pos_embed"], other["label.pos_embed"])
    assert float(one["label.blocks.0.attn.qkv.bias"].abs().max()) == 0


def test_crops_are_blended_behind_the_sigmoid_for_values_and_before_it_for_classes():
    vtm = small_vtm()
    images, labels = support(2, 1)
    queries = noise(4, 1, 3, SIDE, 64)
    offsets = [(0, 0), (0, 16)]
    kinds = torch.tensor([True, False])
    with torch.no_grad():
        memory = vtm.remember(images, labels)
        found = probabilities(blended(vtm, queries, memory, offsets, (SIDE, SIDE), kinds), kinds)
        one, two = (torch.nn.functional.interpolate(vtm.logits(queries[..., c : c + SIDE], memory), (SIDE, SIDE), mode="bilinear") for c in (0, 16))
    middle = found[..., 16:48]
    left, right = one[..., 16:], two[..., :32]
    torch.testing.assert_close(middle[:, 0], ((left[:, 0] + right[:, 0]) / 2).sigmoid(), **CLOSE)
    torch.testing.assert_close(middle[:, 1], (left[:, 1].sigmoid() + right[:, 1].sigmoid()) / 2, **CLOSE)
    assert (overlap_of(224), overlap_of(48)) == (32, 12)
