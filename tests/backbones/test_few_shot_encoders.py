"""Encoders that are trained from scratch: their sizes, their channels, their statistics, and the names that checkpoints give them."""

import dataclasses
import math

import pytest
import torch

from likewise.backbones.conv_encoders import CONV_ENCODERS, ConvConfig, ConvEncoder, initialise
from likewise.backbones.encoders import NAMES, encoder_of, encoder_tensors, new_encoder
from likewise.backbones.residual_encoders import RESIDUAL_ENCODERS, ResidualConfig, ResidualEncoder
from likewise.backbones.resnet12 import RESNET12_ENCODERS, Resnet12, Resnet12Config
from likewise.errors import UsageError, WeightsError

SIZES = {
    "conv4": (84, (1600,)),
    "conv6": (84, (1600,)),
    "conv4s": (28, (64,)),
    "conv4np": (84, (64, 19, 19)),
    "conv6np": (84, (64, 19, 19)),
    "conv4snp": (28, (64, 5, 5)),
}
TINY = ConvConfig(channels=2, widths=(3, 5), padding=(1, 0), pooled=1)


def pictures(count, side, channels=3, seed=1):
    return torch.rand((count, channels, side, side), generator=torch.Generator().manual_seed(seed))


def weights_of(network):
    """A state dict of which no tensor is at its start."""
    generator = torch.Generator().manual_seed(4)
    return {name: 0.5 + torch.rand(value.shape, generator=generator) if value.is_floating_point() else value for name, value in network.state_dict().items()}


@pytest.mark.parametrize("name", sorted(SIZES))
def test_an_image_of_the_published_size_gives_features_of_the_published_size(name):
    side, expected = SIZES[name]
    assert tuple(new_encoder(name).eval()(pictures(2, side)).shape) == (2, *expected)
    assert CONV_ENCODERS[name].width(side) == math.prod(expected)


@pytest.mark.parametrize(("name", "shape"), [("resnet10", (512,)), ("resnet10map", (512, 7, 7))])
def test_a_residual_encoder_gives_a_row_or_a_map(name, shape):
    assert tuple(new_encoder(name).eval()(pictures(1, 224)).shape) == (1, *shape)


def test_the_published_window_of_seven_is_the_mean_over_a_map_of_seven():
    config = ResidualConfig(widths=(2, 3, 4, 5), stem=3)
    free = ResidualEncoder(config).eval()
    fixed = ResidualEncoder(dataclasses.replace(config, window=7)).eval()
    fixed.load_state_dict(free.state_dict())
    torch.testing.assert_close(free(pictures(2, 224)), fixed(pictures(2, 224)))
    assert free(pictures(2, 96)).shape == (2, 5)
    assert fixed(pictures(1, 448)).shape == (1, 5 * 2 * 2)


def test_stages_have_the_published_number_of_blocks():
    assert [sum(RESIDUAL_ENCODERS[name].blocks) for name in ("resnet10", "resnet18", "resnet34")] == [4, 8, 16]


def test_of_a_picture_in_colour_an_encoder_of_drawings_sees_the_first_channel():
    network = new_encoder("conv4s").eval()
    colour = pictures(3, 28)
    other = colour.clone()
    other[:, 1:] += 1
    assert torch.equal(network(colour), network(other))
    assert torch.equal(network(colour), network(colour[:, :1]))


@pytest.mark.parametrize(("name", "side"), [("conv4", 16), ("resnet10", 40), ("resnet12", 20)])
def test_without_statistics_an_answer_depends_on_its_batch_in_evaluation_mode_too(name, side):
    batch, tensors = pictures(4, side), new_encoder(name, seed=1).state_dict()
    alone = encoder_of(name, {key: value for key, value in tensors.items() if "running" not in key and "num_batches" not in key}).eval()
    kept = encoder_of(name, tensors).eval()
    assert not torch.allclose(alone(batch)[:2], alone(batch[:2]), atol=1e-3)
    torch.testing.assert_close(kept(batch)[:2], kept(batch[:2]), atol=1e-5, rtol=1e-4)
    assert not any("running" in key for key in alone.state_dict())


def test_checkpoints_of_all_three_code_bases_are_the_same_encoder():
    plain = weights_of(ConvEncoder(CONV_ENCODERS["conv4s"]))
    halves = [("C", "0", "trunk.0"), ("BN", "1", "trunk.1")]
    twice, counted, layered = {}, {}, {}
    for name, value in plain.items():
        _, place, part, rest = name.split(".")
        _, number, again = next(half for half in halves if half[0] == part)
        twice |= {f"feature.{name}": value, f"feature.trunk.{place}.{again}.{rest}": torch.full_like(value, 9)}
        counted[f"encoder.{place}.{number}.{rest}"] = value
        layered[f"layer{int(place) + 1}.{number}.{rest}"] = value
    twice["classifier.weight"] = torch.zeros(3, 64)
    images = pictures(2, 28)
    expected = encoder_of("conv4s", plain).eval()(images)
    for tensors in (twice, counted, layered):
        assert torch.equal(encoder_of("conv4s", tensors).eval()(images), expected)


def test_checkpoints_without_counters_of_batches_are_read():
    plain = weights_of(ConvEncoder(CONV_ENCODERS["conv4"]))
    old = {name: value for name, value in plain.items() if not name.endswith("num_batches_tracked")}
    assert encoder_tensors(old).keys() == plain.keys()
    assert encoder_of("conv4", old, momentum=1.0).trunk[0].BN.momentum == 1.0


def test_widths_follow_the_tensors():
    narrow = dataclasses.replace(CONV_ENCODERS["conv4np"], channels=2, widths=(3, 4, 5, 7))
    assert encoder_of("conv4np", weights_of(ConvEncoder(narrow)))(pictures(2, 32, 2)).shape == (2, 7, 6, 6)
    slim = ResidualConfig(blocks=(2, 2, 2, 2), widths=(4, 6, 7, 9), stem=4)
    assert encoder_of("resnet18", weights_of(ResidualEncoder(slim)))(pictures(2, 64)).shape == (2, 9)


def test_weights_of_another_encoder_are_refused():
    with pytest.raises(WeightsError, match="4 blocks, not 6"):
        encoder_of("conv6", weights_of(ConvEncoder(CONV_ENCODERS["conv4"])))
    with pytest.raises(WeightsError, match="no convolutions"):
        encoder_of("conv4", {"head.weight": torch.zeros(2, 3)})
    with pytest.raises(UsageError, match="did you mean 'conv4'"):
        new_encoder("conv44")


@pytest.mark.parametrize(
    ("start", "convolution", "linear", "bias"),
    [
        ("closer_look", math.sqrt(2 / (25 * 50)), 1 / math.sqrt(3 * 40), None),
        ("relation", math.sqrt(2 / (25 * 50)), 0.01, 1.0),
        ("maml", math.sqrt(2 / (25 * 6 + 25 * 50)), math.sqrt(2 / 70), 0.0),
        ("torch", 1 / math.sqrt(3 * 25 * 6), 1 / math.sqrt(3 * 40), None),
    ],
)
def test_first_weights_have_the_stated_deviations(start, convolution, linear, bias):
    torch.manual_seed(2)
    network = torch.nn.Sequential(torch.nn.Conv2d(6, 50, 5), torch.nn.BatchNorm2d(50), torch.nn.Linear(40, 30))
    initialise(network, start)
    assert network[0].weight.std().item() == pytest.approx(convolution, rel=0.05)
    assert network[2].weight.std().item() == pytest.approx(linear, rel=0.1)
    assert network[0].bias.abs().max() == 0 if bias is not None else network[0].bias.std() > 0
    assert network[2].bias.unique().tolist() == [bias] if bias is not None else network[2].bias.std() > 0


def test_a_seed_gives_the_same_encoder_and_leaves_the_generator_alone():
    before = torch.get_rng_state()
    first, second, other = (new_encoder("conv4s", seed=seed).trunk[1].C.weight for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_resnet_12_halves_a_picture_four_times_and_its_row_is_the_mean_of_its_map():
    slim = Resnet12Config(widths=(3, 4, 5, 6), channels=2)
    network = Resnet12(slim).eval()
    maps = Resnet12(dataclasses.replace(slim, flatten=False)).eval()
    maps.load_state_dict(network.state_dict())
    images = pictures(2, 84, 2)
    assert maps(images).shape == (2, 6, 5, 5)
    torch.testing.assert_close(network(images), maps(images).mean(dim=(2, 3)))
    assert torch.equal(encoder_of("resnet12", network.state_dict()).eval()(images), network(images))
    with pytest.raises(WeightsError, match="3 blocks, not 4"):
        encoder_of("resnet12", {name: value for name, value in network.state_dict().items() if not name.startswith("trunk.3")})


def test_every_name_makes_an_encoder():
    assert len(set(NAMES)) == len(CONV_ENCODERS) + len(RESIDUAL_ENCODERS) + len(RESNET12_ENCODERS)
    for name in NAMES:
        assert sum(value.numel() for value in new_encoder(name).parameters()) > 100_000
