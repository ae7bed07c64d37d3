"""MM-Former as a `Trainable`: the segmenter first, then the matching behind it, both on features of a frozen backbone.

Source: Jiao et al. 2022 and its code; the first stage is trained on binary masks here: those of the episode's class and of what is not it,
where the published code has every class of the picture. Query and support of an episode are both segmented in the first stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.vit import VitConfig
from likewise.errors import UsageError
from likewise.methods.base import MethodSettings
from likewise.methods.mm_former.checkpoint import MATCHING, SEGMENTER, matcher_of
from likewise.methods.mm_former.matching import MatchingConfig, View
from likewise.methods.mm_former.method import MmFormer, MmFormerSettings
from likewise.methods.mm_former.model import MaskMatcher
from likewise.methods.mm_former.objective import SetLoss, contrast, few_shot_dice, set_loss, soft_iou
from likewise.methods.trainable import Trainable, TrainingEpisode
from likewise.proposals.checkpoint import segmenter_config
from likewise.proposals.pyramid import pyramid
from likewise.proposals.segmenter import SegmenterConfig, resized_maps

UNKNOWN = 255
FEW_SHOT, CONTRAST = 10.0, 6.0  # weights of the losses, published


@dataclass(frozen=True, kw_only=True)
class MmFormerTrainingSettings(MethodSettings):
    """How MM-Former is trained.

    stage: 1, the segmenter, or 2, the matching behind a segmenter that the recipe starts from. side, layers: of the features.
    width, queries, heads, encoder_layers, encoder_hidden, decoder_layers, decoder_hidden: of a new segmenter, else the start's; matching_heads,
    matching_hidden, matching_layers: of a new matching. points: at which masks are compared. best: which proposal the few-shot loss of
    the first stage is of, counted from 0 (published: 1, the second best). within, cross: the alignments of the matching, within images
    and between them. official: ignored pixels are background, the dice as published.
    """

    stage: int = 1
    side: int = 448
    layers: tuple[int, ...] = (2, 5, 8, 11)
    width: int = 64
    queries: int = 100
    heads: int = 8
    encoder_layers: int = 2
    encoder_hidden: int = 128
    decoder_layers: int = 4
    decoder_hidden: int = 128
    matching_heads: int = 4
    matching_hidden: int = 128
    matching_layers: int = 2
    points: int = 1024
    best: int = 0
    within: bool = True
    cross: bool = True
    official: bool = False


class _Training:
    """What both stages share. See `Trainable`."""

    prefix: str

    def __init__(self, network: MaskMatcher, settings: MmFormerTrainingSettings) -> None:
        self.network, self.settings = network.requires_grad_(False), settings

    def wants(self) -> tuple[FeatureSpec, ...]:
        """Four layers at one size."""
        return (FeatureSpec(layers=self.settings.layers, side=self.settings.side, step=4),)

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.network.to(device)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Those of the stage."""
        return (parameter for parameter in self.network.parameters() if parameter.requires_grad)

    def _proposed(self, item: ImageFeatures) -> Tensor:
        with torch.no_grad():
            return self.network.segmented(pyramid(item)).sigmoid()


class SegmenterTraining(_Training):
    """The first stage."""

    def __init__(self, network: MaskMatcher, settings: MmFormerTrainingSettings) -> None:
        super().__init__(network, settings)
        network.segmenter.requires_grad_(True).train()

    def checkpoint(self) -> dict[str, Tensor]:
        """The segmenter's tensors."""
        return {SEGMENTER + name: tensor for name, tensor in self.network.segmenter.state_dict().items()}

    def method(self) -> None:
        """None: a segmenter knows no classes."""
        return

    def episode_loss(self, episode: TrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """Masks against the masks of the class and of all else, behind every layer, and the dice of the best one; over query and support."""
        pictures = [(item, mask) for item, mask in ((episode.query, episode.query_mask), (episode.support, episode.support_mask)) if mask is not None]
        if not pictures:
            raise UsageError("an episode has no mask", where="source", remedy="Train the segmenter on masks")
        parts = [self._picture_loss(item, mask, generator) for item, mask in pictures]
        found = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        return {"loss": found["mask"] + found["dice"] + found["few_shot"], **found}

    def _picture_loss(self, item: ImageFeatures, mask: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        config = SetLoss(points=self.settings.points)
        segmenter = self.network.segmenter
        found = segmenter(resized_maps(pyramid(item), same_size=segmenter.config.same_size), earlier=True)
        targets = _targets(mask)
        answers = [set_loss(logits, [targets], _uniform(generator), config) for logits in (found.logits, *found.earlier)]
        label, known = (mask == 1).float()[None], None if self.settings.official else (mask != UNKNOWN)[None]
        proposals = found.logits.sigmoid()
        order = soft_iou(proposals.detach(), label)[0].argsort(descending=True)
        chosen = interpolate(proposals[:, order[self.settings.best], None].transpose(0, 1), size=label.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
        return {
            "mask": config.weight_mask * torch.stack([answer.mask for answer in answers]).sum(),
            "dice": config.weight_dice * torch.stack([answer.dice for answer in answers]).sum(),
            "few_shot": FEW_SHOT * few_shot_dice(chosen, label, known, official=self.settings.official) * float(label.any()),  # else none is the best
        }


class MatchingTraining(_Training):
    """The second stage, behind a segmenter that stays as it is."""

    def __init__(self, network: MaskMatcher, settings: MmFormerTrainingSettings) -> None:
        super().__init__(network, settings)
        network.matching.requires_grad_(True).train()

    def checkpoint(self) -> dict[str, Tensor]:
        """All tensors, those of the segmenter too."""
        return dict(self.network.state_dict())

    def method(self) -> MmFormer:
        """MM-Former with copies of the tensors as they are now."""
        own = self.settings
        settings = MmFormerSettings(side=own.side, layers=own.layers, heads=own.heads, matching_heads=own.matching_heads, within=own.within, cross=own.cross)
        return MmFormer(settings, {name: tensor.detach().cpu().clone() for name, tensor in self.checkpoint().items()})

    def episode_loss(self, episode: TrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """The dice of the answer, and the contrast of the cosines of the best and the worst proposal."""
        del generator  # nothing is left to chance
        if episode.query_mask is None or episode.support_mask is None:
            raise UsageError("an episode has no mask", where="source", remedy="Train the matching on masks")
        matching, mask = self.network.matching, episode.query_mask
        label, known = (mask == 1).float()[None], None if self.settings.official else (mask != UNKNOWN)[None]
        proposals = self._proposed(episode.query)
        view = View(matching.query_sides(matching.reduced(pyramid(episode.query)[:0:-1], within=self.settings.within)), proposals)
        shot = self.network.shown(pyramid(episode.support), (episode.support_mask == 1).float()[None], within=self.settings.within)
        found = self.network.answered(view, [shot], mask.shape, official=self.settings.official, cross=self.settings.cross)
        apart = contrast(found.similarity, soft_iou(proposals, label))[0] * float(label.any())  # without the class none is the best
        dice = few_shot_dice(found.foreground, label, known, official=self.settings.official)
        return {"loss": FEW_SHOT * dice + CONTRAST * apart, "dice": dice, "contrast": apart}


def trainable(backbone: VitConfig, values: Mapping[str, Any], seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[TrainingEpisode]:
    """Segmenter or matching, new by a seed or from the tensors of a checkpoint; see `Method.trainable`."""
    settings = MmFormerTrainingSettings().changed(**values)
    if settings.stage not in (1, 2):
        raise UsageError(f"stage is {settings.stage}", where="method.stage", remedy="Write 1 for the segmenter, 2 for the matching")
    if len(settings.layers) != 4:
        raise UsageError(f"there are {len(settings.layers)} layers", where="method.layers", remedy="Name four, the shallowest first")
    if settings.width % 32 or settings.width % settings.heads:
        step = math.lcm(32, settings.heads)
        told = f"it is {settings.width}, which is no multiple of 32 and of {settings.heads} heads"
        raise UsageError(told, where="method.width", remedy=f"Take {-(-settings.width // step) * step}")
    if start:
        shape = segmenter_config({name.removeprefix(SEGMENTER): tensor for name, tensor in start.items() if name.startswith(SEGMENTER)})
        settings = settings.changed(width=shape.width, queries=shape.queries)
    network = new_network(backbone.width, settings, seed)
    if start:
        matching = {name: tensor for name, tensor in network.state_dict().items() if name.startswith(MATCHING)}
        network = matcher_of({**matching, **start}, heads=settings.heads, matching_heads=settings.matching_heads)
    elif settings.stage == 2:
        raise UsageError("there is no segmenter to match with", where="start", remedy="Name a checkpoint of the first stage by `start`")
    return SegmenterTraining(network, settings) if settings.stage == 1 else MatchingTraining(network, settings)


def new_network(channels: int, settings: MmFormerTrainingSettings, seed: int) -> MaskMatcher:
    """A network with initial numbers for maps of so many channels."""
    shape = SegmenterConfig(
        channels=(channels,) * 4,
        width=settings.width,
        heads=settings.heads,
        queries=settings.queries,
        encoder_layers=settings.encoder_layers,
        encoder_hidden=settings.encoder_hidden,
        decoder_layers=settings.decoder_layers,
        decoder_hidden=settings.decoder_hidden,
    )
    matching = MatchingConfig(
        channels=(channels,) * 3,
        width=settings.width,
        heads=settings.matching_heads,
        hidden=settings.matching_hidden,
        layers=settings.matching_layers,
        proposals=settings.queries,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MaskMatcher(shape, matching)
    _initialise(network, torch.Generator().manual_seed(seed))
    return network.eval()


def _initialise(network: MaskMatcher, generator: torch.Generator) -> None:
    """The published start: matrices of the attentions and projections by Xavier, sampling places around each token."""
    for name, tensor in network.segmenter.named_parameters():
        if tensor.ndim > 1 and not name.endswith(("queries_features.weight", "queries_embedder.weight", "level_embed", "level_embed.weight")):
            nn.init.xavier_uniform_(tensor, generator=generator)
    heads, points = network.segmenter.config.heads, 4
    angle = torch.arange(heads) * (2 * torch.pi / heads)
    way = torch.stack([angle.cos(), angle.sin()], dim=1)
    way = way / way.abs().amax(dim=1, keepdim=True)
    layers: Any = network.segmenter.pixels.encoder.layers
    for layer in layers:
        attention = layer.self_attn
        steps = way[:, None, None] * torch.arange(1, points + 1)[:, None]
        with torch.no_grad():
            attention.sampling_offsets.weight.zero_()
            attention.sampling_offsets.bias.copy_(steps.expand(-1, 3, -1, -1).flatten())
            attention.attention_weights.weight.zero_()
            attention.attention_weights.bias.zero_()


def _targets(mask: Tensor) -> Tensor:
    """Masks (T, H, W) of all that is known in a picture: what is not the class, and the class if it is there."""
    found = torch.stack([mask == 0, mask == 1]).float()
    return found[found.flatten(1).any(dim=1)]


def _uniform(generator: torch.Generator) -> Any:
    """Uniform numbers of a shape from a generator."""

    def drawn(shape: Sequence[int]) -> Tensor:
        return torch.rand(*shape, generator=generator)

    return drawn
