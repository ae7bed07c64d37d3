"""Pseudo masks by a residual network, which has no class token: the mean of the support's last map stands for it (table 6, "CNN").

The cosine of that mean with a picture's last map is low on the object: the inverse captures it better (Kang et al. 2023, supplement), and is what is
taken. The threshold is not published; ours parts the map in two groups. The network lies in the checkpoint under `extractor.`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from likewise.backbones.features import ImageFeatures
from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD, ResNet
from likewise.backbones.resnet_weights import plain_names, resnet_of
from likewise.errors import UsageError
from likewise.functional.resize import resize_corners
from likewise.functional.walks import two_groups

EXTRACTOR = "extractor."  # of the tensors of the network, in checkpoints of ours
_BEFORE = re.compile(r"^(module\.)?(backbone\.)?")  # what stands before the names in a file that holds more than the network
_HEAD = "head."  # of DINO, behind the network


def extractor_tensors(published: Mapping[str, Tensor], where: str = "checkpoint") -> dict[str, Tensor] | None:
    """A network as torchvision or DINO name it, by our names; None for tensors that are no network alone.

    Raises WeightsError for one that is not whole.
    """
    plain = {_BEFORE.sub("", name): tensor for name, tensor in published.items()}
    if "layer1.0.conv1.weight" not in plain or any(name.startswith("learner.") for name in plain):
        return None
    own = {name: tensor for name, tensor in plain_names(plain).items() if not name.startswith(_HEAD)}
    resnet_of(own, where=where)
    return {EXTRACTOR + name: tensor for name, tensor in own.items()}


def extractor_of(tensors: Mapping[str, Tensor]) -> ResNet | None:
    """The network of a checkpoint, None where it has none; WeightsError for tensors that do not fit."""
    own = {name.removeprefix(EXTRACTOR): tensor for name, tensor in tensors.items() if name.startswith(EXTRACTOR)}
    return resnet_of(own) if own else None


def last_map(image: ImageFeatures, network: ResNet) -> Tensor:
    """The output (C, h, w) of the last stage for a picture; UsageError for features without one."""
    if image.pixels is None:
        raise UsageError("the features have no picture", where="features", remedy="Ask for what `wants` says")
    mean, std = (torch.tensor(values, device=image.pixels.device)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        return network(((image.pixels.float() - mean) / std)[None])[-1][0]


def pooled_mask(image: Tensor, support: Tensor, size: tuple[int, int]) -> Tensor:
    """Where a map (C, h, w) is least like the mean of the support's: (H, W) bool; everything where there is no difference."""
    values = -cosine_similarity(image, support.mean(dim=(1, 2))[:, None, None], dim=0)
    found = resize_corners(values[None], size)[0] > two_groups(values)
    return found if bool(found.any()) else torch.ones_like(found)
