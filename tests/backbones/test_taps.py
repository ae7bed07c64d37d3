"""Networks from torchvision's tensors, and what is read of them before the last ReLU of each block."""

import json

import pytest
import torch

from likewise.backbones.resnet import ResNet, ResNetConfig
from likewise.backbones.resnet_weights import resnet_of
from likewise.backbones.vgg import Vgg16, vgg_of
from likewise.errors import WeightsError


def as_torchvision(network):
    return {name.replace("layer0.0.", "conv1.").replace("layer0.1.", "bn1."): tensor for name, tensor in network.state_dict().items()}


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network():
    return ResNet(ResNetConfig(blocks=(1, 2, 3, 1), base=4, stem=(6,))).eval().requires_grad_(False)


def test_taps_of_a_residual_network_become_its_stages_by_a_relu(network):
    images = noise(0, 2, 3, 75, 66)
    found, stages = network.taps(images), network(images)[2:]
    assert [len(stage) for stage in found] == [2, 3, 1]
    for taps, stage in zip(found, stages, strict=True):
        assert (taps[-1] < 0).any()
        assert torch.equal(taps[-1].relu(), stage)
    second = network.layer2[1].raw(found[0][0].relu())
    assert torch.equal(found[0][1], second)


@pytest.mark.parametrize("side", [75, 96, 400])
@pytest.mark.parametrize("stride", [32, 8])
def test_how_many_taps_of_how_many_rows_there_are_is_known_before(side, stride):
    network = ResNet(ResNetConfig(blocks=(1, 2, 3, 1), base=4, stem=(6,), output_stride=stride)).eval()
    with torch.no_grad():
        found = network.taps(noise(0, 1, 3, side, side))
    assert [(len(stage), stage[0].shape[-1]) for stage in found] == network.tapped(side)


def test_torchvisions_tensors_make_the_network_without_classifier_and_counters(network):
    tensors = as_torchvision(network) | {"fc.weight": torch.zeros(5, 128), "fc.bias": torch.zeros(5)}
    images = noise(1, 1, 3, 64, 70)
    opened = resnet_of(tensors)
    assert opened.config == network.config
    assert all(torch.equal(one, two) for one, two in zip(opened(images), network(images), strict=True))
    assert resnet_of(tensors, output_stride=8).config.output_stride == 8


def test_the_published_layout_is_that_of_a_resnet_50(shared):
    layout = json.loads((shared / "spec/state_dicts/torchvision_resnet50.json").read_text())
    with torch.device("meta"):
        tensors = {name: torch.empty(shape) for name, shape in layout}
    network = resnet_of(tensors)
    assert network.tapped(400) == [(4, 50), (6, 25), (3, 13)]
    assert network.config.channels == (256, 512, 1024, 2048)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop("layer3.2.bn2.bias"), r"1 missing \(layer3.2.bn2.bias\)"),
        (lambda tensors: tensors.update({"layer5.0.conv1.weight": torch.zeros(1)}), "1 unexpected"),
        (lambda tensors: tensors.update({"layer2.1.conv2.weight": torch.zeros(8, 8, 1, 1)}), "layer2.1.conv2.weight is"),
        (lambda tensors: tensors.pop("layer1.0.conv1.weight"), "not whole"),
    ],
)
def test_a_residual_network_that_does_not_fit_is_refused_with_what_is_wrong(network, change, words):
    tensors = as_torchvision(network)
    change(tensors)
    with pytest.raises(WeightsError, match=words):
        resnet_of(tensors)


def test_taps_of_a_vgg_are_the_published_modules():
    torch.manual_seed(0)
    network = Vgg16((4, 5, 6, 7, 8)).eval().requires_grad_(False)
    images, expected = noise(2, 2, 3, 100, 73), {}
    x = images
    for index, part in enumerate(network.features):
        x = expected[index] = part(x)
    found = network.taps(images)
    listed = [tap for stage in found for tap in stage]
    assert [len(stage) for stage in found] == [3, 3, 1]
    assert all(torch.equal(tap, expected[index]) for tap, index in zip(listed, (17, 19, 21, 24, 26, 28, 30), strict=True))
    assert (listed[5] < 0).any()
    opened = vgg_of({**network.state_dict(), "classifier.0.weight": torch.zeros(3, 3)})
    assert torch.equal(opened.taps(images)[2][0], listed[6])
    assert [(len(stage), stage[0].shape[2]) for stage in found] == network.tapped(100)


def test_a_vgg_that_is_not_whole_is_refused():
    tensors = Vgg16((4, 5, 6, 7, 8)).state_dict()
    with pytest.raises(WeightsError, match=r"features.24.weight"):
        vgg_of({name: tensor for name, tensor in tensors.items() if name != "features.24.weight"})
    with pytest.raises(WeightsError, match=r"1 missing \(features.7.bias\)"):
        vgg_of({name: tensor for name, tensor in tensors.items() if name != "features.7.bias"})
