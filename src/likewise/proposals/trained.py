"""Proposals of a trained segmenter on the features of the program's backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from likewise.backbones.checkpoint import filled
from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.errors import InputError, WeightsError
from likewise.proposals.checkpoint import segmenter_config
from likewise.proposals.pyramid import pyramid
from likewise.proposals.segmenter import Segmenter, resized_maps
from likewise.proposals.source import Proposals

PREFIX = "segmenter."


@dataclass(frozen=True)
class Trained:
    """A `Source`: the segmenter, its attention heads, the size and the layers that it was trained on, {"name", "sha256"} of the backbone.

    Masks that are nowhere above a half are left out.
    """

    segmenter: Segmenter
    heads: int = 8
    side: int = 448
    layers: tuple[int, ...] = (2, 5, 8, 11)
    backbone: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def opened(cls, path: Path) -> Self:
        """The segmenter of a checkpoint of `mm-former` that was trained here. Raises WeightsError for another file."""
        from likewise.weights import read_card, read_checkpoint

        tensors, _ = read_checkpoint(path)
        card = read_card(path)
        if any(name.startswith("backbone.") for name in tensors):
            raise WeightsError("its segmenter reads a backbone of its own", where=str(path), remedy="Use it by --method mm-former, or name one trained here")
        own = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
        told = {} if card is None else card.settings
        try:
            return cls.restored(own, {**told, "backbone": {} if card is None else dict(card.backbone)})
        except WeightsError as error:
            raise WeightsError(error.what, where=str(path), remedy="Name a checkpoint of mm-former that was trained here") from error

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Self:
        """What `tensors` and `facts` were of. Raises WeightsError for tensors that are not those of a segmenter."""
        heads = int(facts.get("heads", cls.heads))
        module = filled(Segmenter(segmenter_config(tensors, heads=heads)), tensors, "segmenter")
        side = int(facts.get("side", 0)) or cls.side
        return cls(module, heads, side, tuple(facts.get("layers", cls.layers)), facts.get("backbone", {}))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The segmenter's."""
        return {name: tensor.clone() for name, tensor in self.segmenter.state_dict().items()}

    @property
    def facts(self) -> dict[str, Any]:
        """The rest, as JSON can hold it."""
        return {"kind": "trained", "heads": self.heads, "side": self.side, "layers": list(self.layers), "backbone": dict(self.backbone)}

    def check(self, name: str, sha256: str, width: int) -> None:
        """Raises InputError where a backbone is not the one whose layers the segmenter was trained on."""
        told, digest = self.backbone.get("name", name), self.backbone.get("sha256", sha256)
        if self.segmenter.config.channels[0] != width or (told, digest) != (name, sha256):
            raise InputError(
                f"the segmenter reads {self.segmenter.config.channels[0]} channels of {told} ({digest[:12]}), not the {width} of {name} ({sha256[:12]})",
                where="masks",
                remedy=f"Take the backbone that it was trained on: --backbone {told}",
            )

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
