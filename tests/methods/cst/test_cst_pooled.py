"""Pseudo masks by a ResNet: how its file is read, what it sees, and a task and a training that use it."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import likewise
from likewise import Example, Support
from likewise.backbones.features import ImageFeatures
from likewise.backbones.registry import RANDOM
from likewise.backbones.resnet import ResNet, ResNetConfig
from likewise.errors import UsageError, WeightsError
from likewise.methods.convert import convert_checkpoint
from likewise.methods.cst import Cst
from likewise.methods.cst.enhancer import new_enhancer
from likewise.methods.cst.model import untrained
from likewise.methods.cst.pooled import extractor_of, last_map, pooled_mask
from likewise.methods.cst.training import trainable
from likewise.methods.trainable import TrainingEpisode
from likewise.testing.conformance import picture

pytestmark = pytest.mark.filterwarnings("ignore:no example shows")

BACKBONE, SIDE = RANDOM["vit-tiny-14"], 112
TINY = {"method": "cst", "backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "precision": "float32", "side": SIDE}


def resnet_file():
    """A small ResNet by the names of torchvision, with a classifier and counters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tensors = ResNet(ResNetConfig(blocks=(1, 2, 1, 1), base=4, stem=(8,))).state_dict()
    named = {name.replace("layer0.0.", "conv1.").replace("layer0.1.", "bn1."): tensor for name, tensor in tensors.items()}
    return {**named, "fc.weight": torch.zeros(10, 128), "fc.bias": torch.zeros(10)}


def start():
    return Cst.converted(resnet_file())


def seen(pixels):
    """Features of the picture alone, and of tokens, at the working size."""
    flat = torch.nn.functional.interpolate(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float(), size=(SIDE, SIDE))[0].to(torch.uint8)
    return ImageFeatures(torch.zeros(0), torch.zeros(0), (8, 8), pixels.shape[:2], pixels=flat)


@pytest.mark.parametrize("prefix", ["", "module.", "module.backbone.", "backbone."])
def test_the_file_of_a_resnet_becomes_a_start_whatever_stands_before_its_names(tmp_path, prefix):
    foreign = {f"{prefix.removesuffix('backbone.')}head.mlp.0.weight": torch.zeros(3, 2)} if "backbone." in prefix else {}
    save_file({prefix + name: tensor for name, tensor in resnet_file().items()} | foreign, tmp_path / "resnet.safetensors")
    count = convert_checkpoint("cst", tmp_path / "resnet.safetensors", tmp_path / "start.safetensors")
    found = load_file(tmp_path / "start.safetensors")
    assert len(found) == count
    assert all(torch.equal(found[name], tensor) for name, tensor in start().items())
    assert set(found) == set(start())
    assert {name.split(".")[0] for name in found} == {"extractor"}


def test_a_network_that_is_not_whole_is_refused_and_one_alone_answers_nothing():
    broken = {name: tensor for name, tensor in resnet_file().items() if name != "layer3.0.conv2.weight"}
    with pytest.raises(WeightsError):
        Cst.converted(broken)
    with pytest.raises(WeightsError, match="no learner"):
        Cst().equipped(start())


def test_the_mask_is_where_a_picture_is_least_like_the_mean_of_the_support():
    looks = torch.eye(5)
    ground, thing = looks[0], looks[1] + 0.2 * looks[0]
    support = ground[:, None, None].repeat(1, 6, 7)
    support[:, 1:3, 2:5] = thing[:, None, None]
    image = ground[:, None, None].repeat(1, 4, 5)
    image[:, 2:, :2] = thing[:, None, None]
    expected = torch.zeros(4, 5, dtype=torch.bool)
    expected[2:, :2] = True
    assert torch.equal(pooled_mask(image, support, (4, 5)), expected)
    assert pooled_mask(image, support, (40, 31)).shape == (40, 31)
    assert pooled_mask(support[:, :1, :1], support, (4, 5)).all()


def test_the_last_map_is_that_of_the_normalised_picture():
    pixels = picture(1, SIDE, SIDE)[0]
    network = extractor_of(start())
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    image = (torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 255 - mean) / std
    torch.testing.assert_close(last_map(seen(pixels), network), network(image[None])[-1][0], rtol=1e-4, atol=1e-4)
    with pytest.raises(UsageError, match="no picture"):
        last_map(ImageFeatures(torch.zeros(0), torch.zeros(0), (8, 8), (9, 9)), network)


def example(index, **labels):
    return Example(picture(index, 70 + 9 * index, 100 - 7 * index)[0], f"e{index}", **labels)


def learned(checkpoint, *examples):
    return likewise.learn(Support(examples, classes={1: "red", 2: "green"}), checkpoint=checkpoint, pseudo="pooled", **TINY)


def test_a_task_by_tags_is_learned_by_the_resnet_saved_and_grown(tmp_path):
    save_file(untrained(12).state_dict() | start(), tmp_path / "cst.safetensors")
    one, two = example(0, tags={"red": True}), example(1, tags={"green": True, "red": True})
    task = learned(tmp_path / "cst.safetensors", one)
    spec, provider = task.method.wants()[1], task.ready()
    (item,) = provider.extract([provider.prepare(one.image, [spec])], spec)
    own = last_map(item, extractor_of(start()))
    mask = pooled_mask(own, own, (SIDE, SIDE))
    assert 0 < mask.float().mean() < 1
    assert torch.equal(task.memory.tensors["hidden.0"][0], untrained(12).hidden(mask[None].float())[0][0])
    task.save(tmp_path / "a.task")
    grown = likewise.load(tmp_path / "a.task", device="cpu", engine="torch", precision="float32").update(Support([two], classes={1: "red", 2: "green"}))
    whole = learned(tmp_path / "cst.safetensors", one, two)
    assert all(torch.equal(whole.memory.tensors[name], tensor) for name, tensor in grown.memory.tensors.items())
    query = picture(7, 40, 60)[0]
    assert np.array_equal(grown.predict(query).labels, whole.predict(query).labels)


def test_without_a_resnet_in_the_checkpoint_it_is_said_before_anything_is_seen():
    with pytest.raises(UsageError, match="holds no ResNet"):
        learned("random", example(0, tags={"red": True}))


def tokens(seed):
    random = torch.Generator().manual_seed(seed)
    heads = torch.randn(BACKBONE.heads, 64, 16, generator=random)
    prefix = torch.randn(2, BACKBONE.heads, 1, 16, generator=random)
    layers = torch.randn(BACKBONE.depth, 64, 48, generator=random)
    return ImageFeatures(layers, torch.randn(BACKBONE.depth, 1, 48, generator=random), (8, 8), (40, 30), heads, heads, prefix_qk=prefix)


def test_support_and_query_of_a_training_are_masked_by_the_resnet():
    task = trainable(BACKBONE, {"side": SIDE, "supervision": "pseudo", "pseudo": "pooled"}, start=start())
    assert [spec.backbone for spec in task.wants()] == ["", None]
    other = seen(picture(1, 60, 80)[0]), seen(picture(2, 75, 50)[0])
    episode = TrainingEpisode(tokens(1), tokens(2), True, None, None, (other,))
    query, support = (last_map(item, extractor_of(start())) for item in other)
    assert torch.equal(task._query_mask(episode), pooled_mask(query, support, (SIDE, SIDE)))
    assert torch.equal(task._support_mask(episode), pooled_mask(support, support, (SIDE, SIDE)).float())
    task.episode_loss(episode, torch.Generator())["loss"].backward()
    assert all(parameter.grad is not None for parameter in task.parameters())
    assert all(parameter.grad is None for parameter in task.extractor.parameters())
    assert set(task.checkpoint()) == {*untrained(12).state_dict(), *start()}
    assert task.method().settings.pseudo == "pooled"
    again = trainable(BACKBONE, {"side": SIDE, "pseudo": "pooled"}, start=task.checkpoint())
    assert torch.equal(next(again.parameters()), next(task.parameters()))


@pytest.mark.parametrize(
    ("settings", "begin", "words"),
    [
        ({"pseudo": "pooled"}, {}, "no ResNet to begin from"),
        ({"pseudo": "pooled", "pseudo_backbone": "mae-base-16"}, start(), "ResNet of the start"),
        ({"pseudo": "pooled", "part": "enhancer"}, start(), "reads attention"),
        ({"pseudo": "walk"}, start(), "pseudo is 'walk'"),
        ({"pseudo": "pooled"}, start() | {f"enhancer.{name}": tensor for name, tensor in new_enhancer(3).state_dict().items()}, "reads attention"),
    ],
)
def test_a_start_and_settings_that_do_not_go_together_are_refused(settings, begin, words):
    with pytest.raises(UsageError, match=words):
        trainable(BACKBONE, settings, start=begin)
