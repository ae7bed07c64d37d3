"""The learner: both forms agree, gradients too; sizes and names are the published ones; the switches of the paper."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from likewise.errors import WeightsError
from likewise.layers.correlation import correlation
from likewise.methods.cst.checkpoint import enhancer_of, learner_of
from likewise.methods.cst.enhancer import new_enhancer
from likewise.methods.cst.model import Learner, PairSupport, untrained

LAYERS, HEADS, WIDTH, GRID = 3, 2, 5, (4, 7)


def unit(seed, *shape):
    return torch.nn.functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def pair(learner, masks):
    count = len(masks)
    query, support = unit(0, count, LAYERS, HEADS, GRID[0] * GRID[1], WIDTH), unit(1, count, LAYERS, HEADS, 1 + learner.side**2, WIDTH)
    return query, PairSupport(support, learner.hidden(masks))


def some_masks():
    masks = torch.zeros(3, 25, 31)
    masks[0, 4:15, 3:20] = 1
    masks[1] = 1
    return masks  # the third is empty: only the class token is left


@pytest.mark.parametrize("sizes", [(6, 12, (4, 3)), (6, 18, (3, 6)), (6, 13, (4, 3))])
@pytest.mark.parametrize("tile", [1, 9, 500])
def test_both_forms_give_the_same(sizes, tile):
    learner = untrained(*sizes)
    query, support = pair(learner, some_masks())
    with torch.no_grad():
        expected = learner(correlation(query, support.tokens), support.hidden, GRID)
        found = learner.pairs(query, support, GRID, tile)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)
    assert found[1].shape == (3, 2, 8, 14)


def test_a_support_whose_mask_touches_no_token_leaves_its_class_token_alone_in_both_forms():
    learner = untrained(6)
    query, support = pair(learner, some_masks())
    alone = PairSupport(support.tokens[2:], tuple(part[2:] for part in support.hidden))
    assert all(bool(part.all()) for part in alone.hidden)
    with torch.no_grad():
        expected = learner(correlation(query[2:], alone.tokens), alone.hidden, GRID)
        found = learner.pairs(query[2:], alone, GRID)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


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
    first = learner.corrtransformer[0]
    x, y = correlation(query, support.tokens), correlation(query, changed)
    small = x[..., :10]
    torch.testing.assert_close(first.attn.mix(small, x, support.hidden[0]), first.attn.mix(small, y, support.hidden[0]))
    assert not torch.allclose(first(x, support.hidden[0]), first(y, support.hidden[0]), atol=1e-3)


def test_a_pair_does_not_depend_on_the_pairs_beside_it():
    learner = untrained(6)
    query, support = pair(learner, some_masks())
    with torch.no_grad():
        together = learner.pairs(query, support, GRID)
        alone = learner.pairs(query[1:2], PairSupport(support.tokens[1:2], tuple(part[1:2] for part in support.hidden)), GRID)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one[1:2], other, atol=2e-5, rtol=1e-4)


def test_the_learner_has_the_published_numbers():
    assert sum(parameter.numel() for parameter in Learner().parameters()) == 366_004


def test_names_and_shapes_are_those_of_the_official_checkpoint(shared):
    layout = json.loads((shared / "spec/state_dicts/cst_checkpoint.json").read_text())
    expected = [(name.removeprefix("learner."), tuple(shape)) for name, shape in layout if name.startswith("learner.")]
    assert {name: tuple(tensor.shape) for name, tensor in Learner().state_dict().items()} == dict(expected)


def test_a_coupled_learner_calls_a_class_present_where_any_pixel_is():
    learner = untrained(6, coupled=True)
    assert not any("cls" in name for name in learner.state_dict())
    query, support = pair(learner, some_masks())
    with torch.no_grad():
        classes, masks = learner.pairs(query, support, GRID)
    foreground = (masks[:, 1] > masks[:, 0]).flatten(1).any(1)
    assert ((classes[:, 1] > classes[:, 0]) == foreground).all()
    assert torch.equal(classes[:, 1] - classes[:, 0], (masks[:, 1] - masks[:, 0]).flatten(1).max(1).values)


def test_pooling_that_does_not_end_in_one_token_is_refused():
    with pytest.raises(ValueError, match="12x12"):
        Learner(side=12, kernels=(3, 2))


def test_correlations_of_another_backbone_are_refused():
    with pytest.raises(ValueError, match=r"not \(X, 72, Q, 145\)"):
        Learner()(torch.zeros(1, 71, 4, 145), (), (2, 2))


def test_untrained_numbers_follow_from_the_seed_and_leave_the_random_state_alone():
    before = torch.get_rng_state()
    one, two, other = untrained(6).state_dict(), untrained(6).state_dict(), untrained(6, seed=1).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["linear.0.weight"], other["linear.0.weight"])


class TestSaving:
    def test_the_conventions_of_the_hub_bring_it_back(self, tmp_path):
        learner = untrained(6, 18, (3, 6), coupled=True)
        learner.save_pretrained(tmp_path)
        back = Learner.from_pretrained(tmp_path)
        assert (back.channels, back.side, back.coupled) == (6, 18, True)
        assert all(torch.equal(tensor, back.state_dict()[name]) for name, tensor in learner.state_dict().items())

    def test_official_tensors_with_a_backbone_beside_them_are_read(self, tmp_path):
        learner = untrained(6)
        official = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()} | {"backbone.cls_token": torch.zeros(1, 1, 4)}
        save_file(official, tmp_path / "a.safetensors")
        back = learner_of(load_file(tmp_path / "a.safetensors"))
        assert back.channels == 6
        assert all(torch.equal(tensor, back.state_dict()[name]) for name, tensor in learner.state_dict().items())

    def test_a_mask_enhancer_travels_in_the_same_checkpoint(self):
        enhancer = new_enhancer(heads=5)
        tensors = {f"enhancer.{name}": tensor for name, tensor in enhancer.state_dict().items()} | untrained(6).state_dict()
        assert enhancer_of(untrained(6).state_dict()) is None
        assert enhancer_of(tensors).heads == 5
        assert learner_of(tensors).channels == 6

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda tensors: tensors.clear(), "no checkpoint of CST"),
            (lambda tensors: tensors.pop("linear.0.bias"), r"1 missing \(linear.0.bias\)"),
            (lambda tensors: tensors.update(surprise=torch.zeros(2)), "surprise"),
            (lambda tensors: tensors.update({"linear.0.bias": torch.zeros(3)}), "linear.0.bias"),
            (lambda tensors: tensors.pop("corrtransformer.1.attn.agg.2.weight"), "2 layers are expected"),
        ],
    )
    def test_a_checkpoint_that_does_not_fit_is_refused_with_what_is_wrong(self, change, words):
        tensors = dict(untrained(6).state_dict())
        change(tensors)
        with pytest.raises(WeightsError, match=words):
            learner_of(tensors)
