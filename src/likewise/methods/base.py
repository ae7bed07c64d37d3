"""The one interface of every method: learn from a support, then predict.

A method is a pair of functions over tensors and one small class that names it. What `learn` finds is in `Memory`;
a method object keeps its settings and nothing else, so predicting twice gives the same answer twice.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import UsageError, close_match
from likewise.functional.links import Link

if TYPE_CHECKING:
    from likewise.backbones.registry import Backbone
    from likewise.backbones.vit import VitConfig
    from likewise.methods.trainable import Trainable

Preset = Literal["default", "fast", "best"]
Progress = Callable[[str, int, int], None]  # stage, done, of
PRESENCE_LEFT_OUT = "left_out_presence"  # a fact of a memory, where `learn` finds it by the way: see `task.deciding`
Features = Mapping[FeatureSpec, Sequence[ImageFeatures]]  # for each wish a list in the order of the images


@dataclass(frozen=True)
class Memory:
    """What was learned: tensors by name and a few JSON-able facts. Never changed after `learn`."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RawPrediction:
    """A method's answer for one image, before it has the image's size.

    logits: (N+1, h, w), background first, whose softmax are probabilities; None for a purely dense answer and for whole images;
    probabilities: (N,) of the whole image being of each class, what is left to 1 is that of none of them;
    presence: (N,) probability that each class is in the image; dense: {target: components (C, h, w)}, which become
    values by the target's `links` after they were enlarged; keypoints: {name: (x, y, probability)} in pixels of the
    image; confidence: 0..1; class_confidence: (N,).
    Logits and dense maps are brought to the image's size by bilinear interpolation (half-pixel centres; with `corners`
    logits are laid with their corner samples on those of the image, as some published methods do). A class whose
    presence is below a half takes no pixel, unless the method does not want it so (`gated` False).
    """

    logits: Tensor | None
    presence: Tensor | None = None
    dense: Mapping[str, Tensor] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    confidence: float = 1.0
    class_confidence: Tensor | None = None
    corners: bool = False
    gated: bool = True
    keypoints: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    probabilities: Tensor | None = None


@dataclass(frozen=True)
class Query:
    """What a method may know of an image besides its features: the (H, W) of the user's image."""

    size: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """The base of every method's settings: frozen, keyword-only, each default with its source beside it."""

    @classmethod
    def preset(cls, name: Preset) -> Self:
        """The settings that a preset stands for; the same for all presets unless a method says otherwise."""
        del name
        return cls()

    def changed(self, **values: Any) -> Self:
        """These settings with some values replaced; UsageError with the closest match for an unknown name."""
        known = {item.name: item for item in dataclasses.fields(self)}
        for name, value in values.items():
            if name not in known:
                raise UsageError(f"there is no setting {name!r}", where=type(self).__qualname__, remedy=close_match(name, known))
            default = getattr(self, name)
            fits = (
                isinstance(value, type(default))
                or (isinstance(default, float) and isinstance(value, int))
                or (isinstance(default, tuple) and isinstance(value, list))
            )
            if default is not None and not fits:
                raise UsageError(f"setting {name!r} is {value!r}", where=type(self).__qualname__, remedy=f"Give a value like {default!r}")
        fitted = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return dataclasses.replace(self, **fitted)


class Method(ABC):
    """A few-shot method.

    name: its name in the registry; takes: kinds of labels it learns from by itself (others are turned into these by
    `methods.prompts`); gives: kinds of answers; exempt: conformance laws that it cannot keep -> why; trained: whether
    it needs a checkpoint besides the backbone, which it then keeps in the memory; optional_checkpoint: whether one that does not may be given one, whose
    card says how it is used; keeps_checkpoint: False where it is too
    large for that, so that a task names it by its hash and finds it again; from_good: whether examples that show none of the classes are
    enough to learn from, so that a folder of images without labels is a support.
    """

    name: ClassVar[str]
    takes: ClassVar[frozenset[LabelKind]]
    gives: ClassVar[frozenset[OutputKind]]
    exempt: ClassVar[Mapping[str, str]] = {}
    trained: ClassVar[bool] = False
    optional_checkpoint: ClassVar[bool] = False
    keeps_checkpoint: ClassVar[bool] = True
    from_good: ClassVar[bool] = False
    Settings: ClassVar[type[MethodSettings]] = MethodSettings

    def __init__(self, settings: MethodSettings | None = None) -> None:
        self.settings = settings if settings is not None else self.Settings()

    def settled(self, support: Support) -> Self:
        """This method with the settings that depend on the support filled in; by default the method itself.

        Called once, before features are extracted: a place to choose working sizes by the size of the labelled parts,
        say. What was given stays, so that settling again, for whatever support, changes nothing.
        """
        del support
        return self

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint that was opened before; with None untrained ones, always the same.

        Raises WeightsError for a checkpoint of another method. Only methods that are `trained` have any.
        """
        del checkpoint
        raise UsageError(f"the method {self.name!r} has no checkpoint to load", where="checkpoint", remedy="Leave it out")

    def backbone(self) -> Backbone | None:
        """The image network that came with the checkpoint; None where a backbone is named beside it, as for most."""
        return None

    def reads_backbone(self) -> bool:
        """Whether features of a backbone are asked for; False where the checkpoint brings the one network that is run."""
        return True

    def mounted(self, backbone: Backbone) -> Self:
        """This method with the network itself, for those that run or tune it; by default the method as it is.

        Called once, after `equipped` and before `wants`, in `learn` and when a loaded task is made ready.
        """
        del backbone
        return self

    def watched(self, progress: Progress | None) -> Self:
        """This method, which tells `progress` (stage, done, of) how far a long `learn` is; by default the method as it is."""
        del progress
        return self

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """The tensors of a published checkpoint under the names that `equipped` reads; WeightsError where they are of another method.

        config: what a `config.json` beside the file says, None where there is none.
        """
        del official, config
        raise UsageError(f"the method {cls.name!r} has no published checkpoints", where="convert", remedy="Name the method that the file belongs to")

    @classmethod
    def published(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The settings that a published checkpoint must be used with, and the name of its backbone, "" where it does not tell; see `converted`."""
        del official, config
        return {}, ""

    @classmethod
    def shipped(cls) -> Sequence[Path]:
        """Checkpoints that come with the method's package, each with a card that names its backbone."""
        return ()

    @classmethod
    def trainable(cls, backbone: VitConfig, settings: Mapping[str, Any], *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[Any]:
        """What a training loop trains, for features of a backbone of that shape.

        settings: of the training, by name; seed: of the initial numbers; start: tensors of a checkpoint to begin from. Raises
        UsageError for unknown settings and for methods that are not trained, WeightsError for tensors of another method.
        """
        del backbone, settings, seed, start
        raise UsageError(f"the method {cls.name!r} is not trained", where="method.name", remedy="Name a method that needs a checkpoint, cst for example")

    def expecting(self, memory: Memory, shift: Tensor) -> Memory:
        """The memory with the log-odds of each class being in an image moved by `shift` (N,): other shares of images than usual show it.

        Raises UsageError for methods, and memories, without a curve of presence to move.
        """
        del memory, shift
        raise UsageError(f"the method {self.name!r} has no curve of presence to move", where="adapt", remedy='Adapt by "features", or leave it out')

    def checkpoint_in(self, memory: Memory) -> Mapping[str, Tensor]:
        """The tensors of the checkpoint that a memory was learned with; none for methods without."""
        del memory
        return {}

    @abstractmethod
    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The features that `learn` needs, or with a memory those that `predict` needs; () for no frozen backbone.

        `learn` may ask for several (working sizes to choose from, say), of which `predict` needs the chosen ones.
        """

    @abstractmethod
    def learn(self, support: Support, features: Features) -> Memory:
        """The memory of a support; each list of `features` is in the order of its examples."""

    @abstractmethod
    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """One raw prediction a query; each list of `features` is in the order of the queries."""


def to_device(memory: Memory, device: torch.device) -> Memory:
    """The same memory with its tensors on a device."""
    return Memory({name: tensor.to(device) for name, tensor in memory.tensors.items()}, memory.facts)
