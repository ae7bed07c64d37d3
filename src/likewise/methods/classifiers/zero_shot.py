"""Classes of which only a vector is known: attributes, or any embedding of their names, and not one image.

learn    what the trained network makes of each class's vector
predict  features of the picture on the frozen backbone, compared with that, softmax

zero-shot-prototypical  pictures and vectors in one space, negative squared distance (Snell et al. 2017)
zero-shot-relation      the vector in the space of features, a small network on pairs (Sung et al. 2018)

Both need a checkpoint that was trained on pictures of other classes, on the same backbone and with vectors of the same meaning: the same
attributes in the same order, or the same embedding. The features are those of `frame` on a backbone, without the mean of the training pictures.

Limits: nothing says what a picture of none of the classes looks like; probabilities are of the trained scores, which were fitted to other classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec
from likewise.backbones.registry import Backbone
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import InputError, UsageError, WeightsError
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.classifiers.common import under
from likewise.methods.classifiers.frame import answered
from likewise.methods.classifiers.reading import Held, backbone_wish, centred, whole_vectors
from likewise.methods.classifiers.zero_shot_model import PrototypesOfVectors, RelationOfVectors, ZeroShotNetwork, prototypes_of_vectors, relation_of_vectors

CENTRE, NETWORK = "centre", "network."  # of a checkpoint: the mean of the training pictures' features, and how the network's tensors begin
_CHECKPOINT = "checkpoint."
UNTRAINED_WIDTH = 16  # of "random"


@dataclass(frozen=True, kw_only=True)
class ZeroShotSettings(MethodSettings):
    """side: the working size, 0 for 224; as in the training. temperature: divides scores; trained ones are used as they are."""

    side: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UsageError(f"setting 'temperature' is {self.temperature!r}", where=type(self).__qualname__, remedy="Give a number above 0")


class ZeroShot(Method):
    """What both forms share."""

    takes = frozenset({LabelKind.VECTOR})
    gives = frozenset({OutputKind.CLASS, OutputKind.PRESENCE})
    exempt: ClassVar[Mapping[str, str]] = {"forget equals learning without": "it learns from no examples that could be forgotten"}
    trained = True
    Settings = ZeroShotSettings
    settings: ZeroShotSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None, width: int = 0) -> None:
        super().__init__(settings)
        self._checkpoint, self._width = checkpoint, width  # None: untrained, to be made for features of that width
        self._held = Held[ZeroShotNetwork]()

    @classmethod
    @abstractmethod
    def network(cls, tensors: Mapping[str, Tensor]) -> ZeroShotNetwork:
        """The network of these tensors; WeightsError where they are another's."""

    @classmethod
    @abstractmethod
    def new(cls, features: int, attributes: int) -> dict[str, Tensor]:
        """Tensors of a small network for so many numbers of pictures and of classes."""

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint."""
        if checkpoint is None:
            return type(self)(self.settings)
        if CENTRE not in checkpoint:
            raise WeightsError("the mean of the training pictures is not there", where=CENTRE, remedy=f"Name a checkpoint of {self.name}")
        self.network(under(checkpoint, NETWORK))
        return type(self)(self.settings, {name: tensor.clone() for name, tensor in checkpoint.items()})

    def mounted(self, backbone: Backbone) -> Self:
        """This method for features of the backbone. WeightsError where the checkpoint is for features of another width."""
        width = backbone.config.width * (2 if backbone.config.class_token else 1)
        if self._checkpoint is not None and len(self._checkpoint[CENTRE]) != width:
            raise WeightsError(
                f"it is for pictures of {len(self._checkpoint[CENTRE])} numbers, {backbone.name} gives {width}",
                where="checkpoint",
                remedy="Name the backbone that it was trained on",
            )
        return type(self)(self.settings, self._checkpoint, width)

    def checkpoint_in(self, memory: Memory) -> Mapping[str, Tensor]:
        """The checkpoint's tensors."""
        return under(memory.tensors, _CHECKPOINT)

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer of the backbone."""
        return (backbone_wish(self.settings.side),)

    def learn(self, support: Support, features: Features) -> Memory:
        """`classes` (n, D) as the network compares them, `seen` (n,): the places of the classes that have a vector, and the checkpoint."""
        del features  # there is not one image
        numbers = [number for number in support.classes.numbers if number in support.class_vectors]
        vectors = torch.stack([torch.from_numpy(support.class_vectors[number]) for number in numbers])
        checkpoint = self._checkpoint if self._checkpoint is not None else self._untrained(vectors.shape[1])
        try:
            classes = self._network(checkpoint).classes(vectors)
        except RuntimeError as error:
            told = f"{vectors.shape[1]} numbers describe a class, the checkpoint was trained on another number ({error})"
            raise InputError(told, where="class_vectors", remedy="Give the attributes or the embedding that it was trained with") from error
        tensors = {"classes": classes, "seen": torch.tensor([support.classes.numbers.index(number) for number in numbers])}
        return Memory(tensors | {_CHECKPOINT + name: tensor for name, tensor in checkpoint.items()}, {"classes": len(support.classes)})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """The probability of every class, 0 for those without a vector."""
        tensors, checkpoint = memory.tensors, self.checkpoint_in(memory)
        rows = centred(whole_vectors(features[self.wants()[0]]), checkpoint[CENTRE])
        logits = self._network(checkpoint).compared(rows, tensors["classes"].clone())
        return answered(logits / self.settings.temperature, tensors["seen"], memory.facts["classes"], torch.zeros(len(rows)))

    def _network(self, checkpoint: Mapping[str, Tensor]) -> ZeroShotNetwork:
        """The network of a checkpoint; of copies, since products by numbers that lie otherwise in memory, as those of a file, may differ in the last bit."""
        own = under(checkpoint, NETWORK)
        return self._held(own, lambda: self.network({name: tensor.clone() for name, tensor in own.items()}))

    def _untrained(self, attributes: int) -> dict[str, Tensor]:
        """What "random" stands for: a small network that is always the same."""
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            return {CENTRE: torch.zeros(self._width)} | {NETWORK + name: tensor for name, tensor in self.new(self._width, attributes).items()}


class ZeroShotPrototypical(ZeroShot):
    """See the top of the file."""

    name = "zero-shot-prototypical"

    @classmethod
    def network(cls, tensors: Mapping[str, Tensor]) -> PrototypesOfVectors:
        """See `zero_shot_model`."""
        return prototypes_of_vectors(tensors)

    @classmethod
    def new(cls, features: int, attributes: int) -> dict[str, Tensor]:
        """See `ZeroShot.new`."""
        return dict(PrototypesOfVectors(features, attributes, UNTRAINED_WIDTH).state_dict())


class ZeroShotRelation(ZeroShot):
    """See the top of the file."""

    name = "zero-shot-relation"

    @classmethod
    def network(cls, tensors: Mapping[str, Tensor]) -> RelationOfVectors:
        """See `zero_shot_model`."""
        return relation_of_vectors(tensors)

    @classmethod
    def new(cls, features: int, attributes: int) -> dict[str, Tensor]:
        """See `ZeroShot.new`."""
        return dict(RelationOfVectors(features, attributes, UNTRAINED_WIDTH, UNTRAINED_WIDTH).state_dict())
