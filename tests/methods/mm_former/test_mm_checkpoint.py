"""Checkpoints of MM-Former: the published layouts of both stages and releases, strict; sizes out of tensors."""

import json

import pytest
import torch
from mm_small import BACKBONE, MATCHING, SEGMENTER, noise, official_names, picture, small_backbone, small_matcher, support

from likewise import learn
from likewise.backbones.resnet import ResNetConfig
from likewise.errors import WeightsError
from likewise.methods.convert import convert_checkpoint
from likewise.methods.mm_former.checkpoint import backbone_of, converted, matcher_of
from likewise.weights import read_card, read_checkpoint

HEADS = {"matching_heads": 2}


@pytest.fixture(scope="module")
def networks():
    return small_matcher(), small_backbone()


@pytest.fixture
def official(networks):
    return official_names(*networks)


def test_a_published_checkpoint_gives_the_same_networks(networks, official):
    module, network = networks
    tensors = converted(official)
    again, backbone = matcher_of(tensors, **HEADS), backbone_of(tensors)
    assert (again.segmenter.config, again.matching.config, backbone.config) == (SEGMENTER, MATCHING, BACKBONE)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in module.state_dict().items())
    images = noise(3, 2, 3, 44, 52)
    for one, two in zip(network(images), backbone(images), strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-3)


def test_factors_become_one_kernel_and_leftovers_are_dropped(official):
    tensors = converted(official)
    assert not any("vector_S" in name or "crossat_3" in name or "criterion" in name for name in tensors)
    assert tensors["backbone.layer0.0.weight"].shape == (8, 3, 3, 3)


def test_a_checkpoint_of_the_first_stage_has_an_untrained_matching_of_its_sizes(official):
    first = {name: tensor for name, tensor in official.items() if name.startswith(("layer", "sem_seg_head."))}
    module = matcher_of(converted(first), **HEADS)
    assert module.matching.config.channels == (128, 64, 32)
    assert module.matching.config.proposals == 7
    assert torch.equal(module.segmenter.state_dict()["attention.queries_features.weight"], official["sem_seg_head.predictor.query_feat.weight"])


def test_a_backbone_of_the_first_release_is_read_by_its_own_names(networks):
    plain = small_backbone(ResNetConfig(blocks=(1, 2, 1, 1), base=4, stem=(8,)))
    found = official_names(networks[0], None)
    for name, tensor in plain.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.startswith("layer0."):
            _, index, kind = name.split(".")
            found["backbone.stem.conv1." + ("" if index == "0" else "norm.") + kind] = tensor
            continue
        stage, block, *rest = name.split(".")
        place = ".".join(rest).replace("downsample.0.", "shortcut.").replace("downsample.1.", "shortcut.norm.")
        for index in "123":
            place = place.replace(f"bn{index}.", f"conv{index}.norm.")
        found[f"backbone.res{int(stage[5:]) + 1}.{block}.{place}"] = tensor
    network = backbone_of(converted(found))
    assert network.config.output_stride == 32
    images = noise(4, 1, 3, 70, 64)
    for one, two in zip(plain(images), network(images), strict=True):
        assert torch.equal(one, two)


def test_a_doubled_prefix_of_states_without_version_is_taken_off(official):
    doubled = {name.replace("sem_seg_head.pixel_decoder.", "sem_seg_head.pixel_decoder.pixel_decoder."): tensor for name, tensor in official.items()}
    assert converted(doubled).keys() == converted(official).keys()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: t.pop("fc2.bias"), "fc2.bias"),
        (lambda t: t.pop("crossat_1.transformer_ffn_layers.0.norm.weight"), "missing"),
        (lambda t: t.pop("sem_seg_head.pixel_decoder.layer_1.weight"), "missing"),
        (lambda t: t.pop("layer2.1.bn2.running_var"), "missing"),
        (lambda t: t.update({"layer2.1.more": torch.zeros(2)}), "unexpected"),
        (lambda t: t.update({"crossat_1.more": torch.zeros(2)}), "unexpected"),
        (lambda t: t.update({"sem_seg_head.more.weight": torch.zeros(2)}), "no place for the tensor 'more.weight'"),
        (lambda t: t.update({"conv_1.weight": torch.zeros(9, 64, 1, 1)}), "is \\(9, 64, 1, 1\\)"),
        (lambda t: t.pop("sem_seg_head.predictor.query_feat.weight"), "no segmenter"),
        (lambda t: t.update({"fc1.weight": torch.zeros(35, 5)}), "weighs 5 proposals, its segmenter makes 7"),
    ],
)
def test_what_does_not_belong_to_a_checkpoint_or_is_missing_is_named(official, spoil, said):
    spoil(official)
    with pytest.raises(WeightsError, match=said):
        converted(official)


def test_a_segmenter_without_its_backbone_has_none(official):
    assert backbone_of(converted({name: tensor for name, tensor in official.items() if not name.startswith("layer")})) is None


def test_the_published_layouts_are_read_whole(shared):
    layout = json.loads((shared / "spec" / "state_dicts" / "mm_former.json").read_text())
    later = [name for name, _ in layout["layout"] if name.startswith(("layer0.", "layer1.", "layer2.", "layer3.", "layer4."))]
    first = [*layout["first_release_backbone"], *(entry for entry in layout["layout"] if entry[0] not in later)]
    for entries, stride in ((layout["layout"], 8), (first, 32)):
        tensors = converted({name: torch.zeros(shape) for name, shape in entries})
        assert backbone_of(tensors).config.output_stride == stride
        assert matcher_of(tensors).segmenter.config == type(SEGMENTER)()


def test_a_converted_file_says_that_it_is_asked_in_the_published_way(official, tmp_path):
    torch.save({"model": official, "iteration": 3}, tmp_path / "published.pth")
    count = convert_checkpoint("mm-former", tmp_path / "published.pth", tmp_path / "mm.safetensors")
    tensors, _ = read_checkpoint(tmp_path / "mm.safetensors")
    assert len(tensors) == count == len(converted(official))
    assert read_card(tmp_path / "mm.safetensors").settings == {"official": True, "side": 480}


def test_a_converted_file_is_learned_with_and_brings_its_backbone(official, tmp_path):
    torch.save({"model": official}, tmp_path / "published.pth")
    convert_checkpoint("mm-former", tmp_path / "published.pth", tmp_path / "mm.safetensors")
    task = learn(support(2), "mm-former", checkpoint=tmp_path / "mm.safetensors", backbone="random:vit-tiny-14", side=96, **HEADS)
    answer = task.predict(picture(9)[0])
    assert answer.labels.shape == (60, 74)
    assert 0 <= answer.present["square"] <= 1
