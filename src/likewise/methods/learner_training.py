"""What trainings of a learner share whose features come from the program's backbone, or from a network that the start brings and that stays frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from likewise.backbones.features import FeatureSpec
from likewise.methods.pyramid_levels import spec_of
from likewise.methods.pyramid_weights import BACKBONE, LEARNER, part


class LearnerTraining:
    """A learner under training and the frozen network before it, None for the program's backbone; see `Trainable`.

    side: of the square image; start: tensors of a checkpoint, whose network goes on into those that are made.
    """

    def __init__(self, learner: nn.Module, network: nn.Module | None, side: int, start: Mapping[str, Tensor]) -> None:
        learner.requires_grad_(True).train()
        self._parts = (learner, network)
        self._side = side
        self._frozen = {BACKBONE + name: tensor for name, tensor in part(start, BACKBONE).items()}

    def wants(self) -> tuple[FeatureSpec, ...]:
        """The picture alone for a network of its own, else all layers of the backbone."""
        return (spec_of(self._side, own_backbone=self._parts[1] is not None),)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The learner's."""
        return self._parts[0].parameters()

    def to(self, device: torch.device) -> None:
        """Move learner and network."""
        for each in self._parts:
            if each is not None:
                each.to(device)

    def checkpoint(self) -> dict[str, Tensor]:
        """The learner's tensors, and the network's as they came."""
        return {**{LEARNER + name: tensor for name, tensor in self._parts[0].state_dict().items()}, **self._frozen}

    def copies(self) -> dict[str, Tensor]:
        """Copies of the tensors of `checkpoint` as they are now."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.checkpoint().items()}
