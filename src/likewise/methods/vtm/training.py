"""VTM as a `Trainable`: label encoder, matching and decoder behind a frozen image encoder, whose tokens come from outside.

Source: Kim et al. 2023, sections 3.2 to 3.4, but for the image encoder, which is trained there and frozen here, so that the
tokens of a picture are made once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.vit import VitConfig
from likewise.errors import InputError, UsageError
from likewise.methods.base import MethodSettings
from likewise.methods.trainable import DenseTrainable, DenseTrainingEpisode
from likewise.methods.vtm.checkpoint import head_of
from likewise.methods.vtm.method import VisualTokenMatching
from likewise.methods.vtm.model import LEVELS, Head, HeadConfig, as_label, level_blocks, untrained_head
from likewise.methods.vtm.objective import hybrid_loss
from likewise.methods.vtm.settings import VtmSettings
from likewise.methods.vtm.tuning import fitted


@dataclass(frozen=True, kw_only=True)
class VtmTrainingSettings(MethodSettings):
    """How VTM is trained.

    side: of the square pictures, a multiple of the patch; dropout: on the attention of the matching, published; width, depth,
    heads: of the label encoder; matching_heads; reassembled, fused: of the decoder. alike: queries and keys begin as the image
    tokens themselves, ours: tokens of a backbone that was trained already say what is alike, and training gets on in half the steps;
    False: random, published.
    """

    side: int = 224
    dropout: float = 0.1
    width: int = 192
    depth: int = 4
    heads: int = 3
    matching_heads: int = 4
    reassembled: tuple[int, ...] = (24, 48, 96, 192)
    fused: int = 48
    alike: bool = True


class VtmTraining:
    """A head under training. See `DenseTrainable`."""

    def __init__(self, head: Head, settings: VtmTrainingSettings, depth: int) -> None:
        """depth: of the backbone."""
        self.head, self.settings, self.depth = head.requires_grad_(True).train(), settings, depth

    def wants(self) -> tuple[FeatureSpec, ...]:
        """Tokens of four levels of square pictures."""
        return (FeatureSpec(layers=level_blocks(self.depth), side=self.settings.side, squash=True),)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The head's."""
        return self.head.parameters()

    def to(self, device: torch.device) -> None:
        """Move the head."""
        self.head.to(device)

    def checkpoint(self) -> dict[str, Tensor]:
        """The head's tensors."""
        return dict(self.head.state_dict())

    def method(self) -> VisualTokenMatching:
        """VTM with copies of the tensors as they are now; its image encoder is the backbone."""
        config = self.head.config
        settings = VtmSettings(label_heads=config.heads, matching_heads=config.matching_heads)
        return VisualTokenMatching(settings, {name: tensor.detach().cpu().clone() for name, tensor in self.checkpoint().items()})

    def episode_loss(self, episode: DenseTrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of a class, absolute error of anything else. The matching's dropout draws from torch's own generator."""
        del generator
        logits = self._logits(episode, self.settings.dropout)
        kind = torch.tensor(episode.categorical, device=logits.device)
        return {"loss": hybrid_loss(logits, episode.query_values[None], episode.query_known[None], kind)}

    def answers(self, episode: DenseTrainingEpisode) -> Tensor:
        """Values (Q, H, W) of the queries."""
        with torch.no_grad():
            return self._logits(episode, 0.0)[0].sigmoid()

    def _logits(self, episode: DenseTrainingEpisode, dropout: float) -> Tensor:
        """(1, Q, H, W), at the size of the queries' maps."""
        labels = as_label(episode.support_values, episode.support_known)[None]
        memory = self.head.remember(_levels(episode.support), labels, [0])
        found = self.head.logits(_levels(episode.query), memory, episode.query[0].grid, dropout=dropout)
        return fitted(found.transpose(0, 1), episode.query_values[None])


def _levels(pictures: Sequence[ImageFeatures]) -> list[Tensor]:
    """Image tokens (1, X, P, D) of four levels."""
    return list(torch.stack([picture.tokens.float() for picture in pictures], dim=1)[:, None])


def trainable(backbone: VitConfig, values: Mapping[str, Any], seed: int = 0, start: Mapping[str, Tensor] | None = None) -> DenseTrainable:
    """A head, new by a seed or from the tensors of a checkpoint, whose widths then count; see `Method.trainable`."""
    settings = VtmTrainingSettings().changed(**values)
    if backbone.depth < LEVELS:
        raise InputError(f"the backbone has {backbone.depth} blocks, four levels are read", where="backbone", remedy="Take a deeper one")
    if settings.side % backbone.patch:
        raise UsageError(
            f"side is {settings.side}, patches have {backbone.patch} pixels",
            where="method.side",
            remedy=f"Take {settings.side // backbone.patch * backbone.patch or backbone.patch}",
        )
    if len(settings.reassembled) != LEVELS:
        raise UsageError(f"reassembled has {len(settings.reassembled)} widths", where="method.reassembled", remedy="Give four")
    if start:
        return VtmTraining(head_of(start, heads=settings.heads, matching_heads=settings.matching_heads), settings, backbone.depth)
    one, two, three, four = settings.reassembled
    config = HeadConfig(
        image_width=backbone.width,
        width=settings.width,
        depth=settings.depth,
        heads=settings.heads,
        patch=backbone.patch,
        grid=settings.side // backbone.patch,
        matching_heads=settings.matching_heads,
        reassembled=(one, two, three, four),
        fused=settings.fused,
    )
    head = untrained_head(config, seed)
    if settings.alike:
        begin_alike(head)
    return VtmTraining(head, settings, backbone.depth)


def begin_alike(head: Head) -> None:
    """Make queries and keys of all levels the image tokens themselves, behind their norm."""
    with torch.no_grad():
        for index in range(LEVELS):
            level = head.level(index)
            for layer in (level.fc_q, level.fc_k):
                nn.init.eye_(layer.weight)
