"""One door to the encoders that are trained from scratch: by name, or from the tensors of a published checkpoint."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from likewise.backbones.checkpoint import check_layout
from likewise.backbones.conv_encoders import CONV_ENCODERS, ConvConfig, ConvEncoder, initialise, sized
from likewise.backbones.residual_encoders import RESIDUAL_ENCODERS, ResidualConfig, ResidualEncoder, sized_residual
from likewise.errors import UsageError, WeightsError, close_match

NAMES: tuple[str, ...] = (*CONV_ENCODERS, *RESIDUAL_ENCODERS)

# whole models keep their encoder behind a word; prototypical networks count blocks and layers, relation networks count layers from 1
_PREFIX = re.compile(r"^(module\.)?(feature\.|feature_encoder\.)?")
_TWICE = re.compile(r"^trunk\.\d+\.trunk\.")  # the same tensors a second time
_BLOCKS = re.compile(r"^encoder\.(\d+)\.([01])\.")
_LAYERS = re.compile(r"^layer(\d+)\.([01])\.")
_PARTS = ("C", "BN")
_CONVOLUTION = re.compile(r"^trunk\.(\d+)\.(?:C\.|C1\.)?weight$")


def new_encoder(name: str) -> nn.Module:
    """An encoder by name with the initial weights of Chen et al. 2019, from torch's generator. UsageError for a name that is none."""
    network = _network(_config_named(name))
    initialise(network)
    return network


def encoder_of(name: str, tensors: Mapping[str, Tensor], *, momentum: float = 0.1) -> nn.Module:
    """An encoder with the tensors of a checkpoint, in training mode; widths and the number of blocks follow the tensors.

    name: what the tensors do not tell (padding, pools, rows or maps). momentum: of the running statistics; without such tensors there are
    none. Raises UsageError for a name that is none, WeightsError for tensors that do not fit.
    """
    found = encoder_tensors(tensors)
    statistics = any(tensor.endswith("running_mean") for tensor in found)
    config, shapes = _config_named(name), _shapes(found, name)
    if isinstance(config, ConvConfig):
        network: nn.Module = ConvEncoder(dataclasses.replace(sized(config, shapes), momentum=momentum, statistics=statistics))
    else:
        network = ResidualEncoder(sized_residual(config, shapes))
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


def _config_named(name: str) -> ConvConfig | ResidualConfig:
    config = CONV_ENCODERS.get(name) or RESIDUAL_ENCODERS.get(name)
    if config is None:
        raise UsageError(f"there is no encoder {name!r}", where="encoder", remedy=close_match(name, NAMES))
    return config


def _network(config: ConvConfig | ResidualConfig) -> ConvEncoder | ResidualEncoder:
    return ConvEncoder(config) if isinstance(config, ConvConfig) else ResidualEncoder(config)


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
