"""Checkpoints of Label Anything: published layouts, ours, and the head and image encoder that they hold."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from likewise.backbones.checkpoint import check_layout
from likewise.methods.label_anything.config import HeadConfig
from likewise.methods.label_anything.model import Head


def head_from(tensors: Mapping[str, Tensor], config: HeadConfig) -> Head:
    """A head with given tensors, every one of which must fit; WeightsError names those that do not."""
    with torch.device("meta"):
        head = Head(config)
    check_layout(tensors, head.state_dict(), "checkpoint")
    head.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return head.eval().requires_grad_(False)
