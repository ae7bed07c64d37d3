"""Networks of class vectors under training, on features of a frozen backbone (Snell et al. 2017; Sung et al. 2018).

Letters: B pictures, N classes, F numbers of a picture's features, A of a class vector.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from likewise.backbones.checkpoint import check_layout
from likewise.backbones.features import FeatureSpec
from likewise.errors import UsageError, close_match
from likewise.methods.base import MethodSettings
from likewise.methods.classifiers.common import under
from likewise.methods.classifiers.episode_training import Drawn, seeded
from likewise.methods.classifiers.reading import backbone_wish, centred
from likewise.methods.classifiers.relation_model import squared_loss
from likewise.methods.classifiers.zero_shot import CENTRE, NETWORK, ZeroShot, ZeroShotPrototypical, ZeroShotRelation, ZeroShotSettings
from likewise.methods.classifiers.zero_shot_model import PrototypesOfVectors, RelationOfVectors


@dataclass(frozen=True)
class VectorBatch:
    """Features (B, F) of pictures, the place (B,) of the class of each among N, and the vectors (N, A) of these."""

    features: Tensor
    labels: Tensor
    vectors: Tensor


@dataclass(frozen=True, kw_only=True)
class ZeroShotTrainingSettings(MethodSettings):
    """How networks of class vectors are trained.

    side: the working size, 0 for 224; width: of the common space (published: 1024 for 312 attributes of birds); hidden, related: hidden numbers of
    the two parts of the relation network (published: 1200 and 1200 for birds, 1024 and 400 for animals with attributes).
    """

    side: int = 0
    width: int = 1024
    hidden: int = 1024
    related: int = 400


class ZeroShotTraining:
    """A network of class vectors under training. See `Trainable`."""

    drawn: ClassVar[Drawn] = "batches"
    kind: ClassVar[type[ZeroShot]]
    network: PrototypesOfVectors | RelationOfVectors

    def __init__(self, settings: ZeroShotTrainingSettings, centre: Tensor, attributes: int, seed: int, start: Mapping[str, Tensor] | None) -> None:
        self.settings, self.centre = settings, centre if start is None else start[CENTRE].clone()
        self.network = seeded(lambda: self.new(len(centre), attributes), seed)
        if start is not None:
            check_layout(under(start, NETWORK), self.network.state_dict(), self.kind.name)
            self.network.load_state_dict(under(start, NETWORK))

    @abstractmethod
    def new(self, features: int, attributes: int) -> PrototypesOfVectors | RelationOfVectors:
        """The network with first weights of torch's."""

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of logits (B, N) for pictures of the classes (B,)."""

    def wants(self) -> tuple[FeatureSpec, ...]:
        """The last layer of the backbone."""
        return (backbone_wish(self.settings.side),)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The network's."""
        return self.network.parameters()

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.network.to(device)
        self.centre = self.centre.to(device)

    def checkpoint(self) -> dict[str, Tensor]:
        """The network's tensors, and the mean of the training pictures."""
        return {CENTRE: self.centre} | {NETWORK + name: tensor for name, tensor in self.network.state_dict().items()}

    def method(self) -> ZeroShot:
        """The method with copies of the tensors as they are now."""
        return self.kind(ZeroShotSettings(side=self.settings.side), {name: tensor.detach().cpu().clone() for name, tensor in self.checkpoint().items()})

    def scores(self, features: Tensor, vectors: Tensor) -> Tensor:
        """Logits (B, N) of features (B, F) as the backbone gives them, for class vectors (N, A)."""
        return self.network.compared(centred(features, self.centre), self.network.classes(vectors))

    def episode_loss(self, batch: VectorBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of the batch's pictures among its classes. There is no chance in it."""
        del generator
        return {"loss": self.loss(self.scores(batch.features, batch.vectors), batch.labels)}


class PrototypicalTraining(ZeroShotTraining):
    """Both maps under training, by the cross entropy of episodes (published: 50 classes, 10 queries each)."""

    drawn: ClassVar[Drawn] = "episodes"
    kind = ZeroShotPrototypical

    def new(self, features: int, attributes: int) -> PrototypesOfVectors:
        """See `ZeroShotTraining.new`."""
        return PrototypesOfVectors(features, attributes, self.settings.width)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy."""
        return cross_entropy(logits, labels)


class RelationTraining(ZeroShotTraining):
    """Both networks under training, by the squared error to the classes that a batch shows (published: of 32 pictures)."""

    kind = ZeroShotRelation

    def new(self, features: int, attributes: int) -> RelationOfVectors:
        """See `ZeroShotTraining.new`."""
        return RelationOfVectors(features, attributes, self.settings.hidden, self.settings.related)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Squared error of the sigmoids."""
        return squared_loss(logits, labels)


TABLE: Mapping[str, type[ZeroShotTraining]] = {each.kind.name: each for each in (PrototypicalTraining, RelationTraining)}


def zero_shot_trainable(
    name: str, values: Mapping[str, Any], centre: Tensor, attributes: int, *, seed: int = 0, start: Mapping[str, Tensor] | None = None
) -> ZeroShotTraining:
    """What the loop trains of a network of class vectors; centre: the mean (F,) of the training pictures' features.

    UsageError for a name that is none and unknown settings, WeightsError for tensors of another network.
    """
    if name not in TABLE:
        raise UsageError(f"no learner of class vectors is called {name!r}", where="method.name", remedy=close_match(name, TABLE))
    return TABLE[name](ZeroShotTrainingSettings().changed(**values), centre, attributes, seed, start)
