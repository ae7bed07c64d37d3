"""EMAT: few-shot classification and segmentation by many correlation tokens and a lean transformer (GCPR 2025, arXiv 2507.23642).

learn    for each image its tokens of all layers and heads on a square of 20x20, scaled to length 1; for each (class, image)
         that shows the class, which of these tokens its mask leaves visible
predict  one backbone pass; for each (class, image) a small transformer over the correlations, which says whether the
         class is there and where; means over the images of a class

It is CST with larger pictures (700 pixels of a ViT-S/14, 50x50 tokens), more support tokens and fewer trained numbers (86,020). An image
that shows several classes makes a pair with each of them; pixels of the other classes are background there. Classes may have
different numbers of images. Masks are taken as they are; all other labels through `methods.prompts`.

Limits: every image is squashed to a square; the learner must be trained; a picture takes seconds at the published size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import InputError, UsageError
from likewise.functional.resize import resize_corners, resize_nearest
from likewise.layers.correlation import unit_query, unit_support
from likewise.layers.correlation_transformer import PairSupport
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.emat.checkpoint import learner_of, learner_tensors
from likewise.methods.emat.model import POOLS, SIDE, Learner, untrained
from likewise.methods.patches import answer
from likewise.methods.prompts import patch_labels

if TYPE_CHECKING:
    from likewise.backbones.vit import VitConfig
    from likewise.methods.trainable import Trainable

BACKBONE, BACKBONE_SHAPE = "dinov2-small", (384, 3, 14, 14)  # the published one, known by its patches


@dataclass(frozen=True, kw_only=True)
class EmatSettings(MethodSettings):
    """The settings of EMAT; the defaults are those of the published code.

    side: of the square that every image becomes.
    square, pools: the side of the square of support tokens, and the pooling behind the halving in each layer of the transformer.
    class_token: an untrained learner with a class token and a classification head, or without; of a trained one its checkpoint says it.
    official: the published answer at the size of the image, masks not gated by presence.
    pairs, tile: (class, image) pairs and query tokens that the learner takes at once; memory and speed alone.
    """

    side: int = 700
    square: int = SIDE
    pools: tuple[int, ...] = POOLS
    class_token: bool = True
    official: bool = False
    pairs: int = 1
    tile: int = 128


class Emat(Method):
    """See the top of the file."""

    name = "emat"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    trained = True
    Settings = EmatSettings
    settings: EmatSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(settings)
        check_squares(self.settings.square, self.settings.pools)
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
        """The published settings, in full; the backbone is DINOv2 without registers where its tensors lie beside the learner's."""
        del config
        patches = official.get("backbone.patch_embed.proj.weight")
        plain = patches is not None and patches.shape == BACKBONE_SHAPE and "backbone.register_tokens" not in official
        return {name: getattr(EmatSettings(), name) for name in ("side", "square", "pools")}, BACKBONE if plain else ""

    @classmethod
    def trainable(cls, backbone: VitConfig, settings: Mapping[str, Any], *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[Any]:
        """The learner under training; see `training.EmatTrainingSettings`."""
        from likewise.methods.emat.training import trainable

        return trainable(backbone, settings, seed, start)

    def checkpoint_in(self, memory: Memory) -> Mapping[str, Tensor]:
        """The learner."""
        return {name.removeprefix("checkpoint."): tensor for name, tensor in memory.tensors.items() if name.startswith("checkpoint.")}

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """All layers at one square size; the queries of the last block say how many heads there are."""
        del memory
        return (self._spec,)

    def learn(self, support: Support, features: Features) -> Memory:
        """Tokens of each image that shows a class, and the visible tokens of each (class, image); the checkpoint beside them."""
        own = features[self._spec]
        learner = self._learner(own[0])
        pairs = [(place, index) for place, number in enumerate(support.classes) for index in support.showing(number)]
        used = sorted({index for _, index in pairs})
        tensors = {
            "tokens": torch.cat([support_tokens(own[index], learner) for index in used]),
            "pair_class": torch.tensor([place for place, _ in pairs]),
            "pair_image": torch.tensor([used.index(index) for _, index in pairs]),
        }
        tensors |= {f"hidden.{level}": hidden for level, hidden in enumerate(learner.hidden(self._masks(support, own, pairs)))}
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

    def _learner(self, item: ImageFeatures) -> Learner:
        channels = item.tokens.shape[0] * heads_of(item)
        learner = self._untrained(channels) if self._checkpoint is None else self._opened(self._checkpoint)
        if learner.channels != channels:
            raise InputError(
                f"the checkpoint reads {learner.channels} maps of correlations, the backbone gives {channels}",
                where="checkpoint",
                remedy="Take the backbone that it was trained on",
            )
        return learner

    def _untrained(self, channels: int) -> Learner:
        return untrained(channels, self.settings.square, self.settings.pools, class_token=self.settings.class_token)

    def _opened(self, checkpoint: Mapping[str, Tensor]) -> Learner:
        return learner_of(checkpoint, side=self.settings.square, pools=self.settings.pools)

    def _masks(self, support: Support, features: Sequence[ImageFeatures], pairs: Sequence[tuple[int, int]]) -> Tensor:
        """A mask (X, side, side) for each (class, image), 0 outside; of boxes, points, scribbles and tags the patches that they stand for."""
        coarse = None
        masks, numbers = [], support.classes.numbers
        for place, index in pairs:
            drawn = support.examples[index].labels.mask(numbers[place])
            if drawn.any():
                mask = torch.from_numpy(drawn.astype("float32"))
            else:
                coarse = coarse or patch_labels(support, features)
                share = coarse[index].shares[:, place + 1].reshape(features[index].grid)
                mask = (share >= share.max().clamp_max(0.5)).float()
            masks.append(resize_nearest(mask, (self.settings.side, self.settings.side)))
        return torch.stack(masks)

    def _answer(self, query: Query, item: ImageFeatures, memory: Memory, learner: Learner) -> RawPrediction:
        mine = unit_query(item.tokens[None].float(), heads_of(item))
        size = query.size if self.settings.official else (2 * item.grid[0], 2 * item.grid[1])
        places, count = memory.tensors["pair_class"], int(memory.facts["classes"])
        present, masks = torch.zeros(count), torch.zeros(count, *size)
        shots = torch.bincount(places, minlength=count)
        for chunk in torch.split(torch.arange(len(places)), max(1, self.settings.pairs)):
            classes, logits = learner.pairs(mine.expand(len(chunk), *mine.shape[1:]), _pairs(memory, chunk, learner), item.grid, self.settings.tile)
            for one, plane, place in zip(classes, logits, places[chunk], strict=True):
                present[place] += torch.softmax(one, dim=0)[1] / shots[place]
                masks[place] += torch.sigmoid(resize_corners(plane[1] - plane[0], size)) / shots[place]
        rows = torch.cat([torch.zeros(1, *size), torch.logit(masks.clamp(1e-7, 1 - 1e-7))]).flatten(1).T
        found = answer(rows, size, presence=present.clamp(0, 1))
        return replace(found, corners=True, gated=not self.settings.official)


def heads_of(item: ImageFeatures) -> int:
    """The heads of the backbone; UsageError for features that do not say it."""
    if item.q is None:
        raise UsageError("the features have no queries and keys", where="emat", remedy="Ask the backbone for what `wants` says")
    return item.q.shape[0]


def support_tokens(item: ImageFeatures, learner: Learner) -> Tensor:
    """What a learner correlates a query with: (1, L, A, S, d) of length 1, the class token first where it takes one."""
    found = unit_support(item.prefix[None, :, 0].float(), item.tokens[None].float(), item.grid, learner.side, heads_of(item))
    return found if learner.class_token else found[..., 1:, :]


def check_squares(square: int, pools: Sequence[int], where: str = "emat") -> None:
    """UsageError where halving and pooling do not bring the square of support tokens to one."""
    try:
        with torch.device("meta"):
            Learner(16, square, pools, (16,) * len(pools))
    except (ValueError, IndexError, RuntimeError) as error:
        raise UsageError(f"{error}", where=where, remedy=f"Take square={SIDE} and pools={list(POOLS)}, or square=12 and pools=[0, 3]") from error


def _pairs(memory: Memory, chunk: Tensor, learner: Learner) -> PairSupport:
    images = memory.tensors["pair_image"][chunk]
    return PairSupport(memory.tensors["tokens"][images], tuple(memory.tensors[f"hidden.{level}"][chunk] for level in range(len(learner.sides) - 1)))
