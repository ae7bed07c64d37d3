"""Label Anything as a `Trainable`: neck, prompt encoder and mask decoder behind a frozen image encoder, whose tokens come from outside.

Source: De Marinis et al. 2024, its code: focal loss with weights of classes over the query's pixels. The episodes of a batch go through
the head together, with empty slots where one has fewer points or boxes than another, as published; weights of classes are those of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from likewise.backbones.features import FeatureSpec
from likewise.backbones.vit import VitConfig
from likewise.errors import UsageError, close_match
from likewise.functional.resize import resize_nearest
from likewise.layers.two_way import CrossAttention
from likewise.methods.base import MethodSettings
from likewise.methods.label_anything.checkpoint import head_of
from likewise.methods.label_anything.config import MIXERS, HeadConfig
from likewise.methods.label_anything.method import LabelAnything, LabelAnythingSettings
from likewise.methods.label_anything.model import Head, untrained_head
from likewise.methods.label_anything.objective import class_weights, focal_loss
from likewise.methods.label_anything.pictures import Frame
from likewise.methods.label_anything.prompts import Prompts, prompts_from
from likewise.methods.trainable import PromptedTrainingBatch, PromptTrainable

BEGINNINGS = ("random", "alike")
_COVER = 4.0  # of what covers up the outside of a mask, in standard deviations of a feature
_EVERY_PAIR = 1 << 30  # at once: gradients keep all of them anyway


@dataclass(frozen=True, kw_only=True)
class LabelAnythingTrainingSettings(MethodSettings):
    """How Label Anything is trained; sizes are those of the released heads.

    side: of the square, a multiple of the patch; loss_side: of the square on which the loss is taken, 0 for `side`, as published.
    gamma, weighted: of the focal loss, and whether classes weigh by how rare they are. official: the published behaviour, defects
    included, in the head and in the loss. begin: "random", published; "alike", ours, for short runs, see `begin_alike`. width, hidden,
    heads, mixers, pool, spatial, shrink: of the head, see `HeadConfig`.
    """

    side: int = 480
    loss_side: int = 0
    gamma: float = 2.0
    weighted: bool = True
    official: bool = False
    begin: str = "random"
    width: int = 256
    hidden: int = 2048
    heads: int = 8
    mixers: tuple[str, ...] = ()
    pool: int = 0
    spatial: int = 3
    shrink: int = 8


class LabelAnythingTraining:
    """A head under training. See `PromptTrainable`."""

    def __init__(self, head: Head, settings: LabelAnythingTrainingSettings) -> None:
        self.head, self.settings = head.requires_grad_(True).train(), settings
        self._frame = Frame(settings.side, padded=False)

    def wants(self) -> tuple[FeatureSpec, ...]:
        """The last layer of square pictures."""
        return (FeatureSpec(layers=(-1,), side=self.settings.side, squash=True),)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The head's."""
        return self.head.parameters()

    def to(self, device: torch.device) -> None:
        """Move the head."""
        self.head.to(device)

    def checkpoint(self) -> dict[str, Tensor]:
        """The head's tensors, and its fixed frequencies."""
        return dict(self.head.state_dict())

    def method(self) -> LabelAnything:
        """Label Anything with copies of the tensors as they are now."""
        settings = LabelAnythingSettings(side=self.settings.side, official=self.settings.official, heads=self.settings.heads)
        return LabelAnything(settings, {name: tensor.detach().cpu().clone() for name, tensor in self.checkpoint().items()})

    def episode_loss(self, batch: PromptedTrainingBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of a batch; chance draws the rows of the token pool."""
        side, official = self.settings.loss_side or self.settings.side, self.settings.official
        logits = interpolate(self.logits(batch, generator), (side, side), mode="bilinear", align_corners=False)
        truth = resize_nearest(torch.stack([episode.truth for episode in batch.episodes]), (side, side))
        weights = class_weights(truth, logits.shape[1], official=official) if self.settings.weighted else None
        return {"loss": focal_loss(logits, truth, weights, gamma=self.settings.gamma, official=official)}

    def logits(self, batch: PromptedTrainingBatch, generator: torch.Generator | None = None) -> Tensor:
        """Logits (B, N+1, 4E, 4E) of the queries; without a generator the first rows of the token pool mark the classes."""
        official = self.settings.official
        prompts = _moved(joined_prompts([prompts_from(each.prompts, each.numbers, self._frame, official=official) for each in batch.episodes]), batch)
        support = torch.stack([episode.support for episode in batch.episodes]).float()
        query = torch.stack([episode.query for episode in batch.episodes]).float()
        maps = self.head.features(torch.cat([query, support.flatten(0, 1)]))
        own, theirs = maps[: len(query)], torch.unflatten(maps[len(query) :], 0, support.shape[:2])
        rows = self._rows(prompts.shape[2], generator)
        encoded = self.head.remember(theirs, prompts, rows=rows, official=official, chunk=_EVERY_PAIR)
        return self.head.logits(own, encoded.prototypes, None if official else encoded.some.any(dim=1))

    def _rows(self, classes: int, generator: torch.Generator | None) -> Tensor | None:
        pool = self.head.config.pool
        if not pool or generator is None:
            return None
        return torch.cat([torch.zeros(1, dtype=torch.long), torch.randperm(pool - 1, generator=generator)[: classes - 1] + 1])


def joined_prompts(listed: Sequence[Prompts]) -> Prompts:
    """Prompts of episodes alike in pictures and classes as those of one batch, filled up with empty slots."""
    points = max(0 if one.points is None else one.points.shape[3] for one in listed)
    boxes = max(0 if one.boxes is None else one.boxes.shape[3] for one in listed)

    def stacked(name: str, slots: int, behind: int) -> Tensor:
        """Tensors (1, M, C, n, ...) with `behind` axes behind n."""
        parts = [getattr(one, name) for one in listed]
        return torch.cat([pad(part, (0, 0) * behind + (0, slots - part.shape[3])) for part in parts])

    return Prompts(
        points=stacked("points", points, 1),
        point_flags=stacked("point_flags", points, 0),
        boxes=stacked("boxes", boxes, 1),
        box_flags=stacked("box_flags", boxes, 0),
        masks=torch.cat([one.masks for one in listed if one.masks is not None]),
        mask_flags=torch.cat([one.mask_flags for one in listed if one.mask_flags is not None]),
    )


def _moved(prompts: Prompts, batch: PromptedTrainingBatch) -> Prompts:
    """The same on the device of a batch."""
    device = batch.episodes[0].query.device
    return Prompts(**{name: None if tensor is None else tensor.to(device) for name, tensor in vars(prompts).items()})


def trainable(backbone: VitConfig, values: Mapping[str, Any], seed: int = 0, start: Mapping[str, Tensor] | None = None) -> PromptTrainable:
    """A head, new by a seed or from the tensors of a checkpoint, whose sizes then count; see `Method.trainable`."""
    settings = LabelAnythingTrainingSettings().changed(**values)
    _check(settings, backbone.patch)
    if start:
        return LabelAnythingTraining(head_of(start, side=settings.side, patch=backbone.patch, heads=settings.heads), settings)
    config = HeadConfig(
        encoder_width=backbone.width,
        width=settings.width,
        side=settings.side,
        patch=backbone.patch,
        heads=settings.heads,
        hidden=settings.hidden,
        mixers=tuple(name for name in MIXERS if name in settings.mixers),
        pool=settings.pool,
        spatial=settings.spatial,
        shrink=settings.shrink,
    )
    head = untrained_head(config, seed)
    if settings.begin == "alike":
        begin_alike(head, seed)
    return LabelAnythingTraining(head, settings)


def begin_alike(head: Head, seed: int = 0) -> None:
    """Make every attention look at what is alike, the neck keep what is where, and masks cover up what is outside of them.

    Queries and keys begin as the same projection, the neck as a projection of each token by itself. In the middle of a mask its map begins
    as nothing, outside of it as one large vector, beside which, behind a norm, a feature counts little.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in head.modules():
        if isinstance(module, CrossAttention):
            nn.init.orthogonal_(module.q_proj.weight, generator=generator)
            module.k_proj.load_state_dict(module.q_proj.state_dict())
    if head.neck is not None:
        first, second = head.neck.get_submodule("0"), head.neck.get_submodule("2")
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        nn.init.orthogonal_(first.weight, generator=generator)
        nn.init.dirac_(second.weight)
    before, last = head.prompt_encoder.mask_downscaling[:-1], head.prompt_encoder.mask_downscaling[-1]
    assert isinstance(last, nn.Conv2d)
    bias = last.bias
    assert bias is not None
    with torch.no_grad():
        seen = torch.cat([before(torch.full((1, 1, 4, 4), value)) for value in (0.0, 1.0)])[:, :, 0, 0]  # (outside and inside, 16)
        outside, _ = torch.linalg.pinv(seen.T)  # 1 for what is seen outside, 0 inside
        cover = torch.randn(head.config.width, generator=generator)
        cover = cover - cover.mean()
        last.weight.copy_((_COVER * cover / cover.std())[:, None, None, None] * outside[None, :, None, None])
        nn.init.zeros_(bias)


def _check(settings: LabelAnythingTrainingSettings, patch: int) -> None:
    """UsageError for sizes that do not go together."""
    if settings.side % patch:
        remedy = f"Take {settings.side // patch * patch or patch}"
        raise UsageError(f"side is {settings.side}, patches have {patch} pixels", where="method.side", remedy=remedy)
    if settings.heads < 1 or settings.width % (4 * settings.heads):  # a quarter in the decoder's enlargement, half in attentions
        remedy = f"Take a multiple of {4 * max(settings.heads, 1)}"
        raise UsageError(f"width is {settings.width}, with {settings.heads} heads", where="method.width", remedy=remedy)
    if settings.shrink < 1 or settings.width % settings.shrink:
        raise UsageError(f"shrink is {settings.shrink}, width {settings.width}", where="method.shrink", remedy="Take a divisor of the width")
    if settings.loss_side < 0 or settings.gamma < 0 or settings.pool < 0 or settings.spatial < 0:
        raise UsageError("loss_side, gamma, pool and spatial are 0 or more", where="method", remedy="Raise the one that is below 0")
    if settings.begin not in BEGINNINGS:
        raise UsageError(f"there is no {settings.begin!r}", where="method.begin", remedy=close_match(settings.begin, BEGINNINGS))
    for name in settings.mixers:
        if name not in MIXERS:
            raise UsageError(f"there is no mixer {name!r}", where="method.mixers", remedy=close_match(name, MIXERS))
