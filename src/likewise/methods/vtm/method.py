"""VTM: universal few-shot learning of dense prediction by visual token matching (Kim et al. 2023).

learn    every class and every component of a target is a channel; the image encoder sees the examples under the biases of
         each channel, the label encoder their labels; four levels of keys and values are kept; on request the biases are
         tuned to the examples first
predict  one pass of the image encoder for each different row of biases, attention to the support at four levels, one
         decoder for all channels

A picture is seen at the size that the networks were trained on: a nearly square one as a whole, a longer one through
windows whose answers are blended; official: five crops of a square of 8/7 that size. The task keeps biases, keys and
values; the networks stay in the checkpoint, which the task finds again by its hash.

Limits: the networks must be trained; details finer than the working size are lost, unless `side` is raised, which takes
more windows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec
from likewise.backbones.registry import Backbone
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import InputError, UsageError, WeightsError
from likewise.methods.base import Features, Memory, Method, MethodSettings, Progress, Query, RawPrediction
from likewise.methods.vtm.answering import Answering
from likewise.methods.vtm.checkpoint import BIASES, IMAGE, converted, head_of, image_encoder
from likewise.methods.vtm.learning import Learning
from likewise.methods.vtm.model import LEVELS, Head, HeadConfig, Vtm, untrained_head
from likewise.methods.vtm.pictures import Sight, as_image
from likewise.methods.vtm.settings import VtmSettings

if TYPE_CHECKING:
    from likewise.backbones.vit import VitConfig
    from likewise.methods.trainable import Trainable

SIDE = 224  # of the square that published networks see


class VisualTokenMatching(Method):
    """See the top of the file."""

    name = "vtm"
    takes = frozenset({LabelKind.MASK, LabelKind.DENSE})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE, OutputKind.DENSE})
    trained = True
    keeps_checkpoint = False
    Settings = VtmSettings
    settings: VtmSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None, mounted_on: Backbone | None = None) -> None:
        super().__init__(settings)
        self.settings.check()
        self._checkpoint, self._backbone = checkpoint, mounted_on
        self._progress: Progress | None = None

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint that was opened before; with None an untrained head on whatever backbone."""
        found = type(self)(self.settings, checkpoint)
        if checkpoint is not None:
            _ = found._opened_head  # what is wrong with the tensors is said here
        return found

    def backbone(self) -> Backbone | None:
        """The image encoder of the checkpoint, if it has one."""
        return self._own_backbone

    def mounted(self, backbone: Backbone) -> Self:
        """This method on an image encoder. Raises InputError where its tokens do not fit those of the head."""
        found = type(self)(self.settings, self._checkpoint, backbone)
        head, config = found._vtm.head.config, backbone.config
        if config.depth < LEVELS:
            raise InputError(f"the backbone has {config.depth} blocks, four levels are read", where="backbone", remedy="Take a deeper one")
        if (head.image_width, head.patch) != (config.width, config.patch):
            raise InputError(
                f"the checkpoint reads tokens of {head.image_width} channels and patches of {head.patch} pixels, "
                f"the backbone gives {config.width} and {config.patch}",
                where="checkpoint",
                remedy="Take the backbone that it was trained on",
            )
        return found

    def watched(self, progress: Progress | None) -> Self:
        """This method, whose tuning tells how far it is."""
        found = copy(self)
        found._progress = progress
        return found

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """The tensors of an official meta-trained checkpoint by our names."""
        del config
        found = converted(official)
        if all(name.startswith(BIASES) for name in found):
            raise WeightsError("it holds tuned biases alone", where="checkpoint", remedy="Name the checkpoint that it was tuned from by --base")
        head_of(found)
        image_encoder(found)
        return found

    @classmethod
    def shipped(cls) -> Sequence[Path]:
        """The checkpoints beside this file; what each is made of stands in a page of its name."""
        return sorted(Path(__file__).parent.glob("*.safetensors"))

    @classmethod
    def trainable(cls, backbone: VitConfig, settings: Mapping[str, Any], *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[Any]:
        """Label encoder, matching and decoder under training; see `training.VtmTrainingSettings`."""
        from likewise.methods.vtm.training import trainable

        return trainable(backbone, settings, seed, start)

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The picture at the working size: the networks are the method's own business."""
        return (self._sight(memory).wish,)

    def learn(self, support: Support, features: Features) -> Memory:
        """Keys, values and biases of the support, and the ranges of its targets; the biases tuned if that was asked for."""
        with torch.inference_mode(False), torch.no_grad():
            views = [as_image(item) for item in features[self._sight().wish]]
            return Learning(self._vtm, self._sight(), self.settings, self._checkpoint, self._progress).memory(support, views)

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Class logits and components of targets at the working size."""
        sight = self._sight(memory)
        return Answering(self._vtm, sight, self.settings).predictions(features[sight.wish], memory)

    def _sight(self, memory: Memory | None = None) -> Sight:
        """How pictures are seen: as the settings say, or as the support was."""
        side = self._side if memory is None else int(memory.facts["side"])
        return Sight(side, self.settings.nearly, self.settings.official)

    @cached_property
    def _side(self) -> int:
        """The side of the square that the networks see."""
        if self._checkpoint is None:
            return self.settings.side or SIDE
        config = self._opened_head.config
        return self.settings.side or config.grid * config.patch

    @cached_property
    def _opened_head(self) -> Head:
        assert self._checkpoint is not None
        return head_of(self._checkpoint, heads=self.settings.label_heads or None, matching_heads=self.settings.matching_heads)

    @cached_property
    def _own_backbone(self) -> Backbone | None:
        if self._checkpoint is None:
            return None
        network = image_encoder(self._checkpoint)
        if network is None:
            return None
        total = hashlib.sha256()
        for name in sorted(name for name in self._checkpoint if name.startswith(IMAGE)):
            total.update(self._checkpoint[name].contiguous().view(torch.uint8).numpy().data)
        return Backbone("checkpoint", total.hexdigest(), network)

    @cached_property
    def _vtm(self) -> Vtm:
        if self._backbone is None:
            raise UsageError("there is no image encoder", where="vtm", remedy="Learn by `likewise.learn`, or give the method a backbone by `mounted`")
        return Vtm(self._backbone.network, self._untrained() if self._checkpoint is None else self._opened_head, self.settings.pooling)

    def _untrained(self) -> Head:
        """A head with initial numbers, its sizes those of the settings, for the tokens of the backbone."""
        assert self._backbone is not None
        own, config = self.settings, self._backbone.config
        one, two, three, four = own.reassembled
        return untrained_head(
            HeadConfig(
                image_width=config.width,
                width=own.width,
                depth=own.depth,
                heads=own.heads,
                patch=config.patch,
                grid=self._side // config.patch,
                matching_heads=own.matching_heads,
                reassembled=(one, two, three, four),
                fused=own.fused,
            )
        ).requires_grad_(False)
