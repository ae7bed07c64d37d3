"""The networks of Label Anything: what may be left out, what chunks, classes and images do, what official form changes."""

import pytest
import torch
from la_small import CONFIG, head, noise, prompts

from likewise.methods.label_anything.prompts import Prompts

FEATURES = noise(1, 1, 2, 32, 6, 6)
MIXERS = {"none": (), "all": ("class_attention", "example_attention", "class_example_attention")}


@pytest.mark.parametrize("mixers", MIXERS)
@pytest.mark.parametrize("official", [True, False])
def test_pairs_without_prompts_are_left_out_only_where_that_changes_nothing(mixers, official):
    model = head(mixers=MIXERS[mixers])
    some = model.remember(FEATURES, prompts(), official=official)
    every = model.prompt_encoder(FEATURES, prompts(), official=official, every=True)
    torch.testing.assert_close(some.prototypes, every.prototypes, atol=2e-5, rtol=2e-5)


def test_skipping_saves_work_without_mixers(monkeypatch):
    model, seen = head(), []
    honest = model.prompt_encoder.transformer.image
    monkeypatch.setattr(model.prompt_encoder.transformer, "image", lambda image, *rest: seen.append(len(image)) or honest(image, *rest))
    model.remember(FEATURES, prompts())
    assert sum(seen) == 5  # two of the background, three with a prompt, of six


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_chunks_change_nothing(chunk):
    model = head(mixers=MIXERS["all"], pool=7)
    one = model.remember(FEATURES, prompts(), chunk=chunk)
    torch.testing.assert_close(one.prototypes, model.remember(FEATURES, prompts(), chunk=3).prototypes, atol=2e-5, rtol=2e-5)


def test_the_order_of_the_support_does_not_matter():
    model, asked = head(mixers=MIXERS["all"]), prompts()
    turned = Prompts(**{name: tensor.flip(1) for name, tensor in vars(asked).items()})
    torch.testing.assert_close(model.remember(FEATURES.flip(1), turned).prototypes, model.remember(FEATURES, asked).prototypes, atol=2e-5, rtol=2e-5)


def test_classes_change_places_with_their_rows_of_the_token_pool():
    model, asked, order = head(mixers=MIXERS["all"], pool=9), prompts(), torch.tensor([0, 2, 1])
    turned = Prompts(**{name: tensor[:, :, order] for name, tensor in vars(asked).items()})
    one = model.remember(FEATURES, asked, rows=torch.tensor([0, 4, 7])).prototypes
    two = model.remember(FEATURES, turned, rows=torch.tensor([0, 7, 4])).prototypes
    torch.testing.assert_close(two, one[:, order], atol=2e-5, rtol=2e-5)


def test_a_type_of_which_there_is_nothing_is_as_if_it_were_not_given():
    asked = prompts()
    empty = Prompts(asked.points, asked.point_flags, asked.boxes, torch.zeros_like(asked.box_flags), asked.masks, asked.mask_flags)
    bare = Prompts(points=asked.points, point_flags=asked.point_flags, masks=asked.masks, mask_flags=asked.mask_flags)
    model = head()
    torch.testing.assert_close(model.remember(FEATURES, empty).prototypes, model.remember(FEATURES, bare).prototypes)


def test_no_prompts_at_all_and_too_many_classes_are_refused():
    nothing = Prompts(mask_flags=torch.zeros(1, 2, 3), masks=torch.zeros(1, 2, 3, 24, 24))
    with pytest.raises(ValueError, match="no prompts"):
        head().remember(FEATURES, nothing)
    with pytest.raises(ValueError, match="2 classes, the token pool has rows for 1"):
        head(pool=2).remember(FEATURES, prompts())


def test_the_published_form_differs_where_the_text_says_so():
    model, asked = head().prompt_encoder, prompts()
    points = Prompts(points=asked.points, point_flags=asked.point_flags)
    one, two = model.tokens(points, official=True), model.tokens(points, official=False)
    torch.testing.assert_close(one[..., :2, :], two[..., :2, :])
    assert bool((two[..., 2, :] == model.not_a_point_embed.weight[0]).all())  # the extra point is an empty slot
    assert not bool((one[..., 2, :] == model.not_a_point_embed.weight[0]).any())
    boxes = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]]).expand(1, 1, 1, 2, 4)
    several = Prompts(boxes=boxes, box_flags=torch.tensor([1, 0]).expand(1, 1, 1, 2))
    empty = (model.tokens(several, official=False)[0, 0, 0] == model.not_a_point_embed.weight).all(dim=-1)
    assert empty.tolist() == [False, False, True, True]
    empty = (model.tokens(several, official=True)[0, 0, 0] == model.not_a_point_embed.weight).all(dim=-1)
    assert empty.tolist() == [False, True, False, True]


@pytest.mark.parametrize("classes", [2, 4, 6])
def test_class_vectors_in_the_last_convolution_give_the_same_logits(classes):
    model = head()
    narrow = CONFIG.width // CONFIG.shrink
    assert narrow == 4
    decoder, features, prototypes = model.mask_decoder, noise(4, 2, 32, 6, 6), noise(5, 2, classes, 32)
    places = model.prompt_encoder.pe_layer.grid(6)[None]
    tokens, image = decoder.transformer(features.flatten(2).transpose(1, 2), places, prototypes)
    pixels = decoder.spatial_convs(decoder.output_upscaling(image.transpose(1, 2).unflatten(2, (6, 6))))
    expected = torch.einsum("bcd,bdhw->bchw", decoder.class_mlp(tokens), pixels)
    torch.testing.assert_close(decoder(features, places, prototypes), expected, atol=2e-4, rtol=2e-4)


def test_queries_do_not_see_each_other():
    model, features, prototypes = head(), noise(4, 3, 32, 6, 6), noise(5, 4, 32)
    torch.testing.assert_close(model.logits(features, prototypes)[1:2], model.logits(features[1:2], prototypes), atol=2e-5, rtol=2e-5)


def test_a_class_without_prompts_touches_nothing_in_the_sane_form():
    model, features, prototypes = head(), noise(4, 1, 32, 6, 6), noise(5, 1, 4, 32)
    valid, moved = torch.tensor([[True, True, False, True]]), prototypes.clone()
    moved[:, 2] += 5
    kept = [0, 1, 3]
    one, two = (model.logits(features, own, valid)[:, kept] for own in (prototypes, moved))
    torch.testing.assert_close(one, two, atol=2e-5, rtol=2e-5)
    assert not torch.allclose(*(model.logits(features, own)[:, kept] for own in (prototypes, moved)), atol=1e-3)
