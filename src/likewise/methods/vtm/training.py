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
from likewise.errors import InputError, UsageError, close_match
from likewise.methods.base import MethodSettings
from likewise.methods.trainable import DenseTrainable, DenseTrainingEpisode
from likewise.methods.vtm.checkpoint import head_of, without_queries
from likewise.methods.vtm.method import VisualTokenMatching
from likewise.methods.vtm.model import LEVELS, Head, HeadConfig, SupportMemory, as_label, level_blocks, untrained_head
from likewise.methods.vtm.objective import hybrid_loss
from likewise.methods.vtm.settings import VtmSettings
from likewise.methods.vtm.tuning import fitted

Grid = tuple[int, int]
QUERIES = ("random", "alike", "kept")


@dataclass(frozen=True, kw_only=True)
class VtmTrainingSettings(MethodSettings):
    """How VTM is trained.

    side: of the square pictures, a multiple of the patch; dropout: on the attention of the matching, published; width, depth,
    heads: of the label encoder; matching_heads; reassembled, fused: of the decoder.
    queries: "random", published; "alike": queries and keys begin as the image tokens themselves, ours: tokens of a backbone that
    was trained already say what is alike, and training gets on in half the steps; "kept": they stay so, weighted by what the
    norm before them learns, and a checkpoint is smaller by them.
    window: of each query a random square of so many tokens is asked about, 0: all.
    """

    side: int = 224
    dropout: float = 0.1
    width: int = 192
    depth: int = 4
    heads: int = 3
    matching_heads: int = 4
    reassembled: tuple[int, ...] = (24, 48, 96, 192)
    fused: int = 48
    queries: str = "alike"
    window: int = 0


class VtmTraining:
    """A head under training. See `DenseTrainable`."""

    def __init__(self, head: Head, settings: VtmTrainingSettings, depth: int) -> None:
        """depth: of the backbone."""
        self.head, self.settings, self.depth = head.requires_grad_(True).train(), settings, depth
        if settings.queries == "kept":
            for layer in _query_layers(head):
                layer.requires_grad_(False)

    def wants(self) -> tuple[FeatureSpec, ...]:
        """Tokens of four levels of square pictures."""
        return (FeatureSpec(layers=level_blocks(self.depth), side=self.settings.side, squash=True),)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The head's that are trained."""
        return (parameter for parameter in self.head.parameters() if parameter.requires_grad)

    def to(self, device: torch.device) -> None:
        """Move the head."""
        self.head.to(device)

    def checkpoint(self) -> dict[str, Tensor]:
        """The head's tensors that are trained."""
        return without_queries(self.head.state_dict()) if self.settings.queries == "kept" else dict(self.head.state_dict())

    def method(self) -> VisualTokenMatching:
        """VTM with copies of the tensors as they are now; its image encoder is the backbone."""
        config = self.head.config
        settings = VtmSettings(label_heads=config.heads, matching_heads=config.matching_heads)
        return VisualTokenMatching(settings, {name: tensor.detach().cpu().clone() for name, tensor in self.checkpoint().items()})

    def episode_loss(self, episode: DenseTrainingEpisode, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of chances, absolute error of anything else. The matching's dropout draws from torch's own generator."""
        tokens, values, known, grid = _levels(episode.query), episode.query_values, episode.query_known, episode.query[0].grid
        if window := self.settings.window:
            tokens, values, known = cut(tokens, values, known, grid, window, generator)
            grid = (window, window)
        logits = self._answered(tokens, self._memory(episode), grid, values, self.settings.dropout)
        kind = torch.tensor(episode.categorical, device=values.device)[:, None]
        return {"loss": hybrid_loss(logits, values, known, kind)}

    def answers(self, episode: DenseTrainingEpisode) -> Tensor:
        """Values (C, Q, H, W) of the queries."""
        with torch.no_grad():
            return self._answered(_levels(episode.query), self._memory(episode), episode.query[0].grid, episode.query_values, 0.0).sigmoid()

    def _memory(self, episode: DenseTrainingEpisode) -> SupportMemory:
        labels = as_label(episode.support_values, episode.support_known)
        return self.head.remember(_levels(episode.support), labels, [0] * len(labels))

    def _answered(self, tokens: list[Tensor], memory: SupportMemory, grid: Grid, values: Tensor, dropout: float) -> Tensor:
        """Logits (C, Q, H, W) of queries, at the size of their maps."""
        return fitted(self.head.logits(tokens, memory, grid, dropout=dropout).transpose(0, 1), values)


def cut(tokens: Sequence[Tensor], values: Tensor, known: Tensor, grid: Grid, window: int, generator: torch.Generator) -> tuple[list[Tensor], Tensor, Tensor]:
    """A random square of `window` tokens of each of Q pictures: tokens (1, Q, P, D) of each level on a grid, and maps (C, Q, H, W) of whole patches."""
    rows, columns = (torch.randint(size - window + 1, (values.shape[1],), generator=generator).tolist() for size in grid)

    def squares(planes: Tensor, cell: int) -> Tensor:
        """Of planes (*, Q, h, w, ...) with so many places a token."""
        side = window * cell
        places = zip(rows, columns, strict=True)
        return torch.stack([planes[:, q, r * cell : r * cell + side, c * cell : c * cell + side] for q, (r, c) in enumerate(places)], dim=1)

    patch = values.shape[-1] // grid[1]
    return [squares(torch.unflatten(level, 2, grid), 1).flatten(2, 3) for level in tokens], squares(values, patch), squares(known, patch)


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
    if not 0 <= settings.window <= settings.side // backbone.patch:
        raise UsageError(f"a picture has {settings.side // backbone.patch} tokens a side", where="method.window", remedy="Ask for so many at most, or for 0")
    if settings.queries not in QUERIES:
        raise UsageError(f"there is no {settings.queries!r}", where="method.queries", remedy=close_match(settings.queries, QUERIES))
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
    if settings.queries != "random":
        begin_alike(head)
    return VtmTraining(head, settings, backbone.depth)


def begin_alike(head: Head) -> None:
    """Make queries and keys of all levels the image tokens themselves, behind their norm."""
    for layer in _query_layers(head):
        nn.init.eye_(layer.weight)


def _query_layers(head: Head) -> list[nn.Linear]:
    return [layer for index in range(LEVELS) for layer in (head.level(index).fc_q, head.level(index).fc_k)]
