"""What the learners share: the parts of an episode, the parts of a checkpoint. Letters: N classes, K shots, Q queries a class."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def parted(episode: Tensor, n_shot: int) -> tuple[Tensor, Tensor]:
    """Supports (N, K, ...) and queries (N, Q, ...) of an episode (N, K+Q, ...). ValueError where no query is left."""
    if not 0 < n_shot < episode.shape[1]:
        raise ValueError(f"{n_shot} shots of {episode.shape[1]} items a class leave no query, or no support")
    return episode[:, :n_shot], episode[:, n_shot:]


def class_major(n_way: int, count: int) -> Tensor:
    """The classes (N count,) of items that are listed class by class."""
    return torch.arange(n_way).repeat_interleave(count)


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
