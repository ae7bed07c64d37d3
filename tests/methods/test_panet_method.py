"""PANet as a method: on tokens without a checkpoint, with the two published networks, and what is refused."""

import json

import numpy as np
import pytest
import torch
from pyramid_small import example, small_resnet, small_vgg, support, tagged
from safetensors.torch import save_file
from torch.nn.functional import interpolate

import likewise
from likewise import Example
from likewise.backbones.features import ImageFeatures
from likewise.data.geometry import squash_image
from likewise.errors import InputError, UsageError, WeightsError
from likewise.functional.resize import resize_corners, resize_nearest
from likewise.methods.panet import Panet
from likewise.methods.panet.checkpoint import network_of
from likewise.methods.panet.method import network_maps
from likewise.testing.conformance import picture
from likewise.weights import Card, write_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:no example shows")

TINY = {"method": "panet", "backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "precision": "float32", "side": 168}
OWN = {"method": "panet", "device": "cpu", "network": "own"}
RESNET_SIDE, VGG_SIDE = 200, 113


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("panet")
    save_file(Panet.converted({f"backbone.{name}": tensor for name, tensor in small_resnet().items()}), path / "resnet.safetensors")
    save_file(Panet.converted(small_vgg()), path / "vgg.safetensors")
    return path


def voided(index, numbers):
    """An example with a stripe that is to be ignored, over class and background."""
    found = example(index, numbers)
    labels = found.label_map.copy()
    labels[:, 10:30] = 255
    return Example(np.asarray(found.image), found.name, label_map=labels)


def maps_of(path, pixels, side):
    square = torch.from_numpy(squash_image(np.asarray(pixels), (side, side)).copy()).permute(2, 0, 1)
    nothing = torch.zeros(0, 0, 0)
    return network_maps(ImageFeatures(nothing, nothing, (0, 0), (side, side), pixels=square), network_of(likewise.weights.read_checkpoint(path)[0]))[0]


def squares(labels, side):
    return resize_nearest(torch.from_numpy(labels.astype(np.float32)), (side, side))


def cosines(maps, prototypes):
    rows = maps.flatten(1)
    return torch.stack([20 * torch.cosine_similarity(rows, prototype[:, None], dim=0).reshape(maps.shape[1:]) for prototype in prototypes])


@pytest.mark.parametrize("official", [True, False])
def test_with_a_resnet_places_of_all_images_are_pooled(folder, official):
    examples = [voided(0, (1, 2)), example(1, (1,)), example(2, (2,))]
    shown = {1: (0, 1), 2: (0, 2)}
    sums = {number: torch.zeros(2, 128) for number in (0, 1, 2)}  # sum and count
    for number, indices in shown.items():
        for index in indices:
            maps, labels = maps_of(folder / "resnet.safetensors", examples[index].image, RESNET_SIDE), examples[index].label_map
            grid = tuple(maps.shape[1:])
            own = resize_corners(squares(labels == number, RESNET_SIDE), grid) > 0
            void = torch.zeros(grid, dtype=torch.bool) if official else resize_corners(squares(labels == 255, RESNET_SIDE), grid) > 0
            for place, cells in ((number, own), (0, ~own & ~void)):
                sums[place] += torch.stack([maps[:, cells].sum(1), torch.full((128,), float(cells.sum()))])
    prototypes = [total / count for total, count in sums.values()]
    pixels = picture(7, 60, 90)[0]
    logits = cosines(maps_of(folder / "resnet.safetensors", pixels, RESNET_SIDE), prototypes)
    task = likewise.learn(support(*examples), checkpoint=folder / "resnet.safetensors", side=RESNET_SIDE, official=official, **OWN)
    prediction = task.predict(pixels)
    expected = torch.softmax(resize_corners(logits, (60, 90)), dim=0).numpy()
    if official:  # else a class that is said to be absent takes no pixel
        assert np.abs(prediction.scores - expected).max() < 2e-3
    torch.testing.assert_close(task.memory.tensors["background"][0], prototypes[0], atol=1e-3, rtol=1e-3)
    peaks = torch.softmax(logits, dim=0)[1:].flatten(1).amax(1)
    assert list(prediction.present.values()) == pytest.approx(peaks.tolist(), abs=1e-3)


@pytest.mark.parametrize("official", [True, False])
def test_with_a_vgg_means_of_images_are_averaged_over_enlarged_maps(folder, official):
    examples = [voided(0, (1, 2)), example(1, (1,)), example(2, (2,))]
    means = {0: [], 1: [], 2: []}
    for number, indices in {1: (0, 1), 2: (0, 2)}.items():
        for index in indices:
            maps, labels = maps_of(folder / "vgg.safetensors", examples[index].image, VGG_SIDE), examples[index].label_map
            large = interpolate(maps[None], size=(VGG_SIDE, VGG_SIDE), mode="bilinear", align_corners=False)[0]
            ground = (labels == 0) | (labels == 255) if official else labels == 0
            for place, chosen in ((number, labels == number), (0, ground)):
                mask = squares(chosen, VGG_SIDE)
                means[place].append((large * mask).sum((1, 2)) / (mask.sum() + 1e-5))
    prototypes = [torch.stack(own).mean(0) for own in means.values()]
    task = likewise.learn(support(*examples), checkpoint=folder / "vgg.safetensors", side=VGG_SIDE, official=official, **OWN)
    torch.testing.assert_close(task.memory.tensors["classes"], torch.stack(prototypes[1:]), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(task.memory.tensors["background"][0], prototypes[0], atol=1e-4, rtol=1e-3)
    pixels = picture(7, 60, 90)[0]
    logits = cosines(maps_of(folder / "vgg.safetensors", pixels, VGG_SIDE), prototypes)
    assert logits.shape[1:] == (15, 15)
    found = task.predict(pixels).scores
    expected = torch.softmax(interpolate(logits[None], size=(60, 90), mode="bilinear", align_corners=False)[0], dim=0).numpy()
    if official:
        assert np.abs(found - expected).max() < 2e-3


def test_on_tokens_a_prototype_is_the_mean_of_what_the_mask_covers_and_nothing_is_trained():
    examples = [example(0, (1, 2)), example(1, (1,))]
    task = likewise.learn(support(*examples), **TINY)
    (features,) = task.ready().extract([task.prepare(np.asarray(examples[0].image))], task.method.wants()[0])
    shares, weight = task.support.examples[0].labels.coverage((1, 2), features.grid)
    assert weight.min() > 0.9999
    tokens = features.tokens[-1].float()
    expected = torch.from_numpy(shares[2].reshape(-1)) @ tokens / shares[2].sum()
    torch.testing.assert_close(task.memory.tensors["classes"][1], expected, atol=1e-4, rtol=1e-4)
    (other,) = task.ready().extract([task.prepare(np.asarray(examples[1].image))], task.method.wants()[0])
    grounds = [(tokens, torch.from_numpy(shares[0].reshape(-1)))] * 2  # the first image shows two classes
    grounds.append((other.tokens[-1].float(), torch.from_numpy(task.support.examples[1].labels.coverage((1, 2), other.grid)[0][0].reshape(-1))))
    expected = sum(weight @ rows for rows, weight in grounds) / sum(weight.sum() for _, weight in grounds)
    torch.testing.assert_close(task.memory.tensors["background"][0], expected, atol=1e-4, rtol=1e-4)
    assert not Panet.trained


def test_an_image_without_any_class_is_background_all_over():
    with_it = likewise.learn(support(example(0, (1,)), example(1, ())), **TINY)
    without = likewise.learn(support(example(0, (1,))), **TINY)
    assert torch.equal(with_it.memory.tensors["classes"], without.memory.tensors["classes"])
    assert not torch.allclose(with_it.memory.tensors["background"], without.memory.tensors["background"])


def test_lazily_each_class_that_is_shown_has_a_background(folder):
    for extra in ({**TINY}, {**OWN, "checkpoint": folder / "resnet.safetensors"}, {**OWN, "checkpoint": folder / "vgg.safetensors", "side": VGG_SIDE}):
        lazy = likewise.learn(support(example(0, (1,)), example(1, (2,))), lazy=True, **extra)
        assert lazy.memory.tensors["background"].shape[0] == 2
        assert not torch.allclose(*lazy.memory.tensors["background"])
        alone = likewise.learn(support(example(0, (1,))), lazy=True, **extra)
        assert alone.memory.tensors["background"].shape[0] == 1
        torch.testing.assert_close(alone.memory.tensors["background"][0], lazy.memory.tensors["background"][0])
        assert alone.predict(picture(7, 60, 90)[0]).present["green"] == 0


def test_boxes_and_tags_become_patches_on_tokens_and_are_refused_by_an_own_network(folder):
    pixels, _ = picture(0, 168, 168)
    boxed = Example(pixels, "a", boxes={"red": [(0, 0, 84, 84)]})
    assert likewise.learn(support(boxed, example(1, (1,))), **TINY).memory.tensors["seen"].tolist() == [True, False]
    assert likewise.learn(support(tagged(0, red=True), tagged(1, red=False, green=True)), **TINY).memory.tensors["seen"].tolist() == [True, True]
    for bare in (boxed, tagged(0, red=True)):
        with pytest.raises(InputError, match="likewise refine"):
            likewise.learn(support(bare), checkpoint=folder / "vgg.safetensors", side=VGG_SIDE, **OWN)


def test_a_task_finds_its_network_again_and_grows(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIKEWISE_WEIGHTS", str(folder))
    task = likewise.learn(support(example(0, (1,)), example(1, (2,))), checkpoint=folder / "resnet.safetensors", side=RESNET_SIDE, **OWN)
    query = picture(7, 60, 90)[0]
    opened = likewise.load(task.save(tmp_path / "a.task"), device="cpu")
    assert np.array_equal(opened.predict(query).labels, task.predict(query).labels)
    grown = opened.update(support(example(2, (1,))))
    anew = likewise.learn(support(example(0, (1,)), example(1, (2,)), example(2, (1,))), checkpoint=folder / "resnet.safetensors", side=RESNET_SIDE, **OWN)
    assert all(torch.equal(tensor, anew.memory.tensors[name]) for name, tensor in grown.memory.tensors.items())


class TestCheckpoints:
    def test_the_published_layouts_are_read_and_say_how_they_are_used(self, shared):
        states = shared / "spec/state_dicts"
        vgg = {f"module.{name}": torch.zeros(shape) for name, shape in json.loads((states / "cst_panet_vgg16.json").read_text())}
        assert len(Panet.converted(vgg)) == 26
        assert Panet.published(vgg) == ({"network": "own", "official": True, "side": 417}, "")
        with torch.device("meta"):
            resnet = {f"backbone.{name}": torch.empty(shape) for name, shape in json.loads((states / "torchvision_resnet50.json").read_text())}
        assert len(Panet.converted(resnet)) == 318 - 53
        assert Panet.published(resnet)[0]["side"] == 400

    def test_the_same_network_is_read_by_each_of_its_names(self):
        plain = Panet.converted(small_vgg())
        assert next(iter(plain)) == "backbone.features.0.0.weight"
        published = {name.replace("backbone.", "module.encoder.backbone."): tensor for name, tensor in plain.items()}
        for given in (published, {name.removeprefix("backbone."): tensor for name, tensor in plain.items()}):
            assert all(torch.equal(tensor, plain[name]) for name, tensor in Panet.converted(given).items())
        resnet = Panet.converted(small_resnet())
        assert all(torch.equal(tensor, resnet[f"backbone.{name}"]) for name, tensor in small_resnet().items() if f"backbone.{name}" in resnet)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda tensors: tensors.update({"learner.extra": torch.zeros(1)}), "learner.extra, which are none of PANet"),
            (lambda tensors: tensors.pop("backbone.layer4.0.bn3.running_var"), "layer4.0.bn3.running_var"),
            (lambda tensors: tensors.clear(), "has no network"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_its_name(self, change, words):
        tensors = {f"backbone.{name}": tensor for name, tensor in small_resnet().items()}
        change(tensors)
        with pytest.raises(WeightsError, match=words):
            Panet.converted(tensors)

    def test_a_checkpoint_and_the_setting_for_it_go_together(self, folder):
        with pytest.raises(UsageError, match="reads the program's backbone unless") as raised:  # of a file without a card
            likewise.learn(support(example(0)), checkpoint=folder / "vgg.safetensors", **TINY)
        assert "network=own" in raised.value.remedy
        with pytest.raises(WeightsError, match="needs trained weights"):
            likewise.learn(support(example(0)), **OWN)
        with pytest.raises(UsageError, match="no untrained network"):
            likewise.learn(support(example(0)), checkpoint="random", **OWN)
        with pytest.raises(UsageError, match="setting 'network'"):
            likewise.learn(support(example(0)), **(TINY | {"network": "token"}))

    def test_the_card_of_a_converted_file_says_the_setting(self, folder, tmp_path):
        write_checkpoint(Panet.converted(small_vgg()), tmp_path / "carded.safetensors", Card("panet", {"network": "own", "side": VGG_SIDE}))
        asked = {"method": "panet", "backbone": "random:vit-tiny-14", "device": "cpu"}
        carded = likewise.learn(support(example(0)), checkpoint=tmp_path / "carded.safetensors", **asked)
        told = likewise.learn(support(example(0)), checkpoint=folder / "vgg.safetensors", side=VGG_SIDE, **OWN)
        assert all(torch.equal(tensor, told.memory.tensors[name]) for name, tensor in carded.memory.tensors.items())
