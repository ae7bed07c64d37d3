"""Convolutions in singular values (Sun et al. 2022, SVF): the kernel as rank filters, their strengths, and how they are mixed.

A kernel (out, in, k, k), as a matrix (out, in k k) = U diag(S) V, becomes `conv_V` (r, in, k, k), `vector_S` (1, r, 1, 1) and
`conv_U` (out, r, 1, 1). Tuning S alone changes few numbers. Multiplied out again it is one kernel, which gives the same numbers faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

MULTIPLE = 4  # ranks are rounded down to a multiple of this
PARTS = ("conv_V.weight", "vector_S", "conv_U.weight")


class Factors(NamedTuple):
    """Filters (r, in, k, k), strengths (1, r, 1, 1), mixture (out, r, 1, 1)."""

    filters: Tensor
    strengths: Tensor
    mixture: Tensor


def rank_of(shape: torch.Size | tuple[int, ...]) -> int:
    """The rank of a factorised kernel (out, in, k, k): all of it, rounded down to a multiple of four.

    >>> rank_of((64, 3, 3, 3)), rank_of((10, 14, 1, 1)), rank_of((2, 8, 1, 1))
    (24, 8, 1)
    """
    full = min(shape[0], shape[1] * shape[2] * shape[3])
    return min(max(full // MULTIPLE * MULTIPLE, 1), full)


def factors_of(kernel: Tensor) -> Factors:
    """The factors of a kernel (out, in, k, k); what the rank leaves out are its smallest singular values."""
    rank = rank_of(kernel.shape)
    left, strengths, right = torch.linalg.svd(kernel.flatten(1), full_matrices=False)
    return Factors(right[:rank].reshape(rank, *kernel.shape[1:]), strengths[:rank].reshape(1, rank, 1, 1), left[:, :rank, None, None])


def kernel_of(factors: Factors) -> Tensor:
    """The one kernel (out, in, k, k) that does what the factors do one after the other."""
    scaled = factors.mixture.flatten(1) * factors.strengths.flatten()
    return (scaled @ factors.filters.flatten(1)).reshape(len(scaled), *factors.filters.shape[1:])


def merged(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in which the factors of each convolution are its kernel `weight`; everything else as it is."""
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith(PARTS)}
    for name in tensors:
        if name.endswith(".vector_S"):
            stem = name.removesuffix("vector_S")
            found[f"{stem}weight"] = kernel_of(Factors(*(tensors[stem + part] for part in PARTS)))
    return found


class _Kernel(nn.Module):
    """A kernel by the name `weight`."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)


class FactorisedConv2d(nn.Module):
    """A convolution without bias kept as its factors, which are what is trained; names of tensors are the published ones."""

    def __init__(self, conv: nn.Conv2d, factors: Factors | None = None) -> None:
        super().__init__()
        filters, strengths, mixture = factors_of(conv.weight.detach()) if factors is None else factors
        self.conv_V, self.vector_S, self.conv_U = _Kernel(filters), nn.Parameter(strengths), _Kernel(mixture)
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation

    def forward(self, x: Tensor) -> Tensor:
        """What the convolution of the merged kernel gives, in three steps."""
        inner = conv2d(x, self.conv_V.weight, None, self.stride, self.padding, self.dilation)
        return conv2d(inner * self.vector_S, self.conv_U.weight)


def factorise(network: nn.Module, factors: Mapping[str, Tensor] | None = None) -> None:
    """Every convolution of a network taken apart, in place; factors: those of a checkpoint by full name, else they are computed."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            own = None if factors is None else Factors(*(factors[f"{name}.{part}"] for part in PARTS))
            parent, _, last = name.rpartition(".")
            network.get_submodule(parent).add_module(last, FactorisedConv2d(module, own))
