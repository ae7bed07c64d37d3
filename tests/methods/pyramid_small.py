"""Small networks as published checkpoints hold them, and supports, for the tests of HSNet and ASNet."""

from __future__ import annotations

import numpy as np
import torch

from likewise import Example, Support
from likewise.backbones.resnet import ResNet, ResNetConfig
from likewise.backbones.vgg import Vgg16
from likewise.testing.conformance import picture

BLOCKS = (1, 2, 3, 1)


def small_resnet(seed=0):
    """Tensors of a small residual network by the names of torchvision, with a classifier and counters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ResNet(ResNetConfig(blocks=BLOCKS, base=4, stem=(8,)))
        tensors = network.state_dict()
        for name, tensor in tensors.items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                tensor.uniform_(-0.2, 0.2)
    named = {name.replace("layer0.0.", "conv1.").replace("layer0.1.", "bn1."): tensor for name, tensor in tensors.items()}
    return {**named, "fc.weight": torch.zeros(10, 128), "fc.bias": torch.zeros(10)}


def small_vgg(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {**Vgg16((4, 6, 8, 10, 12)).state_dict(), "classifier.0.weight": torch.zeros(7, 5)}


def lightning(kind, sides, channels=BLOCKS[:0:-1], prefix="learner.", backbone=None, seed=1):
    """A checkpoint as the authors' frame writes it."""
    learner = {prefix + name: tensor.clone() for name, tensor in kind.untrained(channels, sides, seed).state_dict().items()}
    return {**{f"backbone.{name}": tensor for name, tensor in (backbone or small_resnet()).items()}, **learner}


def example(index, numbers=(1, 2), **labels):
    pixels, drawn = picture(index, 70 + 9 * index, 100 - 7 * index)
    return Example(pixels, f"e{index}", label_map=np.where(np.isin(drawn, numbers), drawn, 0).astype(np.uint8), **labels)


def tagged(index, **tags):
    return Example(picture(index, 70 + 9 * index, 100 - 7 * index)[0], f"e{index}", tags=tags)


def support(*examples):
    return Support(examples, classes={1: "red", 2: "green"})
