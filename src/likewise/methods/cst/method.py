"""CST: few-shot classification and segmentation by correlating tokens (Kang et al. 2023).

learn    for each image its tokens of all layers and heads on a square of 12x12, scaled to length 1; for each (class, image)
         that shows the class, which of these tokens its mask leaves visible
predict  one backbone pass; for each (class, image) a small transformer over the correlations, which says whether the
         class is there and where; means over the images of a class

An image that shows several classes makes a pair with each of them; pixels of the other classes are background there.
Classes may have different numbers of images. Masks are taken as they are; boxes, points and scribbles through
`methods.prompts`; where there are only tags, the pseudo mask of the image is used.

Limits: every image is squashed to a square; a class is seen through 12x12 points of its mask, so a small object may be
missed; the learner must be trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import InputError, UsageError
from likewise.functional.resize import resize_corners, resize_nearest
from likewise.layers.correlation import unit_query, unit_support
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.cst.checkpoint import enhancer_of, learner_of, learner_tensors
from likewise.methods.cst.model import Learner, PairSupport, untrained
from likewise.methods.cst.pseudo import PSEUDO, THRESHOLD, cosines_of, extractor_spec, pseudo_mask
from likewise.methods.patches import answer
from likewise.methods.prompts import patch_labels

if TYPE_CHECKING:
    from likewise.backbones.vit import VitConfig
    from likewise.methods.trainable import Trainable

SUPPORTS = ("auto", "pseudo", "none")


@dataclass(frozen=True, kw_only=True)
class CstSettings(MethodSettings):
    """The settings of CST; the defaults are those of the published code.

    side: of the square that every image becomes.
    support: "auto" takes masks where there are any, "pseudo" never looks at masks, "none" attends to the whole image.
    pseudo: what pseudo masks are made of, "attention" (queries and keys of the last block) or its output "tokens"
    (table 6 of the paper), or "walk", which is ours, see `pseudo`; threshold: of the first two;
    pseudo_backbone: the network they are made by, "" for the task's own.
    many_heads: correlations head by head, or of whole tokens (table a.7).
    coupled: an untrained learner without a classification head (table 7); of a trained one its checkpoint says it.
    square, kernels: the side of the square of support tokens, and the pooling in each layer of the transformer.
    official: the published answer at the size of the image, masks not gated by presence.
    pairs, tile: (class, image) pairs and query tokens that the learner takes at once; memory and speed alone.
    """

    side: int = 400
    support: str = "auto"
    pseudo: str = "attention"
    threshold: float = THRESHOLD
    pseudo_backbone: str = ""
    many_heads: bool = True
    coupled: bool = False
    square: int = 12
    kernels: tuple[int, ...] = (4, 3)
    official: bool = False
    pairs: int = 1
    tile: int = 512


class Cst(Method):
    """See the top of the file."""

    name = "cst"
    takes = frozenset({LabelKind.MASK, LabelKind.TAG})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    trained = True
    Settings = CstSettings
    settings: CstSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(settings)
        for name, value, known in (("support", self.settings.support, SUPPORTS), ("pseudo", self.settings.pseudo, PSEUDO)):
            if value not in known:
                raise UsageError(f"setting {name!r} is {value!r}", where="cst", remedy=f"Use one of {', '.join(known)}")
        self._checkpoint = checkpoint

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint; with None the untrained ones, whose sizes the backbone gives."""
        if checkpoint is not None:
            self._opened(checkpoint)
        return type(self)(self.settings, checkpoint)

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """The learner's tensors of a Lightning checkpoint; those of the backbone, which is frozen, are left out."""
        del config
        found = learner_tensors(official)
        learner_of(found)
        return found

    @classmethod
    def published(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The published settings, in full; the backbone is known by its patches, where its tensors lie beside the learner's."""
        del config
        names = ("side", "support", "pseudo", "threshold", "many_heads", "square", "kernels")
        patches = official.get("backbone.patch_embed.proj.weight")
        return {name: getattr(CstSettings(), name) for name in names}, "dino-small-8" if patches is not None and patches.shape == (384, 3, 8, 8) else ""

    @classmethod
    def shipped(cls) -> Sequence[Path]:
        """The checkpoints beside this file; what each is made of stands in a page of its name."""
        return sorted(Path(__file__).parent.glob("*.safetensors"))

    @classmethod
    def trainable(cls, backbone: VitConfig, settings: Mapping[str, Any], *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[Any]:
        """The learner, or its mask enhancer, under training; see `training.CstTrainingSettings`."""
        from likewise.methods.cst.training import trainable

        return trainable(backbone, settings, seed, start)

    def checkpoint_in(self, memory: Memory) -> Mapping[str, Tensor]:
        """The learner, and the mask enhancer if there is one."""
        return {name.removeprefix("checkpoint."): tensor for name, tensor in memory.tensors.items() if name.startswith("checkpoint.")}

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """All layers at one square size, with queries and keys of the last block; to learn, the last block of another backbone for pseudo masks."""
        extractor = self._extractor if memory is None else None
        return (self._spec,) if extractor is None else (self._spec, extractor)

    def learn(self, support: Support, features: Features) -> Memory:
        """Tokens of each image that shows a class, and the visible tokens of each (class, image); the checkpoint beside them."""
        own = features[self._spec]
        learner = self._learner(own[0])
        pairs = [(place, index) for place, number in enumerate(support.classes) for index in support.showing(number)]
        used = sorted({index for _, index in pairs})
        masks = self._masks(support, own, features[self._extractor or self._spec], pairs)
        tensors = {
            "tokens": torch.cat([self._support_tokens(own[index], learner.side) for index in used]),
            "pair_class": torch.tensor([place for place, _ in pairs]),
            "pair_image": torch.tensor([used.index(index) for _, index in pairs]),
        }
        tensors |= {f"hidden.{level}": hidden for level, hidden in enumerate(learner.hidden(masks))}
        kept = self._checkpoint if self._checkpoint is not None else learner.state_dict()
        tensors |= {f"checkpoint.{name}": tensor.clone() for name, tensor in kept.items() if not name.startswith("backbone.")}
        return Memory(tensors, {"classes": len(support.classes)})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Presence and logits of every query, at twice the grid; with `official` at the size of the image."""
        learner = self._opened(self.checkpoint_in(memory))
        return [self._answer(query, item, memory, learner) for query, item in zip(queries, features[self._spec], strict=True)]

    @cached_property
    def _spec(self) -> FeatureSpec:
        return FeatureSpec(layers=(), side=self.settings.side, squash=True, qk=True)

    @cached_property
    def _extractor(self) -> FeatureSpec | None:
        return extractor_spec(self.settings.side, self.settings.pseudo_backbone)

    def _heads(self, item: ImageFeatures) -> int:
        if item.q is None:
            raise UsageError("the features have no queries and keys", where="cst", remedy="Ask the backbone for what `wants` says")
        return item.q.shape[0] if self.settings.many_heads else 1

    def _learner(self, item: ImageFeatures) -> Learner:
        channels = item.tokens.shape[0] * self._heads(item)
        learner = self._untrained(channels) if self._checkpoint is None else self._opened(self._checkpoint)
        if learner.channels != channels:
            raise InputError(
                f"the checkpoint reads {learner.channels} maps of correlations, the backbone gives {channels}",
                where="checkpoint",
                remedy="Take the backbone that it was trained on, and the same `many_heads`",
            )
        return learner

    def _untrained(self, channels: int) -> Learner:
        return untrained(channels, self.settings.square, self.settings.kernels, coupled=self.settings.coupled)

    def _opened(self, checkpoint: Mapping[str, Tensor]) -> Learner:
        return learner_of(checkpoint, side=self.settings.square, kernels=self.settings.kernels)

    def _support_tokens(self, item: ImageFeatures, side: int) -> Tensor:
        """(1, L, A, 1 + side*side, d)."""
        return unit_support(item.prefix[None, :, 0].float(), item.tokens[None].float(), item.grid, side, self._heads(item))

    def _masks(self, support: Support, features: Sequence[ImageFeatures], extracted: Sequence[ImageFeatures], pairs: Sequence[tuple[int, int]]) -> Tensor:
        """A mask (X, side, side) for each (class, image), 0 outside; pseudo masks from what was `extracted` for them."""
        coarse = None
        masks, numbers = [], support.classes.numbers
        for place, index in pairs:
            kind = self._kind(support, numbers[place], index)
            if kind == "none":
                mask = torch.ones(1, 1)
            elif kind == "mask":
                mask = torch.from_numpy(support.examples[index].labels.mask(numbers[place]).astype("float32"))
            elif kind == "pseudo":
                mask = self._pseudo(extracted[index]).float()
            else:
                coarse = coarse or patch_labels(support, features)
                share = coarse[index].shares[:, place + 1].reshape(features[index].grid)
                mask = (share >= share.max().clamp_max(0.5)).float()
            masks.append(resize_nearest(mask, (self.settings.side, self.settings.side)))
        return torch.stack(masks)

    def _kind(self, support: Support, number: int, index: int) -> str:
        """What a pair's mask is made of: "none", "pseudo", "mask" or "coarse"."""
        labels = support.examples[index].labels
        if self.settings.support != "auto":
            return self.settings.support
        if labels.mask(number).any():
            return "mask"
        return "coarse" if number in labels.boxes or number in labels.points or number in labels.scribbles else "pseudo"

    def _pseudo(self, item: ImageFeatures) -> Tensor:
        """The pseudo mask of an image by its own class token: (side, side) bool."""
        side = (self.settings.side, self.settings.side)
        plain = self._checkpoint is None or self.settings.pseudo != "attention" or bool(self.settings.pseudo_backbone)
        enhancer = None if plain else enhancer_of(self._checkpoint or {})
        if enhancer is None:
            return pseudo_mask(item, item, side, self.settings.pseudo, self.settings.threshold)
        cosines = cosines_of(item, item)
        if enhancer.heads != len(cosines):
            raise InputError(
                f"the mask enhancer reads {enhancer.heads} heads, the backbone has {len(cosines)}",
                where="checkpoint",
                remedy="Take the backbone that it was trained on",
            )
        return enhancer.masks(cosines[None], side)[0]

    def _answer(self, query: Query, item: ImageFeatures, memory: Memory, learner: Learner) -> RawPrediction:
        mine = unit_query(item.tokens[None].float(), self._heads(item))
        size = query.size if self.settings.official else (2 * item.grid[0], 2 * item.grid[1])
        count = int(memory.facts["classes"])
        present, masks = torch.zeros(count), torch.zeros(count, *size)
        shots = torch.bincount(memory.tensors["pair_class"], minlength=count)
        for chunk in _chunks(len(memory.tensors["pair_class"]), max(1, self.settings.pairs)):
            pair = _pairs(memory, chunk, len(learner.sides) - 1)
            classes, logits = learner.pairs(mine.expand(len(chunk), *mine.shape[1:]), pair, item.grid, self.settings.tile)
            for one, plane, place in zip(classes, logits, memory.tensors["pair_class"][chunk], strict=True):
                present[place] += torch.softmax(one, dim=0)[1] / shots[place]
                masks[place] += torch.sigmoid(resize_corners(plane[1] - plane[0], size)) / shots[place]
        rows = torch.cat([torch.zeros(1, *size), torch.logit(masks.clamp(1e-7, 1 - 1e-7))]).flatten(1).T
        found = answer(rows, size, presence=present.clamp(0, 1))
        return replace(found, corners=True, gated=not self.settings.official)


def _chunks(count: int, most: int) -> Iterator[Tensor]:
    """The indices 0..count-1, at most so many at once."""
    for start in range(0, count, most):
        yield torch.arange(start, min(start + most, count))


def _pairs(memory: Memory, chunk: Tensor, levels: int) -> PairSupport:
    images = memory.tensors["pair_image"][chunk]
    return PairSupport(memory.tensors["tokens"][images], tuple(memory.tensors[f"hidden.{level}"][chunk] for level in range(levels)))
