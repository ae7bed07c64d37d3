"""Label Anything: several classes at once from masks, boxes and points (De Marinis et al. 2024).

learn    the features of every example; the prompts of each class in it as tokens and maps, which a two-way transformer joins to
         the features; their means are vectors of class and example, perhaps mixed among each other; a prototype a class is kept
predict  one backbone pass; prototypes and features attend to each other, and each place gets a logit of every class

An example may show any number of classes, each by any mix of points, boxes and masks; classes may have different numbers of examples.
Scribbles are points along them; of tags the patches that `methods.prompts` finds are masks.

official: as released weights were trained, see `prompt_encoder`; else padding counts nowhere, and a class without prompts takes no pixel.

Limits: the head must be trained; every image is seen at one size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.data.image_prompts import ImagePrompts
from likewise.errors import InputError, UsageError, WeightsError
from likewise.functional.resize import resize_nearest
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.label_anything.checkpoint import converted, encoder_of, head_of
from likewise.methods.label_anything.config import HeadConfig, from_published
from likewise.methods.label_anything.model import Head, untrained_head
from likewise.methods.label_anything.pictures import Frame
from likewise.methods.label_anything.prompts import prompts_from
from likewise.methods.patches import answer
from likewise.methods.prompts import patch_labels

if TYPE_CHECKING:
    from likewise.backbones.registry import Backbone
    from likewise.backbones.vit import VitConfig
    from likewise.methods.trainable import Trainable

UNTRAINED_SIDE = 448
_CELL = 4  # pixels of the square that the network has one logit for: presence and confidence are told from these, sixteen times fewer
_POOL = "prompt_encoder.class_encoder.pos_embedding"


@dataclass(frozen=True, kw_only=True)
class LabelAnythingSettings(MethodSettings):
    """The settings of Label Anything.

    side: of the square that the network sees; padded: pictures keep their shape in it, as for SAM, or become it, as for MAE; a
    checkpoint says both. official: the published behaviour, defects included. seed: of the rows of the token pool that mark the
    classes, where the checkpoint has a pool; -1 for the first ones. heads: of the attentions.
    width, hidden, mixers, pool, spatial: of an untrained head, for trying out. chunk: pairs of example and class at once; memory and
    speed alone.
    """

    side: int = 0
    padded: bool = False
    official: bool = False
    seed: int = -1
    heads: int = 8
    width: int = 64
    hidden: int = 128
    mixers: tuple[str, ...] = ()
    pool: int = 0
    spatial: int = 3
    chunk: int = 8


class LabelAnything(Method):
    """See the top of the file."""

    name = "label-anything"
    takes = frozenset({LabelKind.MASK, LabelKind.BOX, LabelKind.POINT})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    trained = True
    keeps_checkpoint = False
    Settings = LabelAnythingSettings
    settings: LabelAnythingSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None, mounted_on: Backbone | None = None) -> None:
        super().__init__(settings)
        self._checkpoint, self._backbone = checkpoint, mounted_on

    def settled(self, support: Support) -> Self:
        """This method as it is. Raises InputError for more classes than the token pool marks, before any image is looked at."""
        if self._checkpoint is None:
            self._check_pool(1 + len(support.classes), self.settings.pool)
        elif _POOL in self._checkpoint:
            self._check_pool(1 + len(support.classes), self._checkpoint[_POOL].shape[2])
        return self

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint; with None an untrained head for whatever backbone."""
        found = type(self)(self.settings, checkpoint)
        if checkpoint is not None:
            head_of(checkpoint, side=self._side, patch=1, heads=self.settings.heads)  # what is wrong with the tensors is said here
        return found

    def backbone(self) -> Backbone | None:
        """The image encoder of the checkpoint, if it has one."""
        return self._own_backbone

    def mounted(self, backbone: Backbone) -> Self:
        """This method for the tokens of a backbone. Raises InputError where they do not fit the head."""
        found = type(self)(self.settings, self._checkpoint, backbone)
        found._own_backbone = self._own_backbone
        if found._head.config.encoder_width != backbone.config.width:
            raise InputError(
                f"the checkpoint reads tokens of {found._head.config.encoder_width} channels, the backbone gives {backbone.config.width}",
                where="checkpoint",
                remedy="Take the backbone that it was trained on",
            )
        return found

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """A released checkpoint by our names. Raises WeightsError where no `config.json` lies beside it."""
        return converted(official, _config(config))

    @classmethod
    def published(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The published behaviour, size and framing; the image encoder lies in the checkpoint itself."""
        told = _config(config)
        return {"official": True, "side": from_published(told).side, "padded": bool(told.get("custom_preprocess", True))}, ""

    @classmethod
    def trainable(cls, backbone: VitConfig, settings: Mapping[str, Any], *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[Any]:
        """The head under training; see `training.LabelAnythingTrainingSettings`."""
        from likewise.methods.label_anything.training import trainable

        return trainable(backbone, settings, seed, start)

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer at one size."""
        return (self._spec,)

    def learn(self, support: Support, features: Features) -> Memory:
        """A prototype for the background and every class."""
        own = features[self._spec]
        numbers = support.classes.numbers
        rows = self._rows(1 + len(numbers))
        asked = prompts_from(self._prompts(support, own), numbers, self._frame, official=self.settings.official)
        with torch.inference_mode():
            maps = torch.stack([self._features(item) for item in own])[None]
            encoded = self._head.remember(maps, asked, rows=rows, official=self.settings.official, chunk=self.settings.chunk)
        tensors = {"prototypes": encoded.prototypes[0].clone(), "known": encoded.some[0].any(dim=0)}
        return Memory(tensors, {"rows": [] if rows is None else rows.tolist()})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits of every query at the size that it has within the square."""
        return [self._answer(item, memory) for item in features[self._spec]]

    def _answer(self, item: ImageFeatures, memory: Memory) -> RawPrediction:
        known, prototypes = memory.tensors["known"], memory.tensors["prototypes"].clone()  # aligned: of a mapped file the last bit may differ
        with torch.inference_mode():
            low = self._head.logits(self._features(item)[None], prototypes, None if self.settings.official else known[None])
            logits = self._frame.squared(low, item.size)[0].clone()
        if not self.settings.official:
            logits[~known] = -torch.inf
        coarse = adaptive_avg_pool2d(logits, (max(1, logits.shape[1] // _CELL), max(1, logits.shape[2] // _CELL)))
        found = answer(coarse.flatten(1).T, (coarse.shape[1], coarse.shape[2]))
        return replace(found, logits=torch.nan_to_num(logits, neginf=-1e4), gated=not self.settings.official)

    def _features(self, item: ImageFeatures) -> Tensor:
        """(D, E, E)."""
        return self._head.features(item.tokens[-1:].float())[0]

    def _prompts(self, support: Support, features: Sequence[ImageFeatures]) -> list[ImagePrompts]:
        """What each example holds; where tags are all there is of a class, masks of the patches that stand for it."""
        found = [ImagePrompts.of(example.labels) for example in support.examples]
        if LabelKind.TAG not in support.kinds():
            return found
        labels = patch_labels(support, features)
        for index, example in enumerate(support.examples):
            tagged = [number for number, there in example.labels.tags.items() if there and number not in found[index].numbers()]
            masks = {number: self._patches(labels[index].shares, features[index], support.classes.index(number), example.labels.size) for number in tagged}
            found[index] = replace(found[index], masks={**found[index].masks, **{number: mask.numpy() for number, mask in masks.items()}})
        return found

    def _patches(self, shares: Tensor, item: ImageFeatures, place: int, size: tuple[int, int]) -> Tensor:
        return resize_nearest(shares[:, place].reshape(item.grid), size) >= 0.5

    def _rows(self, classes: int) -> Tensor | None:
        """The rows of the token pool for the background and every class. Raises InputError for more classes than it marks."""
        pool = self._head.config.pool
        if not pool:
            return None
        self._check_pool(classes, pool)
        if self.settings.seed < 0:
            return torch.arange(classes)
        drawn = torch.randperm(pool - 1, generator=torch.Generator().manual_seed(self.settings.seed))[: classes - 1] + 1
        return torch.cat([torch.zeros(1, dtype=torch.long), drawn])

    def _check_pool(self, classes: int, pool: int) -> None:
        if pool and classes > pool:
            raise InputError(
                f"there are {classes - 1} classes, the token pool marks {pool - 1} at most",
                where="support",
                remedy="Learn in parts, or take another checkpoint" if self._checkpoint else f"Learn in parts, or set `pool` to {classes} or more",
            )

    @property
    def _side(self) -> int:
        return self.settings.side or UNTRAINED_SIDE

    @cached_property
    def _frame(self) -> Frame:
        return Frame(self._side, padded=self.settings.padded)

    @cached_property
    def _spec(self) -> FeatureSpec:
        return FeatureSpec(layers=(-1,), side=self._side, squash=not self.settings.padded, pad=self.settings.padded)

    @cached_property
    def _own_backbone(self) -> Backbone | None:
        return None if self._checkpoint is None else encoder_of(self._checkpoint)

    @cached_property
    def _head(self) -> Head:
        if self._backbone is None:
            raise UsageError(
                "there is no image encoder", where="label-anything", remedy="Learn by `likewise.learn`, or give the method a backbone by `mounted`"
            )
        own, config = self.settings, self._backbone.config
        if self._checkpoint is not None:
            return head_of(self._checkpoint, side=self._side, patch=config.patch, heads=own.heads)
        return untrained_head(
            HeadConfig(
                encoder_width=config.width,
                width=own.width,
                side=self._side,
                patch=config.patch,
                heads=own.heads,
                hidden=own.hidden,
                mixers=own.mixers,
                pool=own.pool,
                spatial=own.spatial,
            )
        )


def _config(config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if config is None:
        raise WeightsError("there is no config.json beside it", where="checkpoint", remedy="Fetch config.json too, and put it into the same folder")
    return config
