"""Residual networks from tensors: as torchvision names them, and by the names of `resnet.py`."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from likewise.backbones.checkpoint import check_layout
from likewise.backbones.resnet import ResNet, ResNetConfig
from likewise.errors import WeightsError

_STEM = ((r"^conv1\.", "layer0.0."), (r"^bn1\.", "layer0.1."))  # torchvision -> ours; all other names are the same
_UNUSED = re.compile(r"^fc\.|num_batches_tracked$")  # the classifier, and counters that evaluation does not read
_REMEDY = "Take a ResNet-50 or ResNet-101 as torchvision names its tensors"


def plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a torchvision network by the names of `ResNet`, without its classifier and counters."""
    found = {}
    for name, tensor in tensors.items():
        if _UNUSED.search(name):
            continue
        for pattern, ours in _STEM:
            name = re.sub(pattern, ours, name)
        found[name] = tensor
    return found


def resnet_of(tensors: Mapping[str, Tensor], *, output_stride: int = 32, dilate_first: bool = False, where: str = "checkpoint") -> ResNet:
    """The network of torchvision's tensors or of ours, its depth and widths taken from them, in evaluation mode and frozen.

    output_stride, dilate_first: see `ResNetConfig`; no tensor tells. Raises WeightsError for tensors that are missing, unexpected or misshapen.
    """
    own = plain_names(tensors)
    try:
        blocks = tuple(1 + max(int(name.split(".")[1]) for name in own if name.startswith(f"layer{stage}.")) for stage in range(1, 5))
        stem = tuple(own[name].shape[0] for name in sorted(own) if re.fullmatch(r"layer0\.\d\.weight", name) and own[name].ndim == 4)
        base = own["layer1.0.conv1.weight"].shape[0]
        config = ResNetConfig(blocks=blocks, base=base, stem=stem, output_stride=output_stride, dilate_first=dilate_first)
        with torch.device("meta"):
            network = ResNet(config)
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError(f"its residual network is not whole ({error})", where=where, remedy=_REMEDY) from error
    layout = {name: tensor for name, tensor in network.state_dict().items() if not _UNUSED.search(name)}
    check_layout(own, layout, where)
    network.load_state_dict({name: tensor.float() for name, tensor in own.items()}, strict=False, assign=True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = torch.zeros((), dtype=torch.long)
    return network.eval().requires_grad_(False)
