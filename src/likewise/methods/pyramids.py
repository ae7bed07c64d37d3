"""The frame of methods that learn on a pyramid of correlations, HSNet and ASNet: what they read, keep, and how shots and classes are joined.

learn    for each (class, image) that shows the class the maps of three levels of a network, scaled to length 1 at each place
predict  one pass over the network; for each (class, image) the products of all places of query and support go through the learner, which
         says where the class is

A published checkpoint brings its network (ResNet, VGG-16) and sees squares of 400 pixels. One that was trained here on tokens reads those of all
layers of the program's backbone, the layers in three groups (ours; the paper's own form, table a.5 of Kang et al. 2023, is not published).

Several classes and images, frame "fscs" (Kang and Cho 2022): log-probabilities are averaged over the images of a class, the background
is their mean over classes; a class is there if some place is likelier its than not. Frame "fss" (Min et al. 2021): images vote pixel by pixel.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.resnet import ResNet
from likewise.backbones.vgg import Vgg16
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import InputError, UsageError, close_match
from likewise.functional.calibration import PRESENT_FROM
from likewise.functional.frame_losses import log_maps
from likewise.functional.resize import resize_corners, resize_nearest
from likewise.layers.correlation_pyramid import PyramidLearner, unit
from likewise.layers.fscs import vote_foreground
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.patches import answer
from likewise.methods.prompts import PatchLabels, labels_for_masks
from likewise.methods.pyramid_levels import LEAST, LEVELS, MOST, levels_of, not_vanished, spec_of, square_of, squared, token_channels
from likewise.methods.pyramid_weights import BACKBONE, LEARNER, backbone_of, official, part

if TYPE_CHECKING:
    from likewise.backbones.registry import Backbone
    from likewise.backbones.vit import VitConfig
    from likewise.methods.trainable import Trainable

SUPPORTS, FRAMES = ("auto", "none"), ("fscs", "fss")
_SHARPNESS, _AHEAD = 4.0, 1e-3  # of shares of votes in "fss", and how far the smallest that suffices is above the background; they decide nothing


@dataclass(frozen=True, kw_only=True)
class PyramidSettings(MethodSettings):
    """The settings of HSNet and ASNet; the defaults are those of the published code.

    side: of the square that every image becomes. support: "auto" looks at the masks of the support, "none" at the whole image, as ASNet
    does that was trained without masks. frame: how images of a class are joined, "fscs" or "fss", see the top of the file.
    many_heads: of a ViT, correlations head by head, or of whole tokens; square: side of its grid for a support, 9 to 32, 0 for the
    grid itself within these. official: the published answer: presence by votes of the images, which decides over no mask; in "fss"
    half of the highest vote in the image instead of half of the images.
    """

    side: int = 400
    support: str = "auto"
    frame: str = "fscs"
    many_heads: bool = True
    square: int = 0
    official: bool = False


class PyramidMethod(Method):
    """See the top of the file; HSNet and ASNet say what their learner is."""

    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    trained = True
    keeps_checkpoint = False
    Settings = PyramidSettings
    settings: PyramidSettings

    masks_support: ClassVar[bool]  # whether masks are laid over the maps of a support (HSNet), or attended to (ASNet)

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(settings)
        for name, value, known in (("support", self.settings.support, SUPPORTS), ("frame", self.settings.frame, FRAMES)):
            if value not in known:
                raise UsageError(f"setting {name!r} is {value!r}", where=self.name, remedy=close_match(value, known))
        if self.settings.square and not LEAST <= self.settings.square <= MOST:
            raise UsageError(f"setting 'square' is {self.settings.square}", where=self.name, remedy=f"Take {LEAST} to {MOST}, or 0 for the grid's own side")
        self._checkpoint = checkpoint

    @classmethod
    @abstractmethod
    def learner_in(cls, tensors: Mapping[str, Tensor]) -> PyramidLearner:
        """The learner of a checkpoint; WeightsError where it does not fit."""

    @classmethod
    @abstractmethod
    def untrained(cls, channels: Sequence[int], sides: Sequence[int], seed: int = 0) -> PyramidLearner:
        """A learner for levels of so many maps and supports of so many rows, with initial numbers."""

    @classmethod
    @abstractmethod
    def squeeze_for(cls, side: int) -> Any:
        """What squeezes a support of so many rows; ValueError where nothing does."""

    @classmethod
    @abstractmethod
    def shown(cls, levels: Sequence[Tensor], mask: Tensor | None) -> list[Tensor]:
        """Unit maps (T, C, s, t) of the levels (T, C, h, w) of a support image; a mask (H, W), None for the whole image, laid over them by HSNet."""

    @classmethod
    def support_sides(cls, sides: Sequence[int]) -> list[int]:
        """Rows of the support in each level where the maps have so many."""
        return list(sides)

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint; with None untrained ones, whose sizes the backbone gives."""
        found = type(self)(self.settings, checkpoint)
        if checkpoint is not None and found.own_backbone is not None:
            found._check_squeezes(found._trained, self.support_sides([rows for _, rows in found.own_backbone.tapped(self.settings.side)[::-1]]))
        elif checkpoint is not None:
            _ = found._trained  # what is wrong with the tensors is said here
        return found

    def reads_backbone(self) -> bool:
        """False for a checkpoint with a network of its own."""
        return self.own_backbone is None

    def mounted(self, backbone: Backbone) -> Self:
        """This method, where a checkpoint fits the backbone. Raises InputError where not."""
        if self.own_backbone is None and backbone.config.depth < LEVELS:
            raise InputError(f"{backbone.name} has {backbone.config.depth} layers", where="backbone", remedy=f"Take one of at least {LEVELS}")
        if self.own_backbone is None and self._checkpoint is not None:
            expected = token_channels(backbone.config, self.settings.many_heads)
            if self._trained.channels != expected:
                raise InputError(
                    f"the checkpoint reads {_listed(self._trained.channels)} maps of correlations, the backbone gives {_listed(expected)}",
                    where="checkpoint",
                    remedy="Take the backbone that it was trained on, and the same `many_heads`",
                )
            grid = max(1, self.settings.side // backbone.config.patch)
            self._check_squeezes(self._trained, [square_of(grid, self.settings.square)] * LEVELS)
        return self

    @classmethod
    def converted(cls, official_tensors: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """Learner and backbone of a published checkpoint, or a network alone, to begin a training from."""
        del config
        found = cls.renamed(official_tensors)
        if any(name.startswith(LEARNER) for name in found) or not part(found, BACKBONE):
            cls.learner_in(found)
        backbone_of(found)
        return found

    @classmethod
    def renamed(cls, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A published checkpoint by our names; see `pyramid_weights.official`."""
        return official(published)

    @classmethod
    def published(cls, official_tensors: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The published behaviour; the backbone lies in the checkpoint."""
        del official_tensors, config
        return {"official": True, "side": PyramidSettings().side}, ""

    @classmethod
    def trainable(cls, backbone: VitConfig, settings: Mapping[str, Any], *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[Any]:
        """The learner under training; see `pyramid_training.PyramidTrainingSettings`."""
        from likewise.methods.pyramid_training import trainable

        return trainable(cls, backbone, settings, seed, start)

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The square picture where the checkpoint brings its backbone; else all layers of the program's, and heads, the wish of CST."""
        return (self._spec,)

    def learn(self, support: Support, features: Features) -> Memory:
        """Unit maps of each (class, image), or of each image that shows a class where masks are attended to, and then the masks too."""
        own, numbers = features[self._spec], support.classes.numbers
        pairs = [(place, index) for place, number in enumerate(support.classes) for index in support.showing(number)]
        used = sorted({index for _, index in pairs})
        labels = None if self.settings.support == "none" else labels_for_masks(support, own, pairs, tokens=self.own_backbone is None)
        levels = {index: self._support_levels(own[index]) for index in used}
        tensors: dict[str, Tensor] = {}
        with torch.inference_mode():
            for pair, (place, index) in enumerate(pairs):
                mask = self._mask(support, numbers[place], index, labels, place)
                if self.masks_support:
                    if mask is not None and self.own_backbone is None:
                        mask = not_vanished(mask, levels[index][0].shape[-1])
                    tensors |= _kept(f"pair.{pair}", self.shown(levels[index], mask))
                elif mask is not None:
                    tensors[f"pair.{pair}.mask"] = mask > 0
            for image, index in enumerate(() if self.masks_support else used):
                tensors |= _kept(f"image.{image}", self.shown(levels[index], None))
        facts = {"classes": len(numbers), "pair_class": [place for place, _ in pairs], "pair_image": [used.index(index) for _, index in pairs]}
        return Memory({name: tensor.clone() for name, tensor in tensors.items()}, facts)

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits and presence of every query at the size of the learner's maps; in "fss" at the size of the image."""
        with torch.inference_mode():
            return [self._answer(query, item, memory) for query, item in zip(queries, features[self._spec], strict=True)]

    @cached_property
    def own_backbone(self) -> ResNet | Vgg16 | None:
        """The network of the checkpoint, None where it has none."""
        return None if self._checkpoint is None else backbone_of(self._checkpoint)

    @cached_property
    def _trained(self) -> PyramidLearner:
        assert self._checkpoint is not None
        return self.learner_in(self._checkpoint)

    @cached_property
    def _spec(self) -> FeatureSpec:
        return spec_of(self.settings.side, own_backbone=self.own_backbone is not None)

    def _learner(self, channels: tuple[int, ...], sides: tuple[int, ...]) -> PyramidLearner:
        """The trained learner, else an untrained one for so many maps and rows of a support a level."""
        return self._trained if self._checkpoint is not None else _untrained(type(self), channels, sides)

    def _check_squeezes(self, learner: PyramidLearner, sides: Sequence[int]) -> None:
        """InputError where a support of so many rows is not one that the learner was made for."""
        try:
            fits = tuple(self.squeeze_for(side) for side in sides) == learner.squeezes
        except ValueError:
            fits = False
        if not fits:
            raise InputError(
                f"the checkpoint does not squeeze a support of {_listed(sides)} rows, which is what a square of {self.settings.side} pixels gives",
                where="side",
                remedy="Leave `side` and `square` as the checkpoint says",
            )

    def _levels(self, item: ImageFeatures) -> list[Tensor]:
        return levels_of(item, self.own_backbone, self.settings.many_heads)

    def _support_levels(self, item: ImageFeatures) -> list[Tensor]:
        found = self._levels(item)
        return found if self.own_backbone is not None else squared(found, self.settings.square)

    def _mask(self, support: Support, number: int, index: int, labels: Sequence[PatchLabels] | None, place: int) -> Tensor | None:
        """The mask (side, side) of a class in an image, 0 outside; None for the whole image."""
        if self.settings.support == "none":
            return None
        size = (self.settings.side, self.settings.side)
        mask = support.examples[index].labels.mask(number)
        if mask.any():
            return resize_nearest(torch.from_numpy(mask.astype("float32")), size)
        if labels is None:
            return None
        side = round(len(labels[index].shares) ** 0.5)
        return resize_nearest(labels[index].mask(place, (side, side)), size)

    def _answer(self, query: Query, item: ImageFeatures, memory: Memory) -> RawPrediction:
        levels = self._levels(item)
        mine = [unit(level) for level in levels]
        count, shots = int(memory.facts["classes"]), memory.facts["pair_class"]
        found = [[self._pair(mine, memory, pair) for pair, own in enumerate(shots) if own == place] for place in range(count)]
        presence = torch.tensor([_presence(maps, official=self.settings.official) if maps else 0.0 for maps in found])
        if self.settings.frame == "fss":
            logits, size = _voted(found, query.size, official=self.settings.official), query.size
        else:
            size = (2 * levels[-1].shape[-2], 2 * levels[-1].shape[-1])
            logits = _merged(found, size)
        rows = answer(logits.flatten(1).T, size, presence=presence)
        return replace(rows, corners=True, gated=not self.settings.official)

    def _pair(self, mine: Sequence[Tensor], memory: Memory, pair: int) -> Tensor:
        """Log-probabilities (2, h, w) of one (class, image)."""
        owner = f"pair.{pair}" if self.masks_support else f"image.{memory.facts['pair_image'][pair]}"
        kept = [{name: memory.tensors[f"{owner}.{level}.{name}"] for name in ("grid", "where", "tokens")} for level in range(LEVELS)]
        pyramid = [_products(query, **own) for query, own in zip(mine, kept, strict=True)]
        mask = memory.tensors.get(f"pair.{pair}.mask")
        learner = self._learner(tuple(len(query) for query in mine), tuple(int(own["grid"][0]) for own in kept))
        return log_maps(learner(pyramid, None if mask is None else mask[None]))[0]


@lru_cache(maxsize=2)
def _untrained(kind: type[PyramidMethod], channels: tuple[int, ...], sides: tuple[int, ...]) -> PyramidLearner:
    """An untrained learner, made once."""
    return kind.untrained(channels, sides).requires_grad_(False)


def _kept(owner: str, levels: Sequence[Tensor]) -> dict[str, Tensor]:
    """Of maps (T, C, s, t) the places that are not zero in all of them, in half precision, where they are, and of what grid."""
    found: dict[str, Tensor] = {}
    for level, maps in enumerate(levels):
        flat = maps.flatten(2)
        where = torch.nonzero((flat != 0).flatten(0, 1).any(dim=0)).flatten()
        found |= {f"{owner}.{level}.grid": torch.tensor(maps.shape[2:]), f"{owner}.{level}.where": where, f"{owner}.{level}.tokens": flat[..., where].half()}
    return found


def _products(query: Tensor, grid: Tensor, where: Tensor, tokens: Tensor) -> Tensor:
    """Correlations (1, T, h, w, s, t) with what was kept of a support; `correlations` of the whole."""
    height, width = grid.tolist()
    whole = query.new_zeros(len(query), query[0, 0].numel(), height * width)
    whole[..., where] = (query.flatten(2).transpose(-1, -2) @ tokens.float()).clamp_(min=0)
    return whole.reshape(1, len(query), *query.shape[-2:], height, width)


def _presence(shots: Sequence[Tensor], *, official: bool) -> float:
    """How sure a class is there: the mean over images of the surest place, officially the share of images in which that is at least one half."""
    surest = torch.stack([maps[1].max().exp() for maps in shots])
    return float((surest >= PRESENT_FROM).float().mean() if official else surest.mean().clamp(0, 1))


def _merged(found: Sequence[Sequence[Tensor]], size: tuple[int, int]) -> Tensor:
    """Log maps (1+N, h, w) of background and classes from those of each image of each class; -inf for a class without images."""
    logits = torch.full((1 + len(found), *size), -torch.inf)
    means = {place: torch.stack(list(maps)).mean(dim=0) for place, maps in enumerate(found) if maps}
    logits[0] = torch.stack([maps[0] for maps in means.values()]).mean(dim=0) if means else 0.0
    for place, maps in means.items():
        logits[place + 1] = maps[1]
    return logits


def _voted(found: Sequence[Sequence[Tensor]], size: tuple[int, int], *, official: bool) -> Tensor:
    """Logits (1+N, H, W), 0 for the background, above it where the votes of a class suffice, and the larger the more there are."""
    logits = torch.full((1 + len(found), *size), -torch.inf)
    logits[0] = 0
    for place, maps in enumerate(found):
        if maps:
            votes = torch.stack([resize_corners(one[1] - one[0], size) > 0 for one in maps]).sum(dim=0)[None]
            agreed = vote_foreground(votes, len(maps), official=official)[0]
            share = votes[0] / len(maps)
            logits[place + 1] = torch.where(agreed, _AHEAD + share, -_AHEAD - (1 - share)) * _SHARPNESS
    return logits


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
