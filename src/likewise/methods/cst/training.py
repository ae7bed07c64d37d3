"""CST as a `Trainable`: pixel-level, image-level and mixed supervision.

Source: Kang et al. 2023, sections 3.1 to 3.3, and its code, which trains with one class and one support image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.resnet import ResNet
from likewise.backbones.vit import VitConfig
from likewise.errors import UsageError, close_match
from likewise.functional.resize import resize_corners, resize_nearest
from likewise.layers.correlation import unit_query, unit_support
from likewise.methods.base import MethodSettings
from likewise.methods.correlating import heads_of, token_spec
from likewise.methods.cst.checkpoint import ENHANCER, enhancer_of, learner_of
from likewise.methods.cst.enhancer import MaskEnhancer, enhancer_loss, new_enhancer
from likewise.methods.cst.method import Cst, CstSettings
from likewise.methods.cst.model import Learner, PairSupport, untrained
from likewise.methods.cst.objective import CLASS_WEIGHT, cst_loss
from likewise.methods.cst.pooled import EXTRACTOR, extractor_of, last_map, pooled_mask
from likewise.methods.cst.pseudo import PSEUDO, THRESHOLD, cosines_of, extractor_spec, pseudo_mask
from likewise.methods.trainable import Trainable, TrainingEpisode

SUPERVISIONS = ("auto", "pseudo", "classes")
PARTS = ("learner", "enhancer")


@dataclass(frozen=True, kw_only=True)
class CstTrainingSettings(MethodSettings):
    """How CST is trained; defaults of the published code.

    side: of the square image, and of the masks in the loss. supervision: "auto" takes the masks that an episode has and
    pseudo masks where it has none (pixel-level, or mixed), "pseudo" pseudo masks always (image-level), "classes" no mask
    at all: the whole support image, and the classification term alone (image-level without pseudo masks, table 1; ours,
    since its code is not published). class_weight: lambda. void_is_background: official code counts it so. pseudo, threshold,
    pseudo_backbone, many_heads, coupled, square, kernels: as in `CstSettings`; "pooled" needs a start with a ResNet. part: "learner", or the
    "enhancer" of pseudo masks alone.
    """

    part: str = "learner"
    side: int = 400
    supervision: str = "auto"
    class_weight: float = CLASS_WEIGHT
    pseudo: str = "attention"
    threshold: float = THRESHOLD
    pseudo_backbone: str = ""
    many_heads: bool = True
    coupled: bool = False
    square: int = 12
    kernels: tuple[int, ...] = (4, 3)
    void_is_background: bool = False


class CstTraining:
    """The learner under training, and frozen what pseudo masks go through, if anything: a mask enhancer, or a ResNet. See `Trainable`."""

    def __init__(self, learner: Learner, settings: CstTrainingSettings, enhancer: MaskEnhancer | None = None, extractor: ResNet | None = None) -> None:
        self.learner, self.settings, self.extractor = learner.requires_grad_(True).train(), settings, extractor
        self.enhancer = None if enhancer is None else enhancer.requires_grad_(False).eval()

    def wants(self) -> tuple[FeatureSpec, ...]:
        """All layers at the square size, with queries and keys of the last block; what another network makes pseudo masks of."""
        extractor = extractor_spec(self.settings.side, self.settings.pseudo_backbone, self.settings.pseudo)
        return (token_spec(self.settings.side),) if extractor is None else (token_spec(self.settings.side), extractor)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The learner's."""
        return self.learner.parameters()

    def to(self, device: torch.device) -> None:
        """Move learner, enhancer and ResNet."""
        for network in (self.learner, self.enhancer, self.extractor):
            if network is not None:
                network.to(device)

    def method(self) -> Cst:
        """CST with copies of the tensors as they are now."""
        settings = CstSettings(
            side=self.settings.side,
            support="none" if self.settings.supervision == "classes" else "auto",
            pseudo=self.settings.pseudo,
            threshold=self.settings.threshold,
            pseudo_backbone=self.settings.pseudo_backbone,
            many_heads=self.settings.many_heads,
            square=self.settings.square,
            kernels=self.settings.kernels,
        )
        return Cst(settings, {name: tensor.detach().cpu().clone() for name, tensor in self.checkpoint().items()})

    def checkpoint(self) -> dict[str, Tensor]:
        """The learner's tensors, and those of enhancer and ResNet under their prefixes."""
        beside = [(ENHANCER, self.enhancer), (EXTRACTOR, self.extractor)]
        extra = {prefix + name: tensor for prefix, part in beside if part is not None for name, tensor in part.state_dict().items()}
        return {**self.learner.state_dict(), **{name: tensor for name, tensor in extra.items() if not name.endswith(".num_batches_tracked")}}

    def episode_loss(self, episode: TrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of an episode with its terms "classes" and "masks". There is no chance in it."""
        del generator
        query, support = episode.query, episode.support
        heads = heads_of(support) if self.settings.many_heads else 1
        mine = unit_query(query.tokens[None].float(), heads)
        theirs = unit_support(support.prefix[None, :, 0].float(), support.tokens[None].float(), support.grid, self.learner.side, heads)
        hidden = self.learner.hidden(self._support_mask(episode)[None])
        class_logits, mask_logits = self.learner.pairs(mine, PairSupport(theirs, hidden), query.grid, tile=mine.shape[-2])
        size = (self.settings.side, self.settings.side)
        loss = cst_loss(
            class_logits,
            resize_corners(mask_logits, size),
            torch.tensor([episode.present], device=class_logits.device),
            self._query_mask(episode)[None],
            weight=self.settings.class_weight,
            ignore=None if self.settings.void_is_background else 255,
        )
        if self.settings.supervision == "classes":
            return {"loss": loss.classes, "classes": loss.classes}
        if self.learner.coupled:  # ours: without a head of its own the classification has no term
            return {"loss": loss.masks, "masks": loss.masks}
        return {"loss": loss.total, "classes": loss.classes, "masks": loss.masks}

    def _support_mask(self, episode: TrainingEpisode) -> Tensor:
        size = (self.settings.side, self.settings.side)
        if self.settings.supervision == "classes":
            return torch.ones(size, device=episode.support.tokens.device)
        if episode.support_mask is not None and self.settings.supervision == "auto":
            return (resize_nearest(episode.support_mask, size) == 1).float()
        _, support = _extracted(episode)
        return self._pseudo(support, support).float()

    def _query_mask(self, episode: TrainingEpisode) -> Tensor:
        size = (self.settings.side, self.settings.side)
        nothing = torch.zeros(size, device=episode.query.tokens.device)
        if self.settings.supervision == "classes":
            return nothing
        if episode.query_mask is not None and self.settings.supervision == "auto":
            return resize_nearest(episode.query_mask, size)
        return self._pseudo(*_extracted(episode)) if episode.present else nothing

    def _pseudo(self, image: ImageFeatures, support: ImageFeatures) -> Tensor:
        """The pseudo mask (side, side) of an image by the class token of the support."""
        size = (self.settings.side, self.settings.side)
        with torch.no_grad():
            if self.enhancer is not None:
                return self.enhancer.masks(cosines_of(image, support)[None], size)[0]
            if self.extractor is not None:
                return pooled_mask(last_map(image, self.extractor), last_map(support, self.extractor), size)
            return pseudo_mask(image, support, size, self.settings.pseudo, self.settings.threshold)


class CstEnhancerTraining:
    """The mask enhancer under training, on the images that have masks. See `Trainable`."""

    def __init__(self, enhancer: MaskEnhancer, settings: CstTrainingSettings) -> None:
        self.enhancer, self.settings = enhancer.requires_grad_(True).train(), settings

    def wants(self) -> tuple[FeatureSpec, ...]:
        """What the learner wants, so that cached features serve both."""
        return (token_spec(self.settings.side),)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The enhancer's."""
        return self.enhancer.parameters()

    def to(self, device: torch.device) -> None:
        """Move the enhancer."""
        self.enhancer.to(device)

    def checkpoint(self) -> dict[str, Tensor]:
        """The enhancer's tensors under its prefix; training of a learner may start from them."""
        return {ENHANCER + name: tensor for name, tensor in self.enhancer.state_dict().items()}

    def method(self) -> None:
        """None: pseudo masks alone answer nothing."""
        return

    def episode_loss(self, episode: TrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of the support's own map, and of the query's where it shows the class; 0 where neither has a mask."""
        del generator
        pairs = [(episode.support, episode.support_mask), (episode.query, episode.query_mask if episode.present else None)]
        losses = [self._loss(image, episode.support, mask) for image, mask in pairs if mask is not None]
        if losses:
            return {"loss": torch.stack(losses).mean()}
        return {"loss": torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0}

    def _loss(self, image: ImageFeatures, support: ImageFeatures, mask: Tensor) -> Tensor:
        size = (self.settings.side, self.settings.side)
        return enhancer_loss(self.enhancer(cosines_of(image, support)[None]), resize_nearest(mask, size)[None])


def trainable(backbone: VitConfig, values: Mapping[str, Any], seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[TrainingEpisode]:
    """The learner or the enhancer, new by a seed or from the tensors of a checkpoint; see `Method.trainable`."""
    settings = CstTrainingSettings().changed(**values)
    for name, value, known in (("supervision", settings.supervision, SUPERVISIONS), ("part", settings.part, PARTS), ("pseudo", settings.pseudo, PSEUDO)):
        if value not in known:
            raise UsageError(f"{name} is {value!r}", where=f"method.{name}", remedy=close_match(value, known))
    given = start or {}
    enhancer, extractor = enhancer_of(given), extractor_of(given)
    _check_makers(settings, enhancer, extractor)
    if settings.part == "enhancer":
        return CstEnhancerTraining(enhancer or new_enhancer(backbone.heads, seed), settings)
    if any(not name.startswith((ENHANCER, EXTRACTOR)) for name in given):
        return CstTraining(learner_of(given, side=settings.square, kernels=settings.kernels), settings, enhancer, extractor)
    channels = backbone.depth * (backbone.heads if settings.many_heads else 1)
    learner = untrained(channels, settings.square, settings.kernels, coupled=settings.coupled, seed=seed)
    return CstTraining(learner, settings, enhancer, extractor)


def _check_makers(settings: CstTrainingSettings, enhancer: MaskEnhancer | None, extractor: ResNet | None) -> None:
    """UsageError where what the start holds does not make pseudo masks as the settings ask."""
    pooled, enhanced = settings.pseudo == "pooled", enhancer is not None or settings.part == "enhancer"
    if (enhancer is not None and settings.pseudo != "attention") or (enhanced and pooled):
        raise UsageError(f"pseudo is {settings.pseudo!r}, a mask enhancer reads attention", where="method.pseudo", remedy="Leave it out, or start without one")
    if settings.pseudo_backbone and enhanced:
        raise UsageError("a mask enhancer reads the learner's own backbone", where="method.pseudo_backbone", remedy="Leave it out, or start without one")
    if settings.pseudo_backbone and pooled:
        raise UsageError("pseudo masks that are 'pooled' are made by the ResNet of the start", where="method.pseudo_backbone", remedy="Leave it out")
    if pooled and extractor is None:
        remedy = "Begin from what `likewise weights convert cst RESNET OUT` makes of a ResNet's file"
        raise UsageError("pseudo is 'pooled', and there is no ResNet to begin from", where="method.start", remedy=remedy)
    if extractor is not None and not pooled:
        remedy = "Write method.pseudo=pooled, or take another start"
        raise UsageError(f"the start holds a ResNet for pseudo masks, and pseudo is {settings.pseudo!r}", where="method.pseudo", remedy=remedy)


def _extracted(episode: TrainingEpisode) -> tuple[ImageFeatures, ImageFeatures]:
    """Query and support as pseudo masks see them: by another backbone where there is one."""
    return episode.more[0] if episode.more else (episode.query, episode.support)
