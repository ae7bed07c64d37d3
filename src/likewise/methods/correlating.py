"""What CST and EMAT share: a learner that correlates the tokens of a query with those that a support's mask leaves visible.

learn    for each image its tokens of all layers and heads on a small square, scaled to length 1; for each (class, image)
         that shows the class, which of these tokens its mask leaves visible
predict  one backbone pass; for each (class, image) the learner, which says whether the class is there and where; means over the
         images of a class

An image that shows several classes makes a pair with each of them; pixels of the other classes are background there. Classes may
have different numbers of images.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import OutputKind, Support
from likewise.errors import InputError, UsageError
from likewise.functional.resize import resize_corners, resize_nearest
from likewise.layers.correlation import unit_query
from likewise.layers.correlation_transformer import CorrelationTransformer, PairSupport
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.patches import answer
from likewise.methods.prompts import patch_labels


@dataclass(frozen=True, kw_only=True)
class CorrelatingSettings(MethodSettings):
    """Settings of both.

    side: of the square that every image becomes. official: the published answer at the size of the image, masks not gated by presence.
    pairs, tile: (class, image) pairs and query tokens that the learner takes at once; memory and speed alone.
    """

    side: int = 400
    official: bool = False
    pairs: int = 1
    tile: int = 512


class CorrelatingMethod(Method):
    """See the top of the file. A method of this kind says what its learner is and what it reads of an image."""

    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    trained = True
    settings: CorrelatingSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(settings)
        self._checkpoint = checkpoint

    @abstractmethod
    def _untrained(self, channels: int) -> CorrelationTransformer:
        """A learner for so many maps of correlations, with initial numbers that are always the same."""

    @abstractmethod
    def _opened(self, checkpoint: Mapping[str, Tensor]) -> CorrelationTransformer:
        """The learner of a checkpoint; WeightsError for one of another method."""

    @abstractmethod
    def _support_tokens(self, item: ImageFeatures, learner: Any) -> Tensor:
        """What the learner correlates a query with: (1, L, A, S, d) of length 1."""

    def _heads(self, item: ImageFeatures) -> int:
        """By how many heads tokens are correlated."""
        return heads_of(item)

    def _instead(self, support: Support, number: int, index: int, features: Features) -> Tensor | None:
        """A mask that stands for the labels of a class in an image; None for those labels themselves."""
        del support, number, index, features
        return None

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint; with None the untrained ones, whose sizes the backbone gives."""
        if checkpoint is not None:
            self._opened(checkpoint)
        return type(self)(self.settings, checkpoint)

    def checkpoint_in(self, memory: Memory) -> Mapping[str, Tensor]:
        """The learner, and what lies beside it in the checkpoint."""
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
            "tokens": torch.cat([self._support_tokens(own[index], learner) for index in used]),
            "pair_class": torch.tensor([place for place, _ in pairs]),
            "pair_image": torch.tensor([used.index(index) for _, index in pairs]),
        }
        tensors |= {f"hidden.{level}": hidden for level, hidden in enumerate(learner.hidden(self._masks(support, features, pairs)))}
        kept = self._checkpoint if self._checkpoint is not None else learner.state_dict()
        tensors |= {f"checkpoint.{name}": tensor.clone() for name, tensor in kept.items() if not name.startswith("backbone.")}
        return Memory(tensors, {"classes": len(support.classes)})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Presence and logits of every query, at twice the grid; with `official` at the size of the image."""
        learner = self._opened(self.checkpoint_in(memory))
        return [self._answer(query, item, memory, learner) for query, item in zip(queries, features[self._spec], strict=True)]

    @cached_property
    def _spec(self) -> FeatureSpec:
        return token_spec(self.settings.side)

    def _learner(self, item: ImageFeatures) -> CorrelationTransformer:
        channels = item.tokens.shape[0] * self._heads(item)
        learner = self._untrained(channels) if self._checkpoint is None else self._opened(self._checkpoint)
        if learner.channels != channels:
            raise InputError(
                f"the checkpoint reads {learner.channels} maps of correlations, the backbone gives {channels}",
                where="checkpoint",
                remedy="Take the backbone that it was trained on, and the same settings",
            )
        return learner

    def _masks(self, support: Support, features: Features, pairs: Sequence[tuple[int, int]]) -> Tensor:
        """A mask (X, side, side) for each (class, image), 0 outside; of boxes, points, scribbles and tags the patches that they stand for."""
        coarse, own = None, features[self._spec]
        masks, numbers = [], support.classes.numbers
        for place, index in pairs:
            mask = self._instead(support, numbers[place], index, features)
            drawn = support.examples[index].labels.mask(numbers[place])
            if mask is None and drawn.any():
                mask = torch.from_numpy(drawn.astype("float32"))
            elif mask is None:
                coarse = coarse or patch_labels(support, own)
                mask = coarse[index].mask(place, own[index].grid)
            masks.append(resize_nearest(mask, (self.settings.side, self.settings.side)))
        return torch.stack(masks)

    def _answer(self, query: Query, item: ImageFeatures, memory: Memory, learner: CorrelationTransformer) -> RawPrediction:
        mine = unit_query(item.tokens[None].float(), self._heads(item))
        size = query.size if self.settings.official else (2 * item.grid[0], 2 * item.grid[1])
        places, count = memory.tensors["pair_class"], int(memory.facts["classes"])
        present, masks = torch.zeros(count), torch.zeros(count, *size)
        shots = torch.bincount(places, minlength=count)
        for chunk in torch.split(torch.arange(len(places)), max(1, self.settings.pairs)):
            pair = _pairs(memory, chunk, len(learner.sides) - 1)
            classes, logits = learner.pairs(mine.expand(len(chunk), *mine.shape[1:]), pair, item.grid, self.settings.tile)
            for one, plane, place in zip(classes, logits, places[chunk], strict=True):
                present[place] += torch.softmax(one, dim=0)[1] / shots[place]
                masks[place] += torch.sigmoid(resize_corners(plane[1] - plane[0], size)) / shots[place]
        rows = torch.cat([torch.zeros(1, *size), torch.logit(masks.clamp(1e-7, 1 - 1e-7))]).flatten(1).T
        found = answer(rows, size, presence=present.clamp(0, 1))
        return replace(found, corners=True, gated=not self.settings.official)


def token_spec(side: int) -> FeatureSpec:
    """All layers of a square picture, with queries and keys of the last block."""
    return FeatureSpec(layers=(), side=side, squash=True, qk=True)


def heads_of(item: ImageFeatures) -> int:
    """The heads of the backbone; UsageError for features that do not say it."""
    if item.q is None:
        raise UsageError("the features have no queries and keys", where="features", remedy="Ask the backbone for what `wants` says")
    return item.q.shape[0]


def _pairs(memory: Memory, chunk: Tensor, levels: int) -> PairSupport:
    images = memory.tensors["pair_image"][chunk]
    return PairSupport(memory.tensors["tokens"][images], tuple(memory.tensors[f"hidden.{level}"][chunk] for level in range(levels)))
