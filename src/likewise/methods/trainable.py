"""What a training loop needs of a method that is trained over episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data.image_prompts import ImagePrompts

if TYPE_CHECKING:
    from likewise.methods.base import Method


@dataclass(frozen=True)
class TrainingEpisode:
    """One class, one support image, one query, as features.

    present: whether the query shows the class; support_mask, query_mask: (H, W) uint8 of any size, 1 on the class, 255
    unknown, or None where only the image-level label may be used; more: for each further wish of the method the features of query and support.
    """

    query: ImageFeatures
    support: ImageFeatures
    present: bool
    support_mask: Tensor | None = None
    query_mask: Tensor | None = None
    more: tuple[tuple[ImageFeatures, ImageFeatures], ...] = ()


@dataclass(frozen=True)
class DenseTrainingEpisode:
    """Targets of one channel each that share pictures: features of the support and of the queries, S and Q pictures, and their maps.

    support_values, query_values: (C, S, H, W), (C, Q, H, W) in 0..1, 0 where unknown; support_known, query_known: of 0 and 1;
    categorical: of each channel whether its values are the chance of something being there, as those of a class.
    """

    support: tuple[ImageFeatures, ...]
    query: tuple[ImageFeatures, ...]
    support_values: Tensor
    support_known: Tensor
    query_values: Tensor
    query_known: Tensor
    categorical: tuple[bool, ...]


@dataclass(frozen=True)
class PromptedTrainingEpisode:
    """N classes at once: tokens of M pictures of the support and of a query, prompts in the support, the truth of the query.

    query: (P, F); support: (M, P, F), of square pictures of `side` pixels; prompts: of each picture of the support, in pixels of
    that square; numbers: the N classes, sorted; truth: (side, side) int64, the place of a pixel's class in `numbers` and 1, 0 for the
    background, -100 where nothing is known.
    """

    query: Tensor
    support: Tensor
    prompts: tuple[ImagePrompts, ...]
    numbers: tuple[int, ...]
    truth: Tensor


@dataclass(frozen=True)
class PromptedTrainingBatch:
    """Episodes that are answered together, as weights of classes are those of a batch: alike in pictures and classes, not in prompts."""

    episodes: tuple[PromptedTrainingEpisode, ...]


Kind = TypeVar("Kind", contravariant=True)  # of episodes


class Trainable(Protocol[Kind]):
    """One loop trains every method that is one of these: it draws episodes, asks for features and steps on the loss."""

    def wants(self) -> tuple[FeatureSpec, ...]:
        """The features that an episode must have, those of `query` and `support` first."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is trained, always in the same order."""
        ...

    def to(self, device: torch.device) -> None:
        """Move all tensors to a device, those that are not trained too."""
        ...

    def episode_loss(self, episode: Kind, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The terms of the loss by name, "loss" their sum to be minimised, always the same names; all chance comes from the generator."""
        ...

    def checkpoint(self) -> dict[str, Tensor]:
        """The tensors by the names that `Method.equipped` reads: the ones that are trained, no copies, so that writing into them restores."""
        ...

    def method(self) -> Method | None:
        """The method with what is trained so far, for validation; None for a part that answers nothing by itself."""
        ...


@runtime_checkable
class DenseTrainable(Trainable[DenseTrainingEpisode], Protocol):
    """A `Trainable` of dense episodes; it is validated by its answers to features, as its networks run behind a frozen backbone."""

    def answers(self, episode: DenseTrainingEpisode) -> Tensor:
        """Values (C, Q, H, W) in 0..1 for the queries, given the support; nothing is dropped."""
        ...


@runtime_checkable
class PromptTrainable(Trainable[PromptedTrainingBatch], Protocol):
    """A `Trainable` of episodes with any prompts for several classes, by the batch."""

    def logits(self, batch: PromptedTrainingBatch, generator: torch.Generator | None = None) -> Tensor:
        """Logits (B, N+1, h, w) of the queries; the generator marks classes by chance, None always alike."""
        ...
