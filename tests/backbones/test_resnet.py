"""Residual networks: against those of `transformers`, sizes of maps, and dilation in place of strides."""

import pytest
import torch
from transformers import ResNetConfig as TheirConfig
from transformers import ResNetModel

from likewise.backbones.resnet import ResNet, ResNetConfig

SMALL = {"blocks": (1, 2, 1, 1), "base": 4}


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(**changes):
    torch.manual_seed(0)
    network = ResNet(ResNetConfig(**{**SMALL, **changes}))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(noise(9, 2, 3, 64, 64))  # norms that have seen something, or maps would be flat
    return network.eval().requires_grad_(False)


def test_the_plain_network_is_that_of_transformers():
    ours = made(stem=(8,))
    config = TheirConfig(embedding_size=8, hidden_sizes=[16, 32, 64, 128], depths=[1, 2, 1, 1], layer_type="bottleneck", downsample_in_first_stage=False)
    theirs = ResNetModel(config).eval()
    own = theirs.state_dict()
    kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    renamed = {"embedder.embedder.convolution.weight": "layer0.0.weight"} | {f"embedder.embedder.normalization.{kind}": f"layer0.1.{kind}" for kind in kinds}
    for stage in range(4):
        for block in range(ours.config.blocks[stage]):
            here, there = f"layer{stage + 1}.{block}", f"encoder.stages.{stage}.layers.{block}"
            pairs = [(f"layer.{index}", f"conv{index + 1}", f"bn{index + 1}") for index in range(3)]
            pairs += [("shortcut", "downsample.0", "downsample.1")] if block == 0 else []
            for place, conv, norm in pairs:
                renamed[f"{there}.{place}.convolution.weight"] = f"{here}.{conv}.weight"
                renamed |= {f"{there}.{place}.normalization.{kind}": f"{here}.{norm}.{kind}" for kind in kinds}
    assert set(own) == set(renamed)
    ours.load_state_dict({renamed[name]: tensor for name, tensor in own.items()})
    images = noise(1, 2, 3, 75, 66)
    with torch.inference_mode():
        expected = theirs(images, output_hidden_states=True).hidden_states[1:]
        found = ours(images)[1:]
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("stride", [16, 8])
def test_a_dilated_network_is_the_strided_one_at_every_place_that_both_have(stride):
    dilated, strided = made(output_stride=stride), made(output_stride=32)
    assert [name for name, _ in dilated.named_parameters()] == [name for name, _ in strided.named_parameters()]
    strided.load_state_dict(dilated.state_dict())
    images = noise(2, 1, 3, 96, 64)
    for stage, (wide, narrow) in enumerate(zip(dilated(images)[1:], strided(images)[1:], strict=True), start=1):
        step = wide.shape[-1] // narrow.shape[-1]
        assert narrow.std() > 0.1
        assert step == max(1, 2 ** (stage + 1) // stride)
        torch.testing.assert_close(wide[..., ::step, ::step], narrow, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("stem", "first"), [((8,), 8), ((6, 6, 10), 10)])
def test_sizes_of_maps_are_rounded_up_for_odd_images(stem, first):
    found = made(stem=stem, output_stride=8)(noise(3, 1, 3, 61, 47))
    assert [tuple(x.shape[1:]) for x in found] == [(first, 16, 12), (16, 16, 12), (32, 8, 6), (64, 8, 6), (128, 8, 6)]
    assert made().config.channels == (16, 32, 64, 128)


def test_the_dilation_doubles_behind_the_first_block_of_a_stage_that_is_not_strided():
    network = made(blocks=(1, 1, 2, 2), output_stride=8)
    found = [[block.conv2.dilation[0] for block in stage] for stage in network.stages()]
    assert found == [[1], [1], [1, 2], [2, 4]]


def test_a_block_without_its_last_relu_has_values_below_zero():
    block, x = made().stages()[0][0], noise(4, 1, 64, 9, 8)
    assert (block.raw(x) < 0).any()
    assert torch.equal(block(x), block.raw(x).relu())
