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
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from likewise.backbones.biases import chosen, repeated
from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.registry import Backbone
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import InputError, UsageError, WeightsError
from likewise.functional.calibration import peak
from likewise.functional.crops import Offset, cut, five_crops, windows
from likewise.functional.resize import resize_nearest
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.patches import answer
from likewise.methods.prompts import patch_labels
from likewise.methods.vtm.adapting import adapted
from likewise.methods.vtm.channels import Channels, Planes, channels_of, planes_of
from likewise.methods.vtm.checkpoint import BIASES, IMAGE, biases_in, converted, head_of, image_encoder, starting_rows
from likewise.methods.vtm.crops import blended, overlap_of, probabilities
from likewise.methods.vtm.model import LEVELS, Head, HeadConfig, SupportMemory, Vtm, untrained_head
from likewise.methods.vtm.parts import Part, labelled, memory_of, parts_of, tensors_of
from likewise.methods.vtm.tuning import Labelled, TuningSettings

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SIDE = 224  # of the square that published networks see
COARSE = {LabelKind.BOX, LabelKind.POINT, LabelKind.SCRIBBLE, LabelKind.TAG}


@dataclass(frozen=True, kw_only=True)
class VtmSettings(MethodSettings):
    """The settings of VTM; defaults of the published code where it has them.

    side: of the square that the networks see at once, and of the shorter side of a picture, 0 for that of the checkpoint;
    nearly: how many times longer than wide a picture may be to be seen as a square; official: the published way, by five
    crops. rows: rows of the checkpoint's biases for the channels, in their order; () for rows that were held out in its
    training, as everything starts from. memory: precision of keys and values, "float32", "bfloat16" or "float16".
    threshold: probability from which a pixel belongs to a class. margin: by how much of their span ranges of values are
    widened. label_heads: heads of the label encoder, 0 for groups of 64 channels; matching_heads: of the matching.
    tune: fit the biases to the examples; tune_steps, tune_seconds (0: no limit), tune_every, patience, learning_rate,
    dropout, drop_path: how; resume: a file in which an interrupted tuning is kept.
    width, depth, heads, fused, reassembled: of an untrained head, for trying out. batch, chunk: windows, and maps in the
    decoder, at once; memory and speed alone.
    """

    side: int = 0
    nearly: float = 1.5
    official: bool = False
    rows: tuple[int, ...] = ()
    memory: str = "float32"
    threshold: float = 0.2
    margin: float = 0.05
    label_heads: int = 0
    matching_heads: int = 4
    tune: bool = False
    tune_steps: int = 20_000
    tune_seconds: float = 0.0
    tune_every: int = 100
    patience: int = 5
    learning_rate: float = 0.005
    dropout: float = 0.5
    drop_path: float = 0.1
    resume: str = ""
    width: int = 96
    depth: int = 4
    heads: int = 4
    fused: int = 32
    reassembled: tuple[int, ...] = (12, 24, 48, 96)
    batch: int = 1
    chunk: int = 4


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
        if self.settings.memory not in PRECISIONS:
            raise UsageError(f"setting 'memory' is {self.settings.memory!r}", where="vtm", remedy=f"Use one of {', '.join(PRECISIONS)}")
        if len(self.settings.reassembled) != 4:
            raise UsageError(f"setting 'reassembled' has {len(self.settings.reassembled)} widths", where="vtm", remedy="Give four")
        self._checkpoint, self._backbone = checkpoint, mounted_on

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint that was opened before; with None an untrained head on whatever backbone."""
        found = type(self)(self.settings, checkpoint)
        if checkpoint is not None:
            found._opened_head  # noqa: B018 (what is wrong with the tensors is said here)
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

    @classmethod
    def converted(cls, official: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of an official meta-trained checkpoint by our names."""
        found = converted(official)
        if all(name.startswith(BIASES) for name in found):
            raise WeightsError("it holds tuned biases alone", where="checkpoint", remedy="Name the checkpoint that it was tuned from by --base")
        head_of(found)
        image_encoder(found)
        return found

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The picture at the working size: the networks are the method's own business."""
        return (self._spec if memory is None else self._wish(int(memory.facts["side"])),)

    def learn(self, support: Support, features: Features) -> Memory:
        """Keys, values and biases of the support, and the ranges of its targets; the biases tuned if that was asked for."""
        with torch.inference_mode(False), torch.no_grad():
            channels = channels_of(support, self.settings.margin)
            views = [_as_image(item) for item in features[self._spec]]
            crops = [self._cropped(view, planes) for view, planes in zip(views, self._planes(support, channels, views), strict=True)]
            tensors: dict[str, Tensor] = {}
            parts = []
            for index, part in enumerate(parts_of([planes.known.amax(dim=(0, 2, 3)) > 0 for _, planes in crops])):
                memory, told = self._learned(part, len(channels), labelled(part, crops, channels.categorical))
                tensors |= tensors_of(f"{index}.", memory)
                parts.append({"channels": list(part.channels), "group": list(memory.group), **told})
        places = [support.classes.numbers.index(number) for number in channels.classes]
        return Memory(tensors, {"side": self._side, "channels": channels.facts(), "places": places, "count": len(support.classes), "parts": parts})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Class logits and components of targets at the working size."""
        channels = Channels.of(memory.facts["channels"])
        parts = [(part["channels"], memory_of(f"{index}.", memory, part["group"])) for index, part in enumerate(memory.facts["parts"])]
        return [self._answer(_as_image(item), channels, parts, memory) for item in features[self.wants(memory)[0]]]

    def _learned(self, part: Part, count: int, examples: Labelled) -> tuple[SupportMemory, dict[str, Any]]:
        """The memory of a part, and what is to be said of tuning."""
        biases, told = self._biases(part.channels, count), {}
        if self.settings.tune and len(examples) < 2:
            warnings.warn("one example cannot be split into support and query: the biases are not tuned", UserWarning, stacklevel=2)
        elif self.settings.tune and examples:
            own = biases or repeated(self._vtm.image, self._vtm.image.config.depth, len(part.channels))
            biases, told["tuning"] = adapted(self._vtm, examples, own, self._tuning, Path(self.settings.resume) if self.settings.resume else None)
        memory = self._vtm.remember(examples.images, examples.seen, biases, chunk=self.settings.chunk)
        return memory.stored(PRECISIONS[self.settings.memory]), told

    def _answer(self, image: Tensor, channels: Channels, parts: Sequence[tuple[list[int], SupportMemory]], memory: Memory) -> RawPrediction:
        found = torch.zeros(len(channels), *image.shape[-2:])
        offsets, crop = self._offsets(image)
        for places, part in parts:
            kinds = channels.categorical[places]
            scores = blended(self._vtm, image[None], part, offsets, crop, kinds, batch=self.settings.batch, chunk=self.settings.chunk)[0]
            found[places] = probabilities(scores, kinds)
        dense = channels.values(found)
        if not memory.facts["count"]:
            return answer(None, (0, 0), dense=dense, links=channels.links)
        logits, presence = self._classes(found[: len(channels.classes)], memory)
        return answer(logits.flatten(1).T, (image.shape[-2], image.shape[-1]), presence=presence, dense=dense, links=channels.links)

    def _classes(self, found: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Logits (N+1, h, w), 0 for the background, and presence (N,) of probabilities of the classes that the support shows.

        A probability at the threshold is as likely as not. Classes that it does not show are absent.
        """
        edge, places = torch.logit(torch.tensor(self.settings.threshold)), memory.facts["places"]
        logits = torch.full((memory.facts["count"] + 1, *found.shape[-2:]), -torch.inf)
        presence = torch.zeros(memory.facts["count"])
        logits[0] = 0
        if places:
            clear = found.clamp(1e-6, 1 - 1e-6)
            logits[[place + 1 for place in places]] = torch.logit(clear) - edge
            presence[places] = torch.sigmoid(torch.logit(peak(clear.flatten(1))) - edge)
        return logits, presence

    def _planes(self, support: Support, channels: Channels, views: Sequence[Tensor]) -> list[Planes]:
        """The labels of every example at the size of its view; classes that are not drawn through `methods.prompts`."""
        coarse: list[tuple[Tensor, Tensor] | None] = [None] * len(views)
        if support.kinds() & COARSE:
            coarse = list(self._coarse(support, channels, views))
        sizes = [(view.shape[-2], view.shape[-1]) for view in views]
        return [planes_of(example, channels, size, own) for example, size, own in zip(support.examples, sizes, coarse, strict=True)]

    def _coarse(self, support: Support, channels: Channels, views: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Shares (N, h, w) of the classes of `channels` and their weight (h, w), at the size of each view."""
        square = [nn.functional.interpolate(view[None], (self._side, self._side), mode="bilinear", align_corners=False) for view in views]
        grid = self._vtm.grid(square[0])
        tokens = [self._vtm.image_tokens(image)[-1] for image in square]
        items = [ImageFeatures(own, own[:, :0], grid, (view.shape[-2], view.shape[-1])) for own, view in zip(tokens, views, strict=True)]
        places = [support.classes.numbers.index(number) + 1 for number in channels.classes]
        for view, found in zip(views, patch_labels(support, items), strict=True):
            maps = torch.unflatten(torch.cat([found.shares[:, places].T, found.weight[None]]), 1, grid)
            large = resize_nearest(maps, (view.shape[-2], view.shape[-1]))
            yield large[:-1], large[-1]

    def _cropped(self, view: Tensor, planes: Planes) -> tuple[Tensor, Planes]:
        """The crops that stand for an example: images (n, 3, h, w) and its planes (n, C, h, w)."""
        offsets, crop = self._offsets(view)
        own = offsets[-1:] if self.settings.official else offsets  # official: the one in the middle
        return cut(view, own, crop), Planes(cut(planes.values, own, crop), cut(planes.known, own, crop))

    def _offsets(self, view: Tensor) -> tuple[list[Offset], tuple[int, int]]:
        """Where a view (3, h, w) is cut, and the (height, width) of the crops."""
        size, side = (view.shape[-2], view.shape[-1]), self._side
        crop = (side, side)
        return (five_crops(size, crop) if self.settings.official else windows(size, crop, overlap_of(side))), crop

    def _biases(self, places: Sequence[int], count: int) -> dict[str, Tensor]:
        """The biases that some of all `count` channels begin with, {} for the encoder's own."""
        sets = {} if self._checkpoint is None else biases_in(self._checkpoint)
        if not sets:
            return {}
        rows = starting_rows(sets, count, self.settings.rows)
        return chosen(sets, [rows[place] for place in places])

    @property
    def _tuning(self) -> TuningSettings:
        own = self.settings
        return TuningSettings(
            learning_rate=own.learning_rate,
            steps=own.tune_steps,
            seconds=own.tune_seconds,
            every=own.tune_every,
            patience=own.patience,
            dropout=own.dropout,
            drop_path=own.drop_path,
            entropy=own.official,
            all_pixels=own.official,
        )

    @cached_property
    def _spec(self) -> FeatureSpec:
        return self._wish(self._side)

    def _wish(self, side: int) -> FeatureSpec:
        if self.settings.official:
            return FeatureSpec(backbone=None, squash=True, side=side * 8 // 7)
        return FeatureSpec(backbone=None, short=self.settings.nearly, side=side)

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
        return Vtm(self._backbone.network, self._untrained() if self._checkpoint is None else self._opened_head)

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


def _as_image(item: ImageFeatures) -> Tensor:
    """The view of an image in 0..1: (3, h, w)."""
    if item.pixels is None:
        raise UsageError("the features have no pixels", where="vtm", remedy="Ask for what `wants` says")
    return item.pixels.float() / 255
