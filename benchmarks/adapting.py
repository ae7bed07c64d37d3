"""Networks that adapt to the support of an episode by a few steps of gradient descent, whatever they began from.

Start        a network with a head for the classes of an episode, the parameters that move, and whose statistics its norms use
Trajectories what a start says of the queries after more and more steps, which go on from where the episode stands
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from likewise.episodes.classification.answering import Answers
from likewise.episodes.classification.benchmark import Asked, ClassBenchmark
from likewise.methods.classifiers.episode_training import NetworkTraining, support_labels
from likewise.methods.classifiers.maml_model import InnerLoop, MamlNetwork, adapted, settled, support_statistics
from likewise.methods.classifiers.reading import feature_shape
from likewise.training.classes import Pictures

Labels = NDArray[np.integer]


class Headed(nn.Module):
    """An encoder `feature` that keeps its running statistics, and a linear `classifier` of zeros: images (B, C, H, W) -> scores (B, N)."""

    def __init__(self, encoder: nn.Module, width: int, n_way: int) -> None:
        super().__init__()
        self.feature, self.classifier = encoder, nn.Linear(width, n_way)

    def forward(self, images: Tensor) -> Tensor:
        """The scores of a batch of images, before the softmax."""
        return self.classifier(self.feature(images))


@dataclass(frozen=True)
class Start:
    """Where adapting begins.

    network: in evaluation mode; parameters: those that move, by name; by_support: whether its norms use the statistics of the support, as
    MAML has it, and not those of its training.
    """

    network: nn.Module
    parameters: dict[str, Tensor]
    by_support: bool

    def moved(self, parameters: dict[str, Tensor], images: Tensor, labels: Tensor, steps: int, rate: float) -> dict[str, Tensor]:
        """The parameters after so many steps on a support."""
        return adapted(self.network, parameters, images, labels, InnerLoop(steps=steps, rate=rate, first_order=True)) if steps else parameters

    def answering(self, parameters: dict[str, Tensor], supports: Tensor) -> Callable[[Tensor], Tensor]:
        """What gives scores of queries after adapting; each query by itself."""
        if self.by_support:
            return settled(self.network, parameters, support_statistics(self.network, parameters, supports))
        return lambda queries: functional_call(self.network, parameters, (queries,))


def learned_start(network: MamlNetwork) -> Start:
    """The start that MAML learned, its head among it."""
    return Start(network.eval(), _detached(network), by_support=True)


def encoder_start(encoder: nn.Module, side: int, n_way: int, *, by_support: bool = False, head_alone: bool = False) -> Start:
    """A copy of an encoder with a new head of zeros for pictures of a side; head_alone: only the head moves."""
    encoder = copy.deepcopy(encoder)
    (width,) = feature_shape(encoder, side)
    network = (MamlNetwork if by_support else Headed)(encoder, width, n_way).eval()
    nn.init.zeros_(network.classifier.weight)
    nn.init.zeros_(network.classifier.bias)
    parameters = _detached(network)
    return Start(network, {name: value for name, value in parameters.items() if not head_alone or name.startswith("classifier.")}, by_support)


class Trajectories:
    """The answers of a start to episodes of a benchmark after so many steps; asked for more steps an episode goes on from those that it has."""

    def __init__(self, start: Start, reader: NetworkTraining, benchmark: ClassBenchmark, rate: float) -> None:
        """reader: what knows how its pictures are read."""
        self.start, self.reader, self.rate, self._pictures = start, reader, rate, Pictures(benchmark, reader)
        self._stands: dict[Hashable, tuple[int, dict[str, Tensor]]] = {}

    def at(self, steps: int) -> Answers:
        """The answers after so many steps."""
        return partial(self._answers, steps)

    def _answers(self, steps: int, asked: Asked) -> Labels:
        episode = self._pictures.episode(asked)
        supports, queries = (self.reader.numbers(part).flatten(0, 1) for part in (episode.support, episode.query))
        key = tuple(tuple(tuple(row) for row in rows) for rows in asked)
        done, parameters = self._stands.get(key, (0, self.start.parameters))
        if steps < done:
            done, parameters = 0, self.start.parameters
        parameters = self.start.moved(parameters, supports, support_labels(episode.support), steps - done, self.rate)
        self._stands[key] = (steps, parameters)
        with torch.no_grad():
            return np.asarray(self.start.answering(parameters, supports)(queries).argmax(dim=1))


def _detached(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in network.named_parameters()}
