"""CST: few-shot classification and segmentation by correlating tokens (Kang et al. 2023).

How it learns and predicts stands in `methods.correlating`: tokens of all layers and heads on a square of 12x12 are correlated with
those of the query, and a small transformer says whether a class is there and where. Masks are taken as they are; boxes, points and
scribbles through `methods.prompts`; where there are only tags, the pseudo mask of the image is used.

Limits: every image is squashed to a square; a class is seen through 12x12 points of its mask, so a small object may be
missed; the learner must be trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, Support
from likewise.errors import InputError, UsageError
from likewise.layers.correlation import unit_support
from likewise.methods.base import Features, Memory, MethodSettings
from likewise.methods.correlating import CorrelatingMethod, CorrelatingSettings
from likewise.methods.cst.checkpoint import enhancer_of, learner_of, learner_tensors
from likewise.methods.cst.model import Learner, untrained
from likewise.methods.cst.pooled import extractor_of, extractor_tensors, last_map, pooled_mask
from likewise.methods.cst.pseudo import PSEUDO, THRESHOLD, cosines_of, extractor_spec, pseudo_mask

if TYPE_CHECKING:
    from likewise.backbones.resnet import ResNet
    from likewise.backbones.vit import VitConfig
    from likewise.methods.trainable import Trainable

SUPPORTS = ("auto", "pseudo", "none")


@dataclass(frozen=True, kw_only=True)
class CstSettings(CorrelatingSettings):
    """The settings of CST besides those of `CorrelatingSettings`; the defaults are those of the published code.

    support: "auto" takes masks where there are any, "pseudo" never looks at masks, "none" attends to the whole image.
    pseudo: what pseudo masks are made of, "attention" (queries and keys of the last block) or its output "tokens"
    (table 6 of the paper), "walk", which is ours, see `pseudo`, or "pooled", a ResNet of the checkpoint's own; threshold: of the first two;
    pseudo_backbone: the network they are made by, "" for the task's own.
    many_heads: correlations head by head, or of whole tokens (table a.7).
    coupled: an untrained learner without a classification head (table 7); of a trained one its checkpoint says it.
    square, kernels: the side of the square of support tokens, and the pooling in each layer of the transformer.
    """

    support: str = "auto"
    pseudo: str = "attention"
    threshold: float = THRESHOLD
    pseudo_backbone: str = ""
    many_heads: bool = True
    coupled: bool = False
    square: int = 12
    kernels: tuple[int, ...] = (4, 3)


class Cst(CorrelatingMethod):
    """See the top of the file."""

    name = "cst"
    takes = frozenset({LabelKind.MASK, LabelKind.TAG})
    Settings = CstSettings
    settings: CstSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(settings, checkpoint)
        for name, value, known in (("support", self.settings.support, SUPPORTS), ("pseudo", self.settings.pseudo, PSEUDO)):
            if value not in known:
                raise UsageError(f"setting {name!r} is {value!r}", where="cst", remedy=f"Use one of {', '.join(known)}")

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """The learner's tensors of a Lightning checkpoint, without those of the frozen backbone; or a ResNet, to begin a training with "pooled" from."""
        del config
        network = extractor_tensors(official)
        if network is not None:
            return network
        found = learner_tensors(official)
        learner_of(found)
        return found

    @classmethod
    def published(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The published settings, in full; the backbone is known by its patches, where its tensors lie beside the learner's. Of a ResNet alone nothing."""
        del config
        if extractor_tensors(official) is not None:
            return {}, ""
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

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint, which brings the ResNet that pseudo masks are made by, if any is asked for."""
        found = super().equipped(checkpoint)
        if self.settings.pseudo == "pooled":
            _ = found._network  # what is wrong with it is said before anything slow
        return found

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """All layers at one square size, with queries and keys of the last block; to learn, also what another network makes pseudo masks of."""
        extractor = self._extractor if memory is None else None
        return (self._spec,) if extractor is None else (self._spec, extractor)

    @cached_property
    def _extractor(self) -> FeatureSpec | None:
        return extractor_spec(self.settings.side, self.settings.pseudo_backbone, self.settings.pseudo)

    @cached_property
    def _network(self) -> ResNet:
        """The ResNet of the checkpoint that makes pseudo masks."""
        found = extractor_of(self._checkpoint or {})
        if found is None:
            raise UsageError(
                "setting 'pseudo' is 'pooled', and the checkpoint holds no ResNet",
                where="cst",
                remedy="Take a checkpoint that was trained with method.pseudo=pooled, or leave `pseudo` as the checkpoint says",
            )
        return found

    def _heads(self, item: ImageFeatures) -> int:
        heads = super()._heads(item)
        return heads if self.settings.many_heads else 1

    def _untrained(self, channels: int) -> Learner:
        return untrained(channels, self.settings.square, self.settings.kernels, coupled=self.settings.coupled)

    def _opened(self, checkpoint: Mapping[str, Tensor]) -> Learner:
        return learner_of(checkpoint, side=self.settings.square, kernels=self.settings.kernels)

    def _support_tokens(self, item: ImageFeatures, learner: Learner) -> Tensor:
        """(1, L, A, 1 + side*side, d)."""
        return unit_support(item.prefix[None, :, 0].float(), item.tokens[None].float(), item.grid, learner.side, self._heads(item))

    def _instead(self, support: Support, number: int, index: int, features: Features) -> Tensor | None:
        """The whole image or a pseudo mask, where the settings ask for it or there is no label but a tag."""
        labels = support.examples[index].labels
        if self.settings.support == "none":
            return torch.ones(1, 1)
        drawn = labels.mask(number).any() or number in labels.boxes or number in labels.points or number in labels.scribbles
        if self.settings.support == "auto" and drawn:
            return None
        return self._pseudo(features[self._extractor or self._spec][index]).float()

    def _pseudo(self, item: ImageFeatures) -> Tensor:
        """The pseudo mask of an image by its own class token: (side, side) bool."""
        side = (self.settings.side, self.settings.side)
        if self.settings.pseudo == "pooled":
            seen = last_map(item, self._network)
            return pooled_mask(seen, seen, side)
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
