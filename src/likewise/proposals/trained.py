"""Proposals of a trained segmenter on the features of the program's backbone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.errors import WeightsError
from likewise.proposals.checkpoint import segmenter_config
from likewise.proposals.pyramid import pyramid
from likewise.proposals.segmenter import Segmenter, resized_maps
from likewise.proposals.source import Proposals

PREFIX = "segmenter."


@dataclass(frozen=True)
class Trained:
    """A `Source`: the segmenter, the size and the layers that it was trained on. Masks that are nowhere above a half are left out."""

    segmenter: Segmenter
    side: int = 448
    layers: tuple[int, ...] = (2, 5, 8, 11)

    @classmethod
    def opened(cls, path: Path) -> Self:
        """The segmenter of a checkpoint of `mm-former` that was trained here. Raises WeightsError for another file."""
        from likewise.weights import read_card, read_checkpoint

        tensors, _ = read_checkpoint(path)
        own = {name.removeprefix(PREFIX): tensor.float() for name, tensor in tensors.items() if name.startswith(PREFIX)}
        card = read_card(path)
        if any(name.startswith("backbone.") for name in tensors):
            raise WeightsError("its segmenter reads a backbone of its own", where=str(path), remedy="Use it by --method mm-former, or name one trained here")
        told = {} if card is None else card.settings
        module = Segmenter(segmenter_config(own, heads=int(told.get("heads", 8))))
        module.load_state_dict(own)
        return cls(module.eval().requires_grad_(False), int(told.get("side", 448)), tuple(told.get("layers", (2, 5, 8, 11))))

    def wants(self) -> FeatureSpec:
        """Four layers."""
        return FeatureSpec(layers=self.layers, side=self.side, step=4)

    def propose(self, item: ImageFeatures) -> Proposals:
        """The masks, the surest first."""
        with torch.inference_mode():
            masks = self.segmenter(resized_maps(pyramid(item), same_size=False)).logits[0].sigmoid()
        inside = masks > 0.5
        sure = (masks * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2)).clamp_min(1)
        order = sure.argsort(descending=True)
        return Proposals(masks[order[sure[order] > 0]].clone())
