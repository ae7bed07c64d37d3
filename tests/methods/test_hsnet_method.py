"""HSNet as a method: the published answer from what is kept, how classes, images and labels are joined, and what is refused."""

import json

import numpy as np
import pytest
import torch
from pyramid_small import BLOCKS, example, lightning, small_resnet, small_vgg, support, tagged
from safetensors.torch import save_file

import likewise
from likewise import Example
from likewise.backbones.features import ImageFeatures
from likewise.data.geometry import squash_image
from likewise.errors import InputError, UsageError, WeightsError
from likewise.functional.frame_losses import log_maps
from likewise.functional.resize import resize_corners, resize_nearest
from likewise.layers.correlation_pyramid import correlations, masked, unit
from likewise.layers.fscs import decide_by_votes, vote_foreground
from likewise.methods.hsnet import Hsnet
from likewise.methods.hsnet.checkpoint import learner_in
from likewise.methods.pyramid_levels import levels_of, squared
from likewise.methods.pyramid_weights import backbone_of
from likewise.testing.conformance import picture

pytestmark = pytest.mark.filterwarnings("ignore:no example shows")

SIDE = 264
OWN = {"method": "hsnet", "device": "cpu", "side": SIDE}
TINY = {"method": "hsnet", "backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "precision": "float32", "side": 168}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("hsnet") / "hsnet.safetensors"
    save_file(Hsnet.converted(lightning(Hsnet, (9, 17, 33))), path)
    return path


def published(tensors, query, shots, size):
    """Log maps (K, 1, N, 2, h, w) as the published code makes them, from pictures; shots: of each shot the example of each class."""
    network, learner = backbone_of(tensors), learner_in(tensors)

    def levels(pixels):
        square = torch.from_numpy(squash_image(pixels, (SIDE, SIDE)).copy()).permute(2, 0, 1)
        nothing = torch.zeros(0, 0, 0)
        return levels_of(ImageFeatures(nothing, nothing, (0, 0), size, pixels=square), network, many_heads=True)

    found = []
    with torch.inference_mode():
        mine = [unit(level)[None] for level in levels(query)]
        for shot in shots:
            ways = []
            for number, one in enumerate(shot, start=1):
                mask = resize_nearest(torch.from_numpy((one.label_map == number).astype(np.float32)), (SIDE, SIDE)) * number
                theirs = [unit(masked(level[None], mask[None])) for level in levels(np.asarray(one.image))]
                ways.append(log_maps(learner([correlations(q, s) for q, s in zip(mine, theirs, strict=True)])))
            found.append(torch.cat(ways)[None])
    return torch.stack(found)


def test_two_classes_and_two_images_are_answered_as_published(checkpoint):
    shots = [[example(0, (1,)), example(1, (2,))], [example(2, (1,)), example(3, (2,))]]
    query, size = picture(7, 60, 90)[0], (60, 90)
    tensors = likewise.weights.read_checkpoint(checkpoint)[0]
    maps = published(tensors, query, shots, size)
    expected, votes, merged = decide_by_votes(maps, size)
    task = likewise.learn(support(*shots[0], *shots[1]), checkpoint=checkpoint, official=True, **OWN)
    prediction = task.predict(query)
    assert (prediction.labels == expected.labels[0].numpy()).mean() > 0.999
    assert [prediction.present[name] for name in ("red", "green")] == (votes[0] / 2).tolist()
    scores = torch.softmax(merged[0], dim=0).numpy()
    assert np.abs(prediction.scores - scores).max() < 1e-3
    sane = likewise.learn(support(*shots[0], *shots[1]), checkpoint=checkpoint, **OWN).predict(query)
    surest = maps[:, 0, :, 1].flatten(2).max(dim=2).values.exp().mean(dim=0)
    assert [sane.present[name] for name in ("red", "green")] == pytest.approx(surest.tolist(), abs=1e-4)


@pytest.mark.parametrize("official", [True, False])
def test_in_segmentation_alone_images_vote_pixel_by_pixel(checkpoint, official):
    shots = [[example(index, (1,))] for index in (0, 1, 2)]
    query, size = picture(7, 60, 90)[0], (60, 90)
    tensors = dict(likewise.weights.read_checkpoint(checkpoint)[0])
    maps = published(tensors, query, shots, size)[:, 0, 0]
    apart = resize_corners(maps[:, 1] - maps[:, 0], size)
    middle = float(apart.amin(dim=0).max()) + 1e-5  # no place has all three votes, and some have two
    tensors["learner.decoder2.2.bias"] = tensors["learner.decoder2.2.bias"] - torch.tensor([0.0, middle])
    save_file(tensors, checkpoint.parent / "voting.safetensors")
    votes = (apart > middle).sum(dim=0)[None]
    assert votes.unique().tolist() == [0, 1, 2]
    expected = vote_foreground(votes, 3, official=official)[0].numpy()
    task = likewise.learn(
        likewise.Support([shot[0] for shot in shots], classes={1: "red"}),
        checkpoint=checkpoint.parent / "voting.safetensors",
        frame="fss",
        official=official,
        **OWN,
    )
    found = task.predict(query).scores.argmax(axis=0) == 1
    assert (found == expected).mean() > 0.998


def test_only_the_places_under_the_mask_are_kept(checkpoint):
    half = np.zeros((100, 100), np.uint8)
    half[:50] = 1
    pixels = picture(3, 100, 100)[0]
    task = likewise.learn(support(Example(pixels, "a", label_map=half)), checkpoint=checkpoint, **OWN)
    where = task.memory.tensors["pair.0.2.where"]
    assert task.memory.tensors["pair.0.2.tokens"].shape == (BLOCKS[1], 32, len(where))
    assert int(where.max()) // 33 == 16  # the last row that the mask reaches
    assert not any(name.startswith(("learner", "backbone", "checkpoint")) for name in task.memory.tensors)


def test_on_tokens_a_mask_between_the_places_does_not_vanish():
    small = np.zeros((168, 168), np.uint8)
    small[36:38, 82:85] = 1  # the corners of the 12 x 12 places lie 15.2 pixels apart: at 30.4 and 45.5, 76 and 91
    pixels = picture(3, 168, 168)[0]
    where = likewise.learn(support(Example(pixels, "a", label_map=small)), checkpoint="random", **TINY).memory.tensors["pair.0.2.where"]
    assert where.tolist() == [2 * 12 + 5]  # the patch that it lies in
    small[25:60, 60:100] = 1
    where = likewise.learn(support(Example(pixels, "a", label_map=small)), checkpoint="random", **TINY).memory.tensors["pair.0.2.where"]
    assert sorted({int(place) // 12 for place in where}) == [2, 3]


def test_an_image_makes_a_pair_with_each_class_that_it_shows_and_the_others_are_outside():
    both = likewise.learn(support(example(0), example(1, (2,)), example(2, ())), checkpoint="random", **TINY)
    assert list(zip(both.memory.facts["pair_class"], both.memory.facts["pair_image"], strict=True)) == [(0, 0), (1, 0), (1, 1)]
    alone = likewise.learn(support(example(0, (1,))), checkpoint="random", **TINY)
    assert torch.equal(both.memory.tensors["pair.0.2.where"], alone.memory.tensors["pair.0.2.where"])
    assert not torch.equal(both.memory.tensors["pair.1.2.where"], alone.memory.tensors["pair.0.2.where"])


def test_layers_of_the_backbone_are_the_maps_of_three_levels_the_last_ones_deepest():
    task = likewise.learn(support(example(0, (1,))), checkpoint="random", support="none", **TINY)
    (features,) = task.ready().extract([task.prepare(np.asarray(example(0).image))], task.method.wants()[0])
    tokens = features.tokens.float()  # four layers of 3 heads of 16 channels on 12 x 12
    kept = [task.memory.tensors[f"pair.0.{level}.tokens"] for level in range(3)]
    assert [tuple(one.shape) for one in kept] == [(3, 16, 144), (3, 16, 144), (6, 16, 144)]
    expected = torch.nn.functional.normalize(tokens[3].reshape(144, 3, 16), dim=-1).permute(1, 2, 0)
    torch.testing.assert_close(kept[0].float(), expected, atol=1e-4, rtol=1e-3)
    whole = likewise.learn(support(example(0, (1,))), checkpoint="random", support="none", many_heads=False, square=10, **TINY)
    assert whole.memory.tensors["pair.0.2.tokens"].shape == (2, 48, 100)
    maps = levels_of(features, None, many_heads=False)
    torch.testing.assert_close(whole.memory.tensors["pair.0.1.tokens"].float().reshape(1, 48, 10, 10), unit(squared(maps, 10)[1]), atol=1e-4, rtol=1e-3)


def test_boxes_and_tags_become_masks_of_patches_and_without_tokens_a_tag_is_the_whole_image(checkpoint):
    pixels, _ = picture(0, 168, 168)
    boxed = Example(pixels, "a", boxes={"red": [(0, 0, 84, 84)]})
    where = likewise.learn(support(boxed, example(1, (1,))), checkpoint="random", **TINY).memory.tensors["pair.0.2.where"]
    assert 0 < len(where) <= 49
    assert int(where.max()) // 12 <= 6
    assert likewise.learn(support(tagged(0, red=True), tagged(1, red=False, green=True)), checkpoint="random", **TINY).memory.facts["pair_class"] == [0, 1]
    own = likewise.learn(support(tagged(0, red=True)), checkpoint=checkpoint, **OWN)
    assert len(own.memory.tensors["pair.0.2.where"]) == 33 * 33
    with pytest.raises(InputError, match="likewise refine"):
        likewise.learn(support(boxed), checkpoint=checkpoint, **OWN)


def test_a_method_that_reads_a_backbone_says_that_none_is_named():
    with pytest.raises(UsageError, match="none is named"):
        likewise.learn(support(example(0, (1,))), "prototype", backbone="none")


def test_a_task_finds_its_checkpoint_again_and_grows(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIKEWISE_WEIGHTS", str(checkpoint.parent))
    task = likewise.learn(support(example(0, (1,)), example(1, (2,))), checkpoint=checkpoint, **OWN)  # no backbone's weights are there
    assert task.weights["backbone"]["name"] == "none"
    query = picture(7, 60, 90)[0]
    opened = likewise.load(task.save(tmp_path / "a.task"), device="cpu")
    assert (tmp_path / "a.task").stat().st_size < 3_000_000  # neither network is in it
    assert np.array_equal(opened.predict(query).labels, task.predict(query).labels)
    grown = opened.update(support(example(2, (1,))))
    anew = likewise.learn(support(example(0, (1,)), example(1, (2,)), example(2, (1,))), checkpoint=checkpoint, **OWN)
    assert all(torch.equal(tensor, anew.memory.tensors[name]) for name, tensor in grown.memory.tensors.items())


class TestCheckpoints:
    def test_the_published_layouts_are_read_with_the_published_sizes(self, shared):
        folder = shared / "spec/state_dicts"
        resnet = json.loads((folder / "torchvision_resnet50.json").read_text())
        for depth, count, channels in ((50, 2_573_794, (3, 6, 4)), (101, 2_587_394, (3, 23, 4))):
            layout = json.loads((folder / f"cst_hsnet_learner_r{depth}.json").read_text())
            learner = learner_in({name: torch.zeros(shape) for name, shape in layout})
            assert (sum(parameter.numel() for parameter in learner.parameters()), learner.channels) == (count, channels)
            assert learner.squeezes == ((3, 3, 3), (5, 3, 3), (5, 5, 3))
        with torch.device("meta"):
            whole = {name: torch.empty(shape) for name, shape in json.loads((folder / "cst_hsnet_learner_r50.json").read_text())}
            whole |= {f"backbone.{name}": torch.empty(shape) for name, shape in resnet}
        found = Hsnet.converted(whole)
        assert len(found) == 98 + 318 - 53  # without classifier and counters
        assert Hsnet.published(whole) == ({"official": True, "side": 400, "frame": "fscs"}, "")

    def test_the_original_network_is_known_by_its_prefix_also_from_several_devices(self):
        plain = lightning(Hsnet, (9, 17, 33))
        original = {f"module.{name.replace('learner.', 'hpn_learner.')}": tensor for name, tensor in plain.items()}
        found, expected = Hsnet.converted(original), Hsnet.converted(plain)
        assert found.keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
        assert Hsnet.published(original)[0]["frame"] == "fss"

    def test_a_vgg_16_may_be_the_network(self, tmp_path):
        save_file(Hsnet.converted(lightning(Hsnet, (9, 18, 36), (1, 3, 3), "hpn_learner.", small_vgg())), tmp_path / "vgg.safetensors")
        task = likewise.learn(support(example(0, (1,))), checkpoint=tmp_path / "vgg.safetensors", **(OWN | {"side": 288}))
        assert [len(task.memory.tensors[f"pair.0.{level}.tokens"]) for level in range(3)] == [1, 3, 3]
        assert task.predict(picture(7, 60, 90)[0]).size == (60, 90)

    def test_a_network_alone_is_a_start_and_no_checkpoint_to_answer_with(self, tmp_path):
        start = Hsnet.converted(small_resnet())
        assert all(name.startswith("backbone.") for name in start)
        assert "backbone.fc.weight" not in start
        save_file(start, tmp_path / "start.safetensors")
        with pytest.raises(WeightsError, match="a network alone, no learner"):
            likewise.learn(support(example(0)), checkpoint=tmp_path / "start.safetensors", **OWN)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda tensors: tensors.pop("learner.decoder1.2.bias"), r"1 missing \(decoder1.2.bias\)"),
            (lambda tensors: tensors.update({"learner.extra": torch.zeros(1)}), r"1 unexpected \(extra\)"),
            (lambda tensors: tensors.update({"other.weight": torch.zeros(1)}), "other.weight"),
            (lambda tensors: tensors.pop("learner.encoder_layer3.0.conv1.weight"), "no checkpoint of HSNet"),
            (lambda tensors: tensors.update({"learner.encoder_layer3.4.weight": torch.zeros(65)}), r"encoder_layer3.4.weight is \(65,\)"),
            (lambda tensors: tensors.pop("backbone.layer4.0.bn3.running_var"), r"layer4.0.bn3.running_var"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_its_name(self, change, words):
        tensors = lightning(Hsnet, (9, 17, 33))
        change(tensors)
        with pytest.raises(WeightsError, match=words):
            Hsnet.converted(tensors)

    def test_a_checkpoint_of_other_tokens_or_for_another_size_is_refused_before_anything_is_read(self, tmp_path, checkpoint):
        tokens = {f"learner.{name}": tensor for name, tensor in Hsnet.untrained((6, 3, 3), (12, 12, 12)).state_dict().items()}
        save_file(tokens, tmp_path / "tokens.safetensors")
        with pytest.raises(InputError, match="reads 6, 3, 3 maps of correlations, the backbone gives 3, 3, 6"):
            likewise.learn(support(example(0)), checkpoint=tmp_path / "tokens.safetensors", **TINY)
        for side in (200, 600):
            with pytest.raises(InputError, match=f"a square of {side} pixels"):
                likewise.learn(support(example(0)), checkpoint=checkpoint, **(OWN | {"side": side}))


@pytest.mark.parametrize(("setting", "value"), [("support", "mask"), ("frame", "fs"), ("square", 8)])
def test_a_setting_that_does_not_exist_is_named(setting, value):
    with pytest.raises(UsageError, match=f"setting '{setting}'"):
        likewise.learn(support(example(0)), checkpoint="random", **TINY, **{setting: value})
