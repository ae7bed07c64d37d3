"""What VTM learns of a support: keys, values and biases of its channels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from likewise.backbones.biases import chosen, repeated
from likewise.backbones.features import ImageFeatures
from likewise.data import LabelKind, Support
from likewise.functional.resize import resize_nearest
from likewise.methods.base import Memory, Progress
from likewise.methods.prompts import patch_labels
from likewise.methods.vtm.adapting import adapted
from likewise.methods.vtm.channels import Channels, Planes, channels_of, planes_of
from likewise.methods.vtm.checkpoint import biases_in, starting_rows
from likewise.methods.vtm.doubt import LeftOut, expectations, left_out
from likewise.methods.vtm.model import SupportMemory, Vtm
from likewise.methods.vtm.parts import Part, labelled, parts_of, tensors_of
from likewise.methods.vtm.pictures import Sight
from likewise.methods.vtm.settings import PRECISIONS, VtmSettings
from likewise.methods.vtm.tuning import Labelled
from likewise.weights import cache_folder

COARSE = {LabelKind.BOX, LabelKind.POINT, LabelKind.SCRIBBLE, LabelKind.TAG}


@dataclass(frozen=True)
class Learning:
    """Learning with given networks; checkpoint: the tensors that may hold rows of biases; progress: told of tuning."""

    vtm: Vtm
    sight: Sight
    settings: VtmSettings
    checkpoint: Mapping[str, Tensor] | None = None
    progress: Progress | None = None

    def memory(self, support: Support, views: Sequence[Tensor]) -> Memory:
        """The memory of a support whose pictures are views (3, h, w) in 0..1."""
        channels = channels_of(support, self.settings.margin)
        crops = [self.sight.cropped(view, planes) for view, planes in zip(views, self.planes(support, channels, views), strict=True)]
        tensors: dict[str, Tensor] = {}
        parts: list[dict[str, Any]] = []
        expected: dict[str, dict[str, Any]] = {}
        tuned: list[dict[str, Any]] = []
        for index, part in enumerate(parts_of([planes.known.amax(dim=(0, 2, 3)) > 0 for _, planes in crops])):
            memory, told, found = self._learned(part, len(channels), labelled(part, crops, channels.categorical))
            own = {} if found is None else expectations(channels, list(part.channels), found, support.targets)
            tensors |= tensors_of(f"{index}.", memory)
            parts.append({"channels": list(part.channels), "group": list(memory.group), "expected": list(own)})
            tuned += told
            expected |= own
        places = [support.classes.numbers.index(number) for number in channels.classes]
        facts = {"side": self.sight.side, "channels": channels.facts(), "places": places, "count": len(support.classes)}
        return Memory(tensors, {**facts, "parts": parts, "tuned": tuned, "left_out": expected})

    def planes(self, support: Support, channels: Channels, views: Sequence[Tensor]) -> list[Planes]:
        """The labels of every example at the size of its view; classes that are not drawn through `methods.prompts`."""
        coarse: list[tuple[Tensor, Tensor] | None] = [None] * len(views)
        if support.kinds() & COARSE:
            coarse = list(self._coarse(support, channels, views))
        sizes = [(view.shape[-2], view.shape[-1]) for view in views]
        return [planes_of(example, channels, size, own) for example, size, own in zip(support.examples, sizes, coarse, strict=True)]

    def _learned(self, part: Part, count: int, examples: Labelled) -> tuple[SupportMemory, list[dict[str, Any]], LeftOut | None]:
        """The memory of a part, what is to be said of tuning if there was any, and answers for what was left out."""
        biases, told = self._biases(part.channels, count), list[dict[str, Any]]()
        if self.settings.tune and len(examples) < 2:
            warnings.warn("one example cannot be split into support and query: the biases are not tuned", UserWarning, stacklevel=2)
        elif self.settings.tune and examples:
            own = biases or repeated(self.vtm.image, self.vtm.image.config.depth, len(part.channels))
            biases, facts = adapted(self.vtm, examples, own, self.settings.tuning, self._folder(), self.progress)
            told.append(facts)
        encoded = self.vtm.encoded(examples.images, examples.seen, biases, chunk=self.settings.chunk)
        memory = encoded.memory.pooled(self.vtm.pooling, self.vtm.grid(examples.images))
        return memory.stored(PRECISIONS[self.settings.memory]), told, left_out(self.vtm, encoded, examples, self.settings.chunk)

    def _folder(self) -> Path | None:
        """Where interrupted tunings are kept."""
        chosen = self.settings.resume
        return cache_folder() / "tuning" if chosen == "auto" else Path(chosen) if chosen else None

    def _coarse(self, support: Support, channels: Channels, views: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Shares (N, h, w) of the classes of `channels` and their weight (h, w), at the size of each view."""
        square = [nn.functional.interpolate(view[None], (self.sight.side, self.sight.side), mode="bilinear", align_corners=False) for view in views]
        grid = self.vtm.grid(square[0])
        tokens = [self.vtm.image_tokens(image)[-1] for image in square]
        items = [ImageFeatures(own, own[:, :0], grid, (view.shape[-2], view.shape[-1])) for own, view in zip(tokens, views, strict=True)]
        places = [support.classes.numbers.index(number) + 1 for number in channels.classes]
        for view, found in zip(views, patch_labels(support, items), strict=True):
            maps = torch.unflatten(torch.cat([found.shares[:, places].T, found.weight[None]]), 1, grid)
            large = resize_nearest(maps, (view.shape[-2], view.shape[-1]))
            yield large[:-1], large[-1]

    def _biases(self, places: Sequence[int], count: int) -> dict[str, Tensor]:
        """The biases that some of all `count` channels begin with, {} for the encoder's own."""
        sets = {} if self.checkpoint is None else biases_in(self.checkpoint)
        if not sets:
            return {}
        rows = starting_rows(sets, count, self.settings.rows)
        return chosen(sets, [rows[place] for place in places])
