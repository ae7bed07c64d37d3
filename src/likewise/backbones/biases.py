"""Bias sets: a transformer whose biases differ from sample to sample, so that several tasks share one backbone in one batch.

The biases of a block's two norms, of its output projection and of its two-layer network are replaced, all else is
shared: bias tuning (BitFit, Ben Zaken et al. 2022) as in visual token matching (Kim et al. 2023). A set has a row for
each task; nothing is written into the network, so one network serves many sets, and gradients reach the rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

BiasSets = Mapping[str, Tensor]  # name of a bias in the network -> (rows, width), or (B, width) once the rows of a batch are chosen
PLACES = ("norm1", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


@dataclass(frozen=True)
class BlockBiases:
    """The biases of one block, a row for each sample: (B, width), or one for all: (1, width); None for those of the network itself."""

    norm1: Tensor | None = None
    proj: Tensor | None = None
    norm2: Tensor | None = None
    fc1: Tensor | None = None
    fc2: Tensor | None = None


OWN = BlockBiases()


def bias_names(depth: int) -> list[str]:
    """Names of the biases that a task may have of its own, block by block.

    >>> bias_names(1)
    ['blocks.0.norm1.bias', 'blocks.0.attn.proj.bias', 'blocks.0.norm2.bias', 'blocks.0.mlp.fc1.bias', 'blocks.0.mlp.fc2.bias']
    """
    return [f"blocks.{index}.{place}.bias" for index in range(depth) for place in PLACES]


def repeated(network: nn.Module, depth: int, rows: int) -> dict[str, Tensor]:
    """The network's own biases as sets of `rows` equal rows: what every task starts from."""
    own = dict(network.named_parameters())
    return {name: own[name].detach().repeat(rows, 1) for name in bias_names(depth)}


def chosen(biases: BiasSets, rows: Tensor | Sequence[int]) -> dict[str, Tensor]:
    """The rows of a batch, one for each sample: {name: (rows, width)} and (B,) -> {name: (B, width)}."""
    places = torch.as_tensor(rows)
    if len(places) == 1:  # a view: sixty small gathers are a hundredth of a pass
        return {name: tensor.narrow(0, int(places) % len(tensor), 1) for name, tensor in biases.items()}
    return {name: tensor[places.to(tensor.device)] for name, tensor in biases.items()}


def of_block(biases: BiasSets | None, index: int) -> BlockBiases:
    """The biases of a block, its own where the sets do not have them."""
    if biases is None:
        return OWN
    return BlockBiases(*(biases.get(f"blocks.{index}.{place}.bias") for place in PLACES))


def equal_rows(biases: BiasSets) -> list[int]:
    """For each row the first row that equals it in every set, so that samples with equal biases can share one pass: (rows,)."""
    wide = torch.cat([tensor.detach().flatten(1) for tensor in biases.values()], dim=1)
    first: list[int] = []
    for index in range(len(wide)):
        first.append(next((known for known in dict.fromkeys(first) if torch.equal(wide[known], wide[index])), index))
    return first


def normed(norm: nn.LayerNorm, x: Tensor, bias: Tensor | None) -> Tensor:
    """A layer norm of (B, T, D), its bias replaced by rows (B, D), or one row (1, D) for all."""
    if bias is None:
        return norm(x)
    if len(bias) == 1:
        return layer_norm(x, norm.normalized_shape, norm.weight, bias[0], norm.eps)
    return layer_norm(x, norm.normalized_shape, norm.weight, None, norm.eps) + bias[:, None]


def projected(module: nn.Linear, x: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer of (B, T, D), its bias replaced by rows (B, D'), or one row (1, D') for all."""
    if bias is None:
        return module(x)
    return linear(x, module.weight, bias[0]) if len(bias) == 1 else linear(x, module.weight) + bias[:, None]
