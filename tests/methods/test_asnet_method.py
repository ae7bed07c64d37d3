"""ASNet as a method and its learner: the published answer, with masks and without, and what is refused."""

import json

import numpy as np
import pytest
import torch
from pyramid_small import BLOCKS, example, lightning, support, tagged
from safetensors.torch import save_file

import likewise
from likewise.backbones.features import ImageFeatures
from likewise.data.geometry import squash_image
from likewise.errors import InputError, WeightsError
from likewise.functional.frame_losses import log_maps
from likewise.functional.resize import resize_nearest
from likewise.layers.correlation_pyramid import correlations, pooled_support, unit
from likewise.layers.fscs import decide_by_votes
from likewise.methods.asnet import Asnet
from likewise.methods.asnet.checkpoint import learner_in
from likewise.methods.asnet.model import MIX, WIDE, Attention, Squeeze
from likewise.methods.pyramid_levels import levels_of
from likewise.methods.pyramid_weights import backbone_of
from likewise.testing.conformance import picture

pytestmark = pytest.mark.filterwarnings("ignore:no example shows")

SIDE = 400
OWN = {"method": "asnet", "device": "cpu", "side": SIDE}
TINY = {"method": "asnet", "backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "precision": "float32", "side": 168}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("asnet") / "asnet.safetensors"
    save_file(Asnet.converted(lightning(Asnet, (13, 25, 25))), path)
    return path


def levels(network, pixels):
    square = torch.from_numpy(squash_image(np.asarray(pixels), (SIDE, SIDE)).copy()).permute(2, 0, 1)
    nothing = torch.zeros(0, 0, 0)
    return levels_of(ImageFeatures(nothing, nothing, (0, 0), square.shape[1:], pixels=square), network, many_heads=True)


@pytest.mark.parametrize("shown", ["auto", "none"])
def test_an_image_of_two_classes_is_answered_as_published_with_masks_and_without(checkpoint, shown):
    tensors = likewise.weights.read_checkpoint(checkpoint)[0]
    network, learner, one, query = backbone_of(tensors), learner_in(tensors), example(0), picture(7, 60, 90)[0]
    with torch.inference_mode():
        theirs = [unit(pooled_support(level))[None] for level in levels(network, one.image)]
        pyramid = [correlations(unit(mine)[None], its) for mine, its in zip(levels(network, query), theirs, strict=True)]
        masks = [resize_nearest(torch.from_numpy((one.label_map == number).astype(np.float32)), (SIDE, SIDE))[None] for number in (1, 2)]
        maps = torch.cat([log_maps(learner(pyramid, mask if shown == "auto" else None)) for mask in masks])[None, None]
    assert [tuple(level.shape[4:]) for level in pyramid] == [(13, 13), (25, 25), (25, 25)]
    expected, votes, _ = decide_by_votes(maps, (60, 90))
    task = likewise.learn(support(one), checkpoint=checkpoint, official=True, support=shown, **OWN)
    prediction = task.predict(query)
    assert (prediction.labels == expected.labels[0].numpy()).mean() > 0.999
    assert [prediction.present[name] for name in ("red", "green")] == votes[0].tolist()
    assert torch.equal(maps[0, 0, 0], maps[0, 0, 1]) != (shown == "auto")  # without masks both classes are the whole image


def test_an_image_is_kept_once_however_many_classes_it_shows():
    task = likewise.learn(support(example(0), example(1, (2,)), tagged(2, red=False, green=False)), checkpoint="random", **TINY)
    assert (task.memory.facts["pair_class"], task.memory.facts["pair_image"]) == ([0, 1, 1], [0, 0, 1])
    kept = {name.rsplit(".", 1)[0] for name in task.memory.tensors if name.endswith("tokens")}
    assert kept == {f"image.{image}.{level}" for image in (0, 1) for level in range(3)}
    assert task.memory.tensors["image.0.0.tokens"].shape == (3, 16, 144)
    masks = [task.memory.tensors[f"pair.{pair}.mask"] for pair in range(3)]
    assert masks[0].shape == (168, 168)
    assert not (masks[0] & masks[1]).any()


def test_tags_without_tokens_and_support_none_attend_to_the_whole_image(checkpoint):
    own = likewise.learn(support(tagged(0, red=True)), checkpoint=checkpoint, **OWN)
    assert "pair.0.mask" not in own.memory.tensors
    tokens = likewise.learn(support(tagged(0, red=True), tagged(1, green=True)), checkpoint="random", **TINY)
    assert 0 < tokens.memory.tensors["pair.0.mask"].float().mean() < 1
    none = likewise.learn(support(example(0)), checkpoint="random", support="none", **TINY)
    assert "pair.0.mask" not in none.memory.tensors


class TestTheLearner:
    def attention(self, squeeze=WIDE[0], inside=6, outside=32):
        torch.manual_seed(0)
        return Attention(inside, outside, squeeze).requires_grad_(False)

    def test_places_outside_the_mask_are_not_attended_to(self):
        module, masks = self.attention(Squeeze(3, 2)), torch.zeros(2, 9, 9)
        masks[0, :5] = 1
        masks[1] = 3
        x = torch.randn(2, 6, 4, 9, 9, generator=torch.Generator().manual_seed(1))
        other = x.clone()
        other[:, :, :, 6:] += 1  # what queries are made of reaches there too, so look at keys and values alone
        queries = module.qhead(x)
        module.qhead.forward, module.short_cut = (lambda _: queries), torch.nn.Sequential(torch.nn.Conv3d(6, 32, (1, 3, 3), (1, 2, 2), (0, 1, 1)))
        for parameter in module.requires_grad_(False).short_cut.parameters():
            parameter.zero_()
        same = (module(x, masks) - module(other, masks)).abs().amax(dim=(1, 2, 3, 4))
        assert float(same[0]) < 1e-6 < 1e-2 < float(same[1])

    def test_under_a_mask_without_area_all_places_count_alike(self):
        module, x = self.attention(Squeeze(1, 1), 32), torch.randn(1, 32, 5, 4, 4, generator=torch.Generator().manual_seed(2))
        module.qhead.weight.zero_(), module.qhead.bias.zero_()  # then they do so under the whole mask too
        torch.testing.assert_close(module(x, torch.zeros(1, 8, 8)), module(x, torch.ones(1, 8, 8)))
        assert isinstance(module.short_cut, torch.nn.Identity)

    def test_one_place_of_the_query_tells_another_nothing_but_through_the_norms(self):
        module, x = self.attention(), torch.randn(1, 6, 4, 25, 25, generator=torch.Generator().manual_seed(3))
        other = x.clone()
        other[:, :, 3] = 0
        one, two = (module.vhead(each) for each in (x, other))
        assert torch.equal(one[:, :, :3], two[:, :, :3])

    @pytest.mark.parametrize("sides", [(9, 17, 32), (16, 20, 25), (13, 25, 25)])
    def test_supports_of_these_sizes_are_squeezed_and_the_query_may_have_any(self, sides):
        learner = Asnet.untrained((2, 3, 1), sides).requires_grad_(False)
        pyramid = [torch.rand(2, count, rows, rows + 1, side, side) for count, rows, side in zip((2, 3, 1), (3, 4, 7), sides, strict=True)]
        found = learner(pyramid, torch.ones(2, 30, 30))
        assert found.shape == (2, 2, 14, 16)

    def test_a_support_of_another_size_is_said(self):
        learner = Asnet.untrained((2, 3, 1), (13, 25, 25)).requires_grad_(False)
        with pytest.raises(ValueError, match="not to 2x2"):
            learner([torch.rand(1, count, 3, 3, side, side) for count, side in ((2, 13), (3, 25), (1, 40))], None)
        with pytest.raises(ValueError, match="9 to 32 can"):
            Asnet.squeeze_for(33)
        assert MIX[1].padding == 0


class TestCheckpoints:
    def test_the_published_layouts_are_read_with_the_published_sizes(self, shared):
        for depth, count, channels in ((50, 1_320_610, (3, 6, 4)), (101, 1_354_610, (3, 23, 4))):
            layout = json.loads((shared / f"spec/state_dicts/cst_asnet_learner_r{depth}.json").read_text())
            learner = learner_in({name: torch.zeros(shape) for name, shape in layout})
            assert (sum(parameter.numel() for parameter in learner.parameters()), learner.channels) == (count, channels)
            assert [levels[0].pooled for levels in learner.squeezes] == [False, True, True]
            assert list(learner.state_dict()) == [name.removeprefix("learner.") for name, _ in layout]
        assert Asnet.published({}) == ({"official": True, "side": 400}, "")

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda tensors: tensors.pop("learner.encoder_layer4to3.1.attn.out_norm.bias"), "1 missing"),
            (lambda tensors: tensors.update({"learner.encoder_layer4to3.0.attn.short_cut.0.weight": torch.zeros(1)}), "1 unexpected"),
            (lambda tensors: tensors.update({"learner.encoder_layer2.0.ff.ff.0.weight": torch.zeros(16, 32, 1, 1)}), r"encoder_layer2.0.ff.ff.0.weight is"),
            (lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("learner.")], "a network alone"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_its_name(self, tmp_path, change, words):
        tensors = Asnet.converted(lightning(Asnet, (13, 25, 25)))
        change(tensors)
        save_file(tensors, tmp_path / "a.safetensors")
        with pytest.raises(WeightsError, match=words):
            likewise.learn(support(example(0)), checkpoint=tmp_path / "a.safetensors", **OWN)

    def test_a_size_at_which_the_shallow_maps_would_not_be_pooled_is_refused(self, checkpoint):
        with pytest.raises(InputError, match="12, 24, 48 rows"):
            likewise.learn(support(example(0)), checkpoint=checkpoint, **(OWN | {"side": 384}))
        assert BLOCKS == (1, 2, 3, 1)
