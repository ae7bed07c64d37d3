"""MAML under training, in second or first order (Finn et al. 2017; in the frame of Chen et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from likewise.backbones.checkpoint import check_layout
from likewise.methods.classifiers.episode_training import (
    EncoderTrainingSettings,
    ImageEpisode,
    NetworkTraining,
    encoder_for,
    seeded,
    support_labels,
)
from likewise.methods.classifiers.maml import Maml, MamlSettings
from likewise.methods.classifiers.maml_model import InnerLoop, MamlNetwork, adapted, meta_gradient, settled, support_statistics
from likewise.methods.classifiers.reading import feature_shape


@dataclass(frozen=True, kw_only=True)
class MamlTrainingSettings(EncoderTrainingSettings):
    """How MAML is trained; defaults of Chen et al. 2019, who use one step of 0.1 for drawings.

    way: the one number of classes; steps, rate, first_order: of the inner loop; together: answers by the statistics of all queries of an
    episode (published), not by those of its support, so that an answer hangs on the other queries. A step of the recipe is over `batch` episodes (published:
    4, drawings 32), whose mean gradient is taken for their sum: for Adam this is the same.
    """

    way: int = 5
    steps: int = 5
    rate: float = 0.01
    first_order: bool = False
    together: bool = False


class MamlTraining(NetworkTraining):
    """The parameters to begin from under training. See `ClassTrainable`."""

    def __init__(self, network: MamlNetwork, settings: MamlTrainingSettings) -> None:
        super().__init__(network, settings)
        self.n_way, self.together = settings.way, settings.together
        self.inner = InnerLoop(steps=settings.steps, rate=settings.rate, first_order=settings.first_order)

    def method(self) -> Maml:
        """The method with copies of the tensors as they are now, for queries that are answered one by one."""
        return Maml(MamlSettings(**self.told(), steps=self.inner.steps, rate=self.inner.rate), self.copies())

    def episode_loss(self, episode: ImageEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The queries' loss after adapting, whose gradient is the meta-gradient. There is no chance in it."""
        del generator
        parameters = dict(self.network.named_parameters())
        found = meta_gradient(self.network, parameters, [self.whole(episode)], episode.support.shape[1], self.inner)
        slope = torch.stack([(parameters[name] * gradient).sum() for name, gradient in found.gradient.items()]).sum()
        return {"loss": found.loss.detach() + slope - slope.detach()}

    def scores(self, episode: ImageEpisode) -> Tensor:
        """Scores (N Q, N) after adapting, by the statistics of the support or of all queries together."""
        parameters = {name: value.detach() for name, value in self.network.named_parameters()}
        supports, queries = (self.numbers(part).flatten(0, 1) for part in (episode.support, episode.query))
        inner = InnerLoop(steps=self.inner.steps, rate=self.inner.rate, first_order=True)  # nothing is differentiated further
        moved = adapted(self.network, parameters, supports, support_labels(episode.support), inner)
        if self.together:
            return functional_call(self.network, moved, (queries,))
        found: Tensor = settled(self.network, moved, support_statistics(self.network, moved, supports))(queries)
        return found


def trainable(values: Mapping[str, Any], n_classes: int, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> MamlTraining:
    """The network, new by a seed or from the tensors of a checkpoint. UsageError for unknown settings."""
    del n_classes
    settings = MamlTrainingSettings().changed(**values)
    encoder = encoder_for(settings, seed, start)
    (width,) = feature_shape(encoder, settings.side)
    network = seeded(lambda: MamlNetwork(encoder, width, settings.way), seed)
    if start is not None:
        check_layout(start, network.state_dict(), "maml")
        network.load_state_dict(dict(start))
    return MamlTraining(network, settings)
