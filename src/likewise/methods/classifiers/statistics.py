"""Running statistics of batch normalisation that stand for many episodes instead of the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import nn

Episode = TypeVar("Episode")


def settle_statistics(network: nn.Module, episodes: Iterable[Episode], answer: Callable[[Episode], object]) -> None:
    """Set the running statistics to the mean over all batches that the norms see while `answer` runs on the episodes; in place.

    Published relation networks keep the statistics of their last batch and therefore answer in training mode, where an answer depends
    on the other queries. With these, evaluation mode serves. The network is left in evaluation mode, its momenta as they were.
    Raises ValueError without an episode.
    """
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d) and part.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    count = 0
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over batches
        network.train()
        with torch.no_grad():
            for episode in episodes:
                answer(episode)
                count += 1
    finally:
        network.eval()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    if not count:
        raise ValueError("without an episode there are no statistics")
