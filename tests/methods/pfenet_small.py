"""A small PFENet as published checkpoints hold it."""

import torch

from likewise.backbones.resnet import ResNet, ResNetConfig
from likewise.methods.pfenet.model import PfenetLearner

WIDTH, BASE = 12, 3
CHANNELS = BASE * 4 * (2 + 4)  # of the second and third stage


def network(stem=(4, 4, 8), seed=0):
    """Tensors of a small residual network by the names of the original, with counters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tensors = ResNet(ResNetConfig(blocks=(1, 2, 3, 2), base=BASE, stem=stem, output_stride=8)).state_dict()
        for name, tensor in tensors.items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                tensor.uniform_(-0.2, 0.2)
    return tensors


def learner(seed=1, channels=CHANNELS, width=WIDTH):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = PfenetLearner(channels, width).state_dict()
    return {name: 3 * tensor if tensor.ndim == 4 else tensor for name, tensor in found.items()}  # so that the answers are not all alike


def original():
    """A checkpoint of the original code, from several devices."""
    return {f"module.{name}": tensor for name, tensor in {**network(), **learner()}.items()}


def in_frame():
    """A checkpoint of iFSL."""
    own = {name.replace("layer", "backbone", 1): tensor for name, tensor in network((8,)).items()}
    names = {"down_query": "down_qry", "down_supp": "down_spt"}
    for name, tensor in learner().items():
        first = name.split(".")[0]
        own[name.replace(first, names[first]) if first in names else f"learner.{name}"] = tensor
    return own
