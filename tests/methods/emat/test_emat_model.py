"""The learner: both forms agree, gradients too; sizes and names are the published ones; what a mask leaves visible."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from likewise.errors import WeightsError
from likewise.layers.correlation import correlation
from likewise.layers.correlation_transformer import PairSupport
from likewise.methods.emat.checkpoint import learner_of
from likewise.methods.emat.model import Learner, untrained

LAYERS, HEADS, WIDTH, GRID = 3, 2, 5, (4, 7)
KINDS = pytest.mark.parametrize("class_token", [True, False], ids=["with a class token", "without"])


def unit(seed, *shape):
    return torch.nn.functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def pair(learner, masks):
    count = len(masks)
    query, support = unit(0, count, LAYERS, HEADS, GRID[0] * GRID[1], WIDTH), unit(1, count, LAYERS, HEADS, learner.tokens, WIDTH)
    return query, PairSupport(support, learner.hidden(masks))


def alone(support, place):
    return PairSupport(support.tokens[place : place + 1], tuple(part[place : place + 1] for part in support.hidden))


def split(x, class_token=True):
    """The class token and the square of support tokens of correlations."""
    first, rest = (x[..., :1], x[..., 1:]) if class_token else (None, x)
    return first, rest.unflatten(-1, (round(rest.shape[-1] ** 0.5),) * 2)


def some_masks():
    masks = torch.zeros(3, 25, 31)
    masks[0, 4:15, 3:20] = 1
    masks[1] = 1
    return masks  # the third is empty


@KINDS
@pytest.mark.parametrize("sizes", [(6, 20, (0, 5)), (6, 12, (0, 3)), (6, 12, (3, 0)), (6, 21, (0, 5))])
@pytest.mark.parametrize("tile", [1, 9, 500])
def test_both_forms_give_the_same(sizes, tile, class_token):
    learner = untrained(*sizes, class_token=class_token)
    query, support = pair(learner, some_masks())
    with torch.no_grad():
        expected = learner(correlation(query, support.tokens), support.hidden, GRID)
        found = learner.pairs(query, support, GRID, tile)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)
    assert found[0].shape == (3, 2)
    assert found[1].shape == (3, 2, 8, 14)


@KINDS
def test_a_pair_does_not_depend_on_the_pairs_beside_it(class_token):
    learner = untrained(6, class_token=class_token)
    query, support = pair(learner, some_masks())
    with torch.no_grad():
        together = learner.pairs(query, support, GRID)
        for place in range(3):
            by_itself = learner.pairs(query[place : place + 1], alone(support, place), GRID)
            for one, other in zip(together, by_itself, strict=True):
                torch.testing.assert_close(one[place : place + 1], other, atol=2e-5, rtol=1e-4)


def test_an_empty_mask_leaves_the_class_token_or_nothing():
    masks = some_masks()[2:]
    for class_token in (True, False):
        layer = untrained(6, class_token=class_token).corrtransformer[0]
        learner = untrained(6, class_token=class_token)
        query, support = pair(learner, masks)
        x = correlation(query, support.tokens)
        with torch.no_grad():
            _, mixed = layer.attn.mix(*split(x, class_token), support.hidden[0])
            if class_token:
                value = torch.nn.functional.conv2d(x[..., :1], layer.attn.kv.weight, layer.attn.kv.bias).chunk(2, dim=1)[1]
                torch.testing.assert_close(mixed, value.expand_as(mixed))
            else:
                assert not mixed.any()


def test_both_forms_give_the_same_gradients():
    learner = untrained(6)
    query, support = pair(learner, some_masks()[:2])
    gradients = []
    for forward in (lambda: learner(correlation(query, support.tokens), support.hidden, GRID), lambda: learner.pairs(query, support, GRID, 9)):
        learner.zero_grad()
        sum((part**2).sum() for part in forward()).backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in learner.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient.abs().sum() > 0
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-3, rtol=1e-3, msg=name)


def test_support_tokens_outside_the_mask_do_not_matter_as_keys_but_do_in_the_short_cut():
    learner = untrained(6)
    query, support = pair(learner, some_masks()[:1])
    outside = torch.cat([torch.zeros(1, dtype=torch.bool), support.hidden[0][0]])
    changed = support.tokens.clone()
    changed[..., outside, :] = unit(5, 1, LAYERS, HEADS, int(outside.sum()), WIDTH)
    attention = learner.corrtransformer[0].attn
    for convolution in (attention.q.q_cls, attention.q.q_seg):
        torch.nn.init.zeros_(convolution.weight)  # the queries, which see all tokens, are kept out of it
    x, y = correlation(query, support.tokens), correlation(query, changed)
    with torch.no_grad():
        (short, mixed), (other_short, other_mixed) = (attention.mix(*split(each), support.hidden[0]) for each in (x, y))
    torch.testing.assert_close(mixed, other_mixed)
    assert not torch.allclose(short, other_short, atol=1e-3)


def test_any_part_of_a_mask_that_a_token_sees_makes_it_visible():
    mask = torch.zeros(1, 100, 100)
    mask[0, :50] = 3  # of the third class: masks need not be 1
    first, second = untrained(6).hidden(mask)
    assert first.reshape(20, 20)[:10].sum() == 0
    assert first.reshape(20, 20)[10:].all()
    assert second.reshape(10, 10)[:5].sum() == 0


@pytest.mark.parametrize(("class_token", "numbers", "layout"), [(True, 86_020, "emat"), (False, 74_098, "emat_seg")])
def test_numbers_names_and_shapes_are_those_of_the_published_checkpoints(shared, class_token, numbers, layout):
    learner = Learner(class_token=class_token)
    assert sum(parameter.numel() for parameter in learner.parameters()) == numbers
    listed = json.loads((shared / f"spec/state_dicts/{layout}.json").read_text())
    listed = listed["layout"] if isinstance(listed, dict) else listed
    expected = [(name.removeprefix("learner."), tuple(shape)) for name, shape in listed if name.startswith("learner.")]
    assert [(name, tuple(tensor.shape)) for name, tensor in learner.state_dict().items()] == expected


def test_the_transformer_alone_has_the_numbers_of_the_description():
    for class_token, numbers in ((True, 65_408), (False, 55_376)):
        assert sum(parameter.numel() for parameter in Learner(class_token=class_token).corrtransformer.parameters()) == numbers


def test_without_a_class_token_a_class_is_there_where_any_pixel_is():
    learner = untrained(6, class_token=False)
    query, support = pair(learner, some_masks())
    with torch.no_grad():
        classes, masks = learner.pairs(query, support, GRID)
    assert torch.equal(classes[:, 1] - classes[:, 0], (masks[:, 1] - masks[:, 0]).flatten(1).max(1).values)


def test_sizes_that_do_not_end_in_one_token_are_refused():
    with pytest.raises(ValueError, match="20x20"):
        Learner(side=20, pools=(0, 2))


def test_correlations_of_another_backbone_are_refused():
    with pytest.raises(ValueError, match=r"not \(X, 72, Q, 401\)"):
        Learner()(torch.zeros(1, 71, 4, 401), (), (2, 2))


def test_untrained_numbers_follow_from_the_seed_and_leave_the_random_state_alone():
    before = torch.get_rng_state()
    one, two, other = untrained(6).state_dict(), untrained(6).state_dict(), untrained(6, seed=1).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["linear.0.weight"], other["linear.0.weight"])


class TestSaving:
    def test_the_conventions_of_the_hub_bring_it_back(self, tmp_path):
        learner = untrained(6, 12, (0, 3), class_token=False)
        learner.save_pretrained(tmp_path)
        back = Learner.from_pretrained(tmp_path)
        assert (back.channels, back.side, back.class_token) == (6, 12, False)
        assert all(torch.equal(tensor, back.state_dict()[name]) for name, tensor in learner.state_dict().items())

    @KINDS
    def test_official_tensors_with_a_backbone_beside_them_are_read(self, tmp_path, class_token):
        learner = untrained(6, class_token=class_token)
        official = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()} | {"backbone.cls_token": torch.zeros(1, 1, 4)}
        save_file(official, tmp_path / "a.safetensors")
        back = learner_of(load_file(tmp_path / "a.safetensors"))
        assert (back.channels, back.class_token) == (6, class_token)
        assert all(torch.equal(tensor, back.state_dict()[name]) for name, tensor in learner.state_dict().items())

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda tensors: tensors.clear(), "no checkpoint of EMAT"),
            (lambda tensors: tensors.pop("linear.0.bias"), r"1 missing \(linear.0.bias\)"),
            (lambda tensors: tensors.update(surprise=torch.zeros(2)), "surprise"),
            (lambda tensors: tensors.update({"linear.0.bias": torch.zeros(3)}), "linear.0.bias"),
            (lambda tensors: tensors.pop("corrtransformer.1.attn.agg.2.weight"), "2 layers are expected"),
            (lambda tensors: tensors.pop("corrtransformer.1.attn.q.q_cls.weight"), "q_cls"),
        ],
    )
    def test_a_checkpoint_that_does_not_fit_is_refused_with_what_is_wrong(self, change, words):
        tensors = dict(untrained(6).state_dict())
        change(tensors)
        with pytest.raises(WeightsError, match=words):
            learner_of(tensors)
