"""The dilated VGG-16 of PANet."""

import json

import pytest
import torch

from likewise.backbones.vgg import DilatedVgg, Vgg16, dilated_vgg_of, nested_names
from likewise.errors import WeightsError

WIDTHS = (3, 4, 5, 6, 7)


@pytest.fixture(scope="module")
def plain():
    torch.manual_seed(0)
    return Vgg16(WIDTHS).state_dict()


def test_maps_are_an_eighth_of_the_size_and_have_negative_values(plain):
    network = dilated_vgg_of(plain)
    maps = network(torch.randn(2, 3, 65, 73))
    assert maps.shape == (2, 7, 9, 10)
    assert (maps < 0).any()


def test_the_names_and_shapes_are_the_published_ones(shared):
    layout = json.loads((shared / "spec/state_dicts/cst_panet_vgg16.json").read_text())
    with torch.device("meta"):
        own = DilatedVgg().state_dict()
    assert [(f"encoder.backbone.{name}", list(tensor.shape)) for name, tensor in own.items()] == [(name, shape) for name, shape in layout]


def test_convolutions_of_torchvision_are_taken_in_their_order(plain):
    nested = nested_names({**plain, "classifier.0.weight": torch.zeros(2, 2)})
    assert all(torch.equal(one, other) for one, other in zip(nested.values(), plain.values(), strict=True))
    network = dilated_vgg_of(plain)
    assert list(nested) == list(network.state_dict())


def test_each_place_sees_as_far_as_two_more_pools_would_have_let_it(plain):
    network = dilated_vgg_of(plain)
    image = torch.randn(1, 3, 129, 129)
    far = image.clone()
    far[..., 64, 64] += 1.0
    touched = ((network(far) - network(image)).abs().amax(dim=1)[0] > 0).nonzero()
    reach = int((touched - 8).abs().max())
    assert reach > 6  # the three last convolutions alone reach 2 places each, undilated 1


def test_tensors_that_do_not_fit_are_named(plain):
    for change, words in (
        (lambda own: own.pop("features.5.bias"), "VGG is not whole"),
        (lambda own: own.update({"features.28.bias": torch.zeros(8)}), r"features.8.4.bias is \(8,\)"),
    ):
        own = dict(plain)
        change(own)
        with pytest.raises(WeightsError, match=words):
            dilated_vgg_of(own)
