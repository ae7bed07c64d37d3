"""PFENet's parts: the prior, the vector, the pyramid, and the network that it brings."""

import json

import pytest
import torch
from pfenet_small import CHANNELS, WIDTH, in_frame, learner, network, original
from torch.nn.functional import cosine_similarity, interpolate

from likewise.errors import WeightsError
from likewise.methods.pfenet import Pfenet
from likewise.methods.pfenet.checkpoint import learner_in, network_of
from likewise.methods.pfenet.maps import deep_under, stages, token_mask, token_places
from likewise.methods.pfenet.model import PfenetLearner, bins_for, prior, scrambled, support_vector, under


def test_a_prior_is_the_likest_place_of_the_support_from_0_to_1_in_each_map():
    query, support = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 6)
    best = torch.stack([cosine_similarity(query.flatten(2), support[..., s, None], dim=1) for s in range(6)]).amax(0)
    expected = torch.stack([(one - one.min()) / (one.max() - one.min()) for one in best]).reshape(2, 1, 3, 4)
    torch.testing.assert_close(prior(query, support), expected, atol=1e-5, rtol=1e-5)


def test_places_without_length_may_be_left_out_of_a_support():
    query, support = torch.rand(1, 5, 3, 4), -torch.rand(1, 5, 6)  # unlike each other everywhere
    support[:, :, 2:5] = 0
    kept = support[:, :, [0, 1, 5]]
    torch.testing.assert_close(prior(query, kept, others=True), prior(query, support))
    assert not torch.allclose(prior(query, kept), prior(query, support))


def test_a_scrambled_support_mixes_channels_and_classes_and_one_class_stays():
    support = torch.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    assert scrambled(support).tolist() == [[list(range(8)), list(range(8, 16)), list(range(16, 24))]]
    assert torch.equal(scrambled(support[:1]), support[:1])


def test_the_vector_is_the_mean_under_the_mask():
    features, masks = torch.randn(2, 5, 4, 6), torch.zeros(2, 16, 24)
    masks[0, :8], masks[1, :, 12:] = 1, 1
    weight = interpolate(masks[:, None], size=(4, 6), mode="bilinear", align_corners=True)
    expected = (features * weight).sum((2, 3)) / weight.sum((2, 3))
    torch.testing.assert_close(support_vector(features, masks), expected, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(under(features, masks), (features * weight).flatten(2))


@pytest.mark.parametrize(("side", "bins"), [(60, (60, 30, 15, 8)), (50, (50, 25, 13, 7)), (9, (9, 5, 3, 2)), (1, (1, 1, 1, 1))])
def test_levels_are_halves_rounded_up_as_published(side, bins):
    assert bins_for(side) == bins


def test_the_learned_numbers_are_those_of_the_published_network(shared):
    assert sum(parameter.numel() for parameter in PfenetLearner().parameters()) == 10_817_034
    layout = json.loads((shared / "spec/state_dicts/cst_pfenet_r50.json").read_text())
    with torch.device("meta"):
        tensors = {f"module.{name}": torch.empty(shape) for name, shape in layout}
    found = Pfenet.converted(tensors)
    assert len(found) == len(layout) - sum(name.endswith("num_batches_tracked") for name, _ in layout)
    learned = learner_in(found)
    assert sum(parameter.numel() for parameter in learned.parameters()) == 10_817_034
    assert network_of(found).config.stem == (64, 64, 128)


def test_logits_of_the_levels_are_left_out_where_they_are_not_asked_for():
    own = PfenetLearner(CHANNELS, WIDTH).eval()
    query, vector, where = torch.randn(2, WIDTH, 9, 9), torch.randn(2, WIDTH), torch.rand(2, 1, 9, 9)
    logits, within = own(query, vector, where)
    assert [tuple(one.shape[2:]) for one in within] == [(side, side) for side in (9, 5, 3, 2)]
    alone, none = own(query, vector, where, auxiliary=False)
    assert none == []
    torch.testing.assert_close(alone, logits)
    other, _ = own(query, vector, where, (9, 4, 3, 2))
    assert not torch.allclose(other, logits)


def test_all_blocks_of_the_last_two_stages_are_dilated_and_the_maps_an_eighth_of_the_size():
    own = network_of(Pfenet.converted(original()))
    dilations = [[(block.conv2.dilation[0], block.conv2.padding[0], block.conv2.stride[0]) for block in stage] for stage in own.stages()]
    assert dilations == [[(1, 1, 1)], [(1, 1, 2), (1, 1, 1)], [(2, 2, 1)] * 3, [(4, 4, 1)] * 2]
    image = torch.randn(1, 3, 65, 73)
    maps, (_, _, second, third, last) = stages(own, image), own(image)
    assert maps.middle.shape == (1, CHANNELS, 9, 10)
    assert torch.equal(maps.middle[:, : maps.upper], third)
    assert torch.equal(maps.middle[:, maps.upper :], second)
    assert torch.equal(maps.deep, last)
    masks = torch.ones(1, 65, 73)
    torch.testing.assert_close(deep_under(own.stages()[3], maps, masks), maps.deep)
    masks[:, :, 40:] = 0
    assert not torch.allclose(deep_under(own.stages()[3], maps, masks), maps.deep)


def test_tokens_stand_for_a_mask_where_it_covers_half_of_them_and_a_small_one_does_not_vanish():
    mask = torch.zeros(40, 60)
    mask[:13, 10:30] = 1
    assert token_mask(mask, (4, 6)).tolist() == [[0, 1, 1, 0, 0, 0]] + [[0] * 6] * 3  # three of ten rows of the second row of cells are too few
    mask[:] = 0
    mask[22:25, 47:51] = 1
    found = token_mask(mask, (4, 6))
    assert found.sum() == 1
    assert found[2, 4] == 1  # the cell that it covers most
    assert not token_mask(torch.zeros(5, 7), (2, 3)).any()


def test_the_layers_of_a_vit_that_stand_for_the_stages():
    assert [token_places(depth) for depth in (12, 24, 4, 3)] == [(5, 8, 11), (11, 17, 23), (1, 2, 3), (0, 1, 2)]


class TestCheckpoints:
    def test_both_published_layouts_hold_the_same_names_of_ours(self):
        one, other = Pfenet.converted(original()), Pfenet.converted(in_frame())
        assert {name for name in one if name.startswith("learner.")} == {name for name in other if name.startswith("learner.")}
        assert all(torch.equal(one[name], other[name]) for name in one if name.startswith("learner."))
        for name, tensor in learner().items():
            assert torch.equal(one[f"learner.{name}"], tensor)
        assert Pfenet.published(original()) == ({"official": True, "side": 473}, "")
        assert Pfenet.published(in_frame()) == ({"official": True, "side": 400}, "")
        assert network_of(other).config.stem == (8,)

    def test_ours_are_ours_already(self):
        found = Pfenet.converted(original())
        again = Pfenet.converted(found)
        assert again.keys() == found.keys()

    def test_a_network_alone_is_a_start(self):
        for stem in ((8,), (4, 4, 8)):
            given = network(stem)
            places = {"layer0.0.": "conv1.", "layer0.1.": "bn1.", "layer0.3.": "conv2.", "layer0.4.": "bn2.", "layer0.6.": "conv3.", "layer0.7.": "bn3."}
            named = {next((new + name.removeprefix(old) for old, new in places.items() if name.startswith(old)), name): own for name, own in given.items()}
            for own in (given, named):
                start = Pfenet.converted({**own, "fc.weight": torch.zeros(3, 4)})
                assert {name for name in given if not name.endswith("tracked")} == {name.removeprefix("backbone.") for name in start}
                assert torch.equal(start["backbone.layer0.1.running_var"], given["layer0.1.running_var"])
                assert network_of(start).config.stem == stem

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda tensors: tensors.pop("module.cls.3.bias"), r"1 missing \(cls.3.bias\)"),
            (lambda tensors: tensors.update({"other.weight": torch.zeros(1)}), "other.weight"),
            (lambda tensors: tensors.pop("module.down_query.0.weight"), "no checkpoint of PFENet"),
            (lambda tensors: tensors.pop("module.layer4.1.bn3.running_var"), "layer4.1.bn3.running_var"),
            (lambda tensors: tensors.update({"module.res1.0.weight": torch.zeros(5, 5, 1, 1)}), "res1.0.weight is"),
            (
                lambda tensors: tensors.update({f"module.{name}": tensor for name, tensor in learner(channels=30).items()}),
                "reads 30 channels, its network gives 72",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused_with_its_name(self, change, words):
        tensors = original()
        change(tensors)
        with pytest.raises(WeightsError, match=words):
            Pfenet.converted(tensors)
