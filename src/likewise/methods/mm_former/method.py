"""MM-Former: masks of whatever might be a thing first, then those that match the support (Jiao et al. 2022).

learn    the features of every example, aligned within themselves; of each (class, image) those that the class's mask leaves
predict  one backbone pass and one pass of the segmenter give proposals, whatever the classes; for each (class, image) query and support
         attend to each other, each proposal's mean is compared with the mask's, and a small network says how much each proposal adds

Several classes: each gives a foreground, the largest above one half takes the pixel (ours; the paper has one class). Shots: prototypes
are means over the images of a class, which may have any number of them. What attends to the query depends on both images and cannot be kept.

A published checkpoint brings its backbone, and sees pictures as squares of 480 pixels. One that was trained here has none: it reads four
layers of the program's backbone as a pyramid, and pictures keep their shape. official: the published answer, at the published size.

Limits: the network must be trained; what no proposal covers is never found.
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
from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD
from likewise.data import LabelKind, OutputKind, Support
from likewise.data.geometry import area_resize
from likewise.errors import InputError, UsageError
from likewise.functional.resize import resize_nearest
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.mm_former.matching import Side, View, support_side
from likewise.methods.patches import answer
from likewise.methods.prompts import patch_labels
from likewise.proposals.opening import open_source, restored_source
from likewise.proposals.pyramid import pyramid

if TYPE_CHECKING:
    from likewise.backbones.registry import Backbone
    from likewise.backbones.vit import VitConfig
    from likewise.methods.mm_former.model import MaskMatcher
    from likewise.methods.trainable import Trainable
    from likewise.proposals.source import Source

SIDE, PYRAMID_SIDE, COUNT = 480, 448, 100


@dataclass(frozen=True, kw_only=True)
class MmFormerSettings(MethodSettings):
    """The settings of MM-Former; the defaults are those of the published code.

    side: of the square that a published network sees, or of a square of the area at which the program's backbone sees pictures; 0
    for 480 and 448. layers: of that backbone, the shallowest first. heads, matching_heads: of the attentions, which no tensor says;
    same_size: the variant whose last three maps are of one size. within, cross: whether images are aligned within themselves, and
    query and support with each other. official: the published answer. sharpness: by how much a foreground of one half more is
    likelier. masks: whose masks are matched, "" for those of the checkpoint's own segmenter; others are "regions" and a folder of SAM or SAM 2
    (`likewise.proposals`), which are weighed by their cosines alone; by_cosine: the checkpoint's own too, softmax of `sharp` times the cosine (ours).
    width, queries: of an untrained network, for trying out.
    """

    side: int = 0
    layers: tuple[int, ...] = (2, 5, 8, 11)
    heads: int = 8
    matching_heads: int = 4
    same_size: bool = False
    within: bool = True
    cross: bool = True
    official: bool = False
    sharpness: float = 10.0
    masks: str = ""
    by_cosine: bool = False
    sharp: float = 50.0
    width: int = 64
    queries: int = 20


class MmFormer(Method):
    """See the top of the file."""

    name = "mm-former"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    trained = True
    keeps_checkpoint = False
    Settings = MmFormerSettings
    settings: MmFormerSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None, mounted_on: Backbone | None = None) -> None:
        super().__init__(settings)
        self._checkpoint, self._backbone = checkpoint, mounted_on

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint; with None an untrained network for whatever backbone."""
        found = type(self)(self.settings, checkpoint)
        if checkpoint is not None:
            _ = found._matcher  # what is wrong with the tensors is said here
        return found

    def reads_backbone(self) -> bool:
        """False for a checkpoint with a network of its own."""
        return self._own_backbone is None

    def mounted(self, backbone: Backbone) -> Self:
        """This method on the features of a backbone. Raises InputError where they do not fit the checkpoint."""
        found = type(self)(self.settings, self._checkpoint, backbone)
        channels = found._matcher.segmenter.config.channels
        if not found._own_backbone and set(channels) != {backbone.config.width}:
            raise InputError(
                f"the checkpoint reads maps of {', '.join(map(str, channels))} channels, the backbone gives {backbone.config.width}",
                where="checkpoint",
                remedy="Take the backbone that it was trained on",
            )
        return found

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """A published checkpoint by our names, of either stage."""
        from likewise.methods.mm_former.checkpoint import converted

        del config
        return converted(official)

    @classmethod
    def published(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The published behaviour; the backbone lies in the checkpoint."""
        del official, config
        return {"official": True, "side": SIDE}, ""

    @classmethod
    def shipped(cls) -> Sequence[Path]:
        """The checkpoints beside this file; what each is made of stands in a page of its name."""
        return sorted(Path(__file__).parent.glob("*.safetensors"))

    @classmethod
    def trainable(cls, backbone: VitConfig, settings: Mapping[str, Any], *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[Any]:
        """Segmenter or matching under training; see `training.MmFormerTrainingSettings`."""
        from likewise.methods.mm_former.training import trainable

        return trainable(backbone, settings, seed, start)

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The picture where the checkpoint brings its backbone, else four layers of the program's."""
        return (self._spec,) if self._source is None else (self._spec, self._source.wants())

    def learn(self, support: Support, features: Features) -> Memory:
        """Of every class and image that shows it the features that its mask leaves, level by level."""
        own = features[self._spec]
        tensors: dict[str, Tensor] = {}
        classes: list[int] = []
        with torch.inference_mode():
            reduced = {index: self._matcher.matching.reduced(self._maps(own[index])[:0:-1], within=self.settings.within) for index in range(len(own))}
            labels = None if self._own_backbone else patch_labels(support, own)
            for place, number in enumerate(support.classes):
                for index in support.showing(number):
                    mask = self._mask(support, index, number, own[index], None if labels is None else labels[index].shares[:, place + 1])
                    for level, x in enumerate(reduced[index]):
                        tensors |= {f"pair.{len(classes)}.{level}.{name}": tensor.clone() for name, tensor in _kept(support_side(x, mask)).items()}
                    classes.append(place)
        masks = {} if self._source is None else {"masks": self._source.facts}
        return Memory(tensors, {"pairs": classes, "classes": len(support.classes), **masks})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits of every query on the grid of the proposals; with `official` at the published size."""
        with torch.inference_mode():
            shown = [
                [_rebuilt(memory, pair, level) for level in range(len(self._matcher.matching.config.channels))] for pair in range(len(memory.facts["pairs"]))
            ]
            return [self._answer(view, shown, memory) for view in self._views(features, self._source_of(memory))]

    def _views(self, features: Features, source: Source | None) -> Iterator[View]:
        """Queries by themselves, with proposals of a source, of the own segmenter where there is none."""
        for index, item in enumerate(features[self._spec]):
            if source is None:
                yield self._matcher.viewed(self._maps(item), within=self.settings.within)
            else:
                own = self._matcher.matching.reduced(self._maps(item)[:0:-1], within=self.settings.within)
                found = source.propose(features[source.wants()][index])
                yield View(self._matcher.matching.query_sides(own), found.masks.float()[None])

    def _answer(self, view: View, shown: Sequence[Sequence[Side]], memory: Memory) -> RawPrediction:
        size = (self._side, self._side) if self.settings.official else (view.proposals.shape[2], view.proposals.shape[3])
        logits = torch.zeros(1 + int(memory.facts["classes"]), *size)
        presence = torch.zeros(len(logits) - 1)
        pairs = memory.facts["pairs"]
        for place in range(len(presence)):
            shots = [sides for sides, own in zip(shown, pairs, strict=True) if own == place]
            if not len(view.proposals[0]):
                logits[place + 1] = -self.settings.sharpness / 2
                continue
            if not shots:
                logits[place + 1] = -torch.inf
                continue
            found = self._matcher.answered(view, shots, size, official=self.settings.official, cross=self.settings.cross, sharp=self._sharp).foreground[0]
            logits[place + 1] = self.settings.sharpness * (torch.nan_to_num(found) - 0.5)
            presence[place] = torch.sigmoid(logits[place + 1].flatten().topk(max(1, found.numel() // 100)).values.mean())
        raw = answer(logits.flatten(1).T, size, presence=presence)
        return replace(raw, corners=self.settings.official, gated=not self.settings.official)

    def _maps(self, item: ImageFeatures) -> list[Tensor]:
        """Four maps (1, C, h, w) of an image, the finest first."""
        if self._own_backbone is None:
            return pyramid(item)
        if item.pixels is None:
            raise UsageError("the features have no picture", where="mm-former", remedy="Ask for what `wants` says")
        mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
        return self._own_backbone((item.pixels.float() - mean)[None] / std)[1:]

    def _mask(self, support: Support, index: int, number: int, item: ImageFeatures, shares: Tensor | None) -> Tensor:
        """The mask (1, h, w) in 0..1 of a class in an example, at the size of the view; of coarse labels what `methods.prompts` makes of them."""
        mask = support.examples[index].labels.mask(number)
        if not mask.any():
            if shares is None:
                raise InputError(
                    "it has no mask of a class that it shows",
                    where=support.examples[index].name,
                    remedy="Draw masks by `likewise refine`, or take a checkpoint for the program's backbone",
                )
            return shares.reshape(1, *item.grid)
        size = (self._side, self._side) if self._own_backbone else (8 * item.grid[0], 8 * item.grid[1])
        if self.settings.official:
            return resize_nearest(torch.from_numpy(mask.astype("float32"))[None], size)
        return torch.from_numpy(area_resize(mask, size))[None]

    @cached_property
    def _source(self) -> Source | None:
        """Of masks that are not the checkpoint's own. Raises UsageError for another segmenter."""
        if not self.settings.masks:
            return None
        found = open_source(self.settings.masks, count=COUNT, side=PYRAMID_SIDE)
        if found.facts.get("kind") == "trained":
            raise UsageError(
                "it is another checkpoint's segmenter", where="masks", remedy="Leave it out for the checkpoint's own, or train the matching behind it"
            )
        return found

    def _source_of(self, memory: Memory) -> Source | None:
        """The source with which a memory was learned."""
        facts = memory.facts.get("masks")
        if facts is None or (self._source is not None and self._source.facts == facts):
            return self._source
        return restored_source({}, facts, count=COUNT, side=PYRAMID_SIDE)  # raises where the weights are others

    @property
    def _sharp(self) -> float:
        return self.settings.sharp if self.settings.masks or self.settings.by_cosine else 0.0

    @property
    def _side(self) -> int:
        return self.settings.side or (SIDE if self._own_backbone else PYRAMID_SIDE)

    @cached_property
    def _spec(self) -> FeatureSpec:
        if self._own_backbone:
            return FeatureSpec(backbone=None, squash=True, side=self._side)
        return FeatureSpec(layers=self.settings.layers, side=self._side, step=4)

    @cached_property
    def _own_backbone(self) -> torch.nn.Module | None:
        from likewise.methods.mm_former.checkpoint import backbone_of

        return None if self._checkpoint is None else backbone_of(self._checkpoint)

    @cached_property
    def _matcher(self) -> MaskMatcher:
        from likewise.methods.mm_former.checkpoint import matcher_of, untrained  # here: `transformers` takes seconds to import

        if self._checkpoint is not None:
            own = self.settings
            return matcher_of(self._checkpoint, heads=own.heads, matching_heads=own.matching_heads, same_size=own.same_size)
        if self._backbone is None:
            raise UsageError("there is no backbone", where="mm-former", remedy="Learn by `likewise.learn`, or give the method a backbone by `mounted`")
        return untrained(self._backbone.config.width, self.settings.width, self.settings.queries)


def _kept(side: Side) -> dict[str, Tensor]:
    """What is kept of a support's level: the positions that its mask leaves, their features, and by how much they count."""
    assert side.weight is not None
    assert side.mask is not None
    mask, weight = side.mask.flatten(), side.weight.flatten()
    where = torch.nonzero((mask > 0) | (weight > 0))[:, 0]
    tokens = side.map.flatten(2)[0].T
    return {"grid": torch.tensor(side.map.shape[2:]), "where": where, "tokens": tokens[where], "mask": mask[where], "weight": weight[where]}


def _rebuilt(memory: Memory, pair: int, level: int) -> Side:
    """A level of a support as it was."""
    kept = {name: memory.tensors[f"pair.{pair}.{level}.{name}"] for name in ("grid", "where", "tokens", "mask", "weight")}
    height, width = kept["grid"].tolist()
    whole = torch.zeros(height * width, kept["tokens"].shape[1] + 2)
    whole[kept["where"]] = torch.cat([kept["tokens"], kept["mask"][:, None], kept["weight"][:, None]], dim=1)
    maps = whole.T.reshape(1, -1, height, width)
    return Side.of_support(maps[:, :-2], maps[:, -2], maps[:, -1])
