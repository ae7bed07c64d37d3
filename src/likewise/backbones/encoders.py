"""One door to the encoders that are trained from scratch: by name, or from the tensors of a published checkpoint."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import replace_all_batch_norm_modules_

from likewise.backbones.checkpoint import check_layout
from likewise.backbones.conv_encoders import CONV_ENCODERS, ConvConfig, ConvEncoder, Start, initialise, sized
from likewise.backbones.residual_encoders import RESIDUAL_ENCODERS, ResidualConfig, ResidualEncoder, sized_residual
from likewise.backbones.resnet12 import RESNET12_ENCODERS, Resnet12, Resnet12Config, sized_resnet12
from likewise.errors import UsageError, WeightsError, close_match

Config = ConvConfig | ResidualConfig | Resnet12Config
Encoder = ConvEncoder | ResidualEncoder | Resnet12

_CONFIGS: dict[str, Config] = {**CONV_ENCODERS, **RESIDUAL_ENCODERS, **RESNET12_ENCODERS}
NAMES: tuple[str, ...] = tuple(_CONFIGS)

# whole models keep their encoder behind a word; prototypical networks count blocks and layers, relation networks count layers from 1
_PREFIX = re.compile(r"^(module\.)?(feature\.|feature_encoder\.)?")
_TWICE = re.compile(r"^trunk\.\d+\.trunk\.")  # the same tensors a second time
_BLOCKS = re.compile(r"^encoder\.(\d+)\.([01])\.")
_LAYERS = re.compile(r"^layer(\d+)\.([01])\.")
_PARTS = ("C", "BN")
_CONVOLUTION = re.compile(r"^trunk\.(\d+)\.(?:C\.|C1\.)?weight$")


def new_encoder(name: str, start: Start = "closer_look", *, seed: int | None = None) -> Encoder:
    """An encoder by name with first weights as in `initialise`. UsageError for a name that is none.

    seed: of the weights, torch's generator is left as it was; None for that generator.
    """
    config = _config_named(name)
    with torch.random.fork_rng(devices=(), enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        network = _network(config)
        initialise(network, start)
    return network


def encoder_of(name: str, tensors: Mapping[str, Tensor], *, momentum: float = 0.1) -> Encoder:
    """An encoder with the tensors of a checkpoint, in training mode; widths and the number of blocks follow the tensors.

    name: what the tensors do not tell (padding, pools, rows or maps). momentum: of the running statistics of convolutional encoders; without
    tensors of such statistics there are none, as in MAML. Raises UsageError for a name that is none, WeightsError for tensors that do not fit.
    """
    found = encoder_tensors(tensors)
    network = _network(_sized(_config_named(name), _shapes(found, name), momentum))
    if not any(tensor.endswith("running_mean") for tensor in found):
        replace_all_batch_norm_modules_(network)
    check_layout(found, network.state_dict(), name)
    network.load_state_dict(found)
    return network


def encoder_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an encoder as `trunk.*`, of the published names of any of the code bases; others are left out.

    Blocks that are registered twice are read once; a counter of batches that old checkpoints lack is 0.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        name = _PREFIX.sub("", name, count=1)
        name = _BLOCKS.sub(lambda match: f"trunk.{match[1]}.{_PARTS[int(match[2])]}.", name)
        name = _LAYERS.sub(lambda match: f"trunk.{int(match[1]) - 1}.{_PARTS[int(match[2])]}.", name)
        if name.startswith("trunk.") and not _TWICE.match(name):
            found[name] = tensor
    for name in [name for name in found if name.endswith(".running_mean")]:
        found.setdefault(name.replace(".running_mean", ".num_batches_tracked"), torch.zeros((), dtype=torch.int64))
    return found


def _config_named(name: str) -> Config:
    config = _CONFIGS.get(name)
    if config is None:
        raise UsageError(f"there is no encoder {name!r}", where="encoder", remedy=close_match(name, NAMES))
    return config


def _network(config: Config) -> Encoder:
    if isinstance(config, ConvConfig):
        return ConvEncoder(config)
    return ResidualEncoder(config) if isinstance(config, ResidualConfig) else Resnet12(config)


def _sized(config: Config, shapes: list[tuple[int, ...]], momentum: float) -> Config:
    """The config with the widths of these convolutions."""
    if isinstance(config, ConvConfig):
        return dataclasses.replace(sized(config, shapes), momentum=momentum)
    return sized_residual(config, shapes) if isinstance(config, ResidualConfig) else sized_resnet12(config, shapes)


def _shapes(found: Mapping[str, Tensor], name: str) -> list[tuple[int, ...]]:
    """The shape of the first convolution of each part of the trunk that has one, in order. WeightsError where there is none."""
    shapes = {}
    for tensor, value in found.items():
        match = _CONVOLUTION.match(tensor)
        if match and value.ndim == 4:
            shapes[int(match[1])] = tuple(value.shape)
    if not shapes:
        raise WeightsError("there are no convolutions by the names of an encoder", where=name, remedy="Name a checkpoint of one of the published code bases")
    return [shapes[place] for place in sorted(shapes)]
