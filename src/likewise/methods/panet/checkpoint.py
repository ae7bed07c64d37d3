"""Checkpoints of PANet, which are its network: a VGG-16 as the original has it, or a ResNet (iFSL); ours holds `backbone.*` by the published names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from likewise.backbones.resnet import ResNet
from likewise.backbones.resnet_weights import resnet_of
from likewise.backbones.vgg import DilatedVgg, dilated_vgg_of, nested_names
from likewise.errors import WeightsError
from likewise.methods.pyramid_weights import BACKBONE, official, part

_ENCODER, _FEATURES = "encoder.backbone.", "features."


def renamed(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published checkpoint by our names, without classifier and counters; also a VGG-16 or a ResNet as torchvision names it."""
    plain = {name.removeprefix("module."): tensor for name, tensor in published.items()}
    found = official({BACKBONE + name.removeprefix(_ENCODER) if name.startswith(_ENCODER) else name: tensor for name, tensor in plain.items()})
    named = {BACKBONE + name if name.startswith(_FEATURES) else name: tensor for name, tensor in found.items()}
    others = {name: tensor for name, tensor in named.items() if not name.startswith(BACKBONE)}
    return {**{BACKBONE + name: tensor for name, tensor in nested_names(part(named, BACKBONE)).items()}, **others}


def is_original(tensors: Mapping[str, Tensor]) -> bool:
    """Whether our tensors are those of the original network, a VGG-16."""
    return any(name.startswith(BACKBONE + _FEATURES) for name in tensors)


def network_of(tensors: Mapping[str, Tensor]) -> DilatedVgg | ResNet:
    """The network of a checkpoint; WeightsError for tensors that are missing, unexpected or misshapen."""
    own, foreign = part(tensors, BACKBONE), sorted(name for name in tensors if not name.startswith(BACKBONE))
    if foreign or not own:
        told = f"it holds {', '.join(foreign[:3])}, which are none of PANet" if foreign else "it is no checkpoint of PANet: it has no network"
        raise WeightsError(
            told, where="checkpoint", remedy="Convert a published one, or a network of torchvision, by `likewise weights convert panet FILE OUT`"
        )
    return dilated_vgg_of(own) if is_original(tensors) else resnet_of(own)
