"""Networks that compare a picture with a class of which only a vector is known: two forms of one interface, and both from a checkpoint.

Letters: B pictures, N classes, F numbers of a picture's features, A of a class vector, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from likewise.backbones.checkpoint import filled
from likewise.errors import WeightsError
from likewise.methods.classifiers.prototypical_model import ZeroShotPrototypes
from likewise.methods.classifiers.relation_model import AttributeNetwork, VectorRelation


class ZeroShotNetwork(Protocol):
    """What both forms can do."""

    def classes(self, vectors: Tensor) -> Tensor:
        """What a task keeps (N, D) of class vectors (N, A)."""
        ...

    def compared(self, features: Tensor, classes: Tensor) -> Tensor:
        """Logits (B, N) of features (B, F) for what was kept of classes."""
        ...


class PrototypesOfVectors(ZeroShotPrototypes):
    """See `ZeroShotPrototypes`."""

    def classes(self, vectors: Tensor) -> Tensor:
        """Prototypes (N, D)."""
        return self.prototypes(vectors)


class RelationOfVectors(nn.Module):
    """Class vectors brought into the space of features, and a small network on pairs (Sung et al. 2018). Names: attribute.fc1, fc2, relation.fc1, fc2.

    Features are expected to be of length 1 and are multiplied with the root of F: single numbers are then about 1, as those of the published
    network were; without that nothing is learned at the published rates.
    """

    def __init__(self, features: int, attributes: int, hidden: int, related: int) -> None:
        super().__init__()
        self.attribute, self.relation = AttributeNetwork(attributes, hidden, features), VectorRelation(features, related)

    def classes(self, vectors: Tensor) -> Tensor:
        """Embedded classes (N, F)."""
        found: Tensor = self.attribute(vectors)
        return found

    def compared(self, features: Tensor, classes: Tensor) -> Tensor:
        """Logits (B, N)."""
        found: Tensor = self.relation(classes, features * features.shape[1] ** 0.5)
        return found


def prototypes_of_vectors(tensors: Mapping[str, Tensor]) -> PrototypesOfVectors:
    """The prototypes of a checkpoint, sizes after its tensors, frozen. WeightsError where they are not theirs."""
    image, attribute = _matrices(tensors, ("image.weight", "attribute.weight"))
    with torch.device("meta"):
        network = PrototypesOfVectors(image.shape[1], attribute.shape[1], len(image), bias="image.bias" in tensors)
    return filled(network, tensors, "zero-shot network")


def relation_of_vectors(tensors: Mapping[str, Tensor]) -> RelationOfVectors:
    """The relation network of a checkpoint, sizes after its tensors, frozen. WeightsError where they are not its."""
    first, second, related = _matrices(tensors, ("attribute.fc1.weight", "attribute.fc2.weight", "relation.fc1.weight"))
    with torch.device("meta"):
        network = RelationOfVectors(len(second), first.shape[1], len(first), len(related))
    return filled(network, tensors, "zero-shot network")


def _matrices(tensors: Mapping[str, Tensor], names: tuple[str, ...]) -> list[Tensor]:
    if any(name not in tensors or tensors[name].ndim != 2 for name in names):
        raise WeightsError(f"it has no matrices {', '.join(names)}", where="zero-shot network", remedy="Name a checkpoint of the method that is asked for")
    return [tensors[name] for name in names]
