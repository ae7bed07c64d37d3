"""The networks of VTM and the form in which they answer: the support once, then queries.

Source: Kim et al. 2023, sections 3.1 to 3.3. A target of C channels is C tasks of one channel that share images; each has
biases of its own in the image encoder. Letters: E examples, B queries, C channels, G groups of channels with equal
biases, S support tokens of a level (E times h*w, image by image), Q query tokens, Z the width of label tokens.

The channels of a group share image tokens, queries, keys and attention; their values stand side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from likewise.backbones.biases import BiasSets, chosen, equal_rows
from likewise.backbones.vit import VisionTransformer, VitConfig
from likewise.methods.vtm.decoder import Decoder
from likewise.methods.vtm.matching import Matching
from likewise.methods.vtm.pooling import Pooling

Drop = Callable[[int, int], Tensor]  # depth, images -> factors (L, 2, X) on the branches of the image encoder
LEVELS = 4
STRANGE = 1  # level at which pictures are compared: in the middle of the depth, where likeness follows errors best; at the deepest it does not
INVALID = -1.0  # what unknown label pixels are for the label encoder
OFFICIAL_IMAGE = VitConfig(
    width=768, depth=12, heads=12, patch=16, grid=14, relative=True, final_norm=False, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
)  # BEiT-B/16, without the normalisation that it was trained with


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The shape of everything but the image encoder; defaults as published.

    image_width: of the image tokens; width, depth, heads, patch, grid: of the label encoder; matching_heads; reassembled,
    fused: widths of the decoder.
    """

    image_width: int = 768
    width: int = 768
    depth: int = 12
    heads: int = 12
    patch: int = 16
    grid: int = 14
    mlp_ratio: int = 4
    matching_heads: int = 4
    reassembled: tuple[int, int, int, int] = (96, 192, 384, 768)
    fused: int = 256

    @property
    def label(self) -> VitConfig:
        """The label encoder: a plain transformer on images of one channel, its final norm never used."""
        return VitConfig(
            width=self.width,
            depth=self.depth,
            heads=self.heads,
            patch=self.patch,
            grid=self.grid,
            layer_scale=False,
            mlp_ratio=self.mlp_ratio,
            position_rule="bilinear",
            channels=1,
            final_norm=False,
        )


def level_blocks(depth: int) -> tuple[int, ...]:
    """The blocks behind which tokens are taken, counted from 0. ValueError for fewer than four blocks.

    >>> level_blocks(12)
    (2, 5, 8, 11)
    """
    if depth < LEVELS:
        raise ValueError(f"four levels cannot be taken from {depth} blocks")
    return tuple(level * depth // LEVELS - 1 for level in range(1, LEVELS + 1))


class Head(nn.Module):
    """Label encoder, four matching layers and label decoder."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.label = VisionTransformer(config.label)
        self.matching = nn.ModuleList(Matching(config.image_width, config.width, config.matching_heads) for _ in range(LEVELS))
        self.decoder = Decoder(config.width, config.reassembled, config.fused)

    def label_tokens(self, labels: Tensor, chunk: int = 8) -> list[Tensor]:
        """Label tokens of four levels, (X, h*w, Z) each, of labels (X, H, W) in 0..1 with -1 where unknown."""
        parts = [self.label(part[:, None], level_blocks(self.config.depth)) for part in torch.split(labels, chunk)]
        return [torch.cat(level)[:, 1:] for level in zip(*parts, strict=True)]

    def decode(self, levels: Sequence[Tensor], grid: tuple[int, int], chunk: int = 4) -> Tensor:
        """Logits (X, 16h, 16w) of matched label tokens (X, h*w, Z) of four levels, `chunk` maps at a time."""
        maps = [torch.unflatten(level.transpose(1, 2), 2, grid) for level in levels]
        return torch.cat([self.decoder(part) for part in zip(*(torch.split(plane, chunk) for plane in maps), strict=True)])

    def level(self, index: int) -> Matching:
        """The matching layer of a level, counted from 0."""
        layer = self.matching[index]
        assert isinstance(layer, Matching)
        return layer

    def values(self, labels: Tensor, chunk: int = 8) -> tuple[Tensor, ...]:
        """Values (C, E, h*w, Z) of four levels, of labels (C, E, H, W) in 0..1, -1 where unknown."""
        seen = self.label_tokens(labels.flatten(0, 1), chunk)
        return tuple(torch.unflatten(self.level(index).values(level), 0, labels.shape[:2]) for index, level in enumerate(seen))

    def remember(
        self,
        tokens: Sequence[Tensor],
        labels: Tensor,
        group: Sequence[int],
        biases: BiasSets | None = None,
        *,
        chunk: int = 8,
        values: Sequence[Tensor] = (),
    ) -> SupportMemory:
        """Keys and values of a support: image tokens (G, E, h*w, D) of four levels, labels (C, E, H, W) in 0..1, -1 where unknown.

        group: of each channel; biases: those that the tokens were made under; values: of the labels, where they are known already.
        """
        keys = tuple(self.level(index).keys(level).flatten(1, 2) for index, level in enumerate(tokens))
        flat = tuple(level.flatten(1, 2) for level in values or self.values(labels, chunk))
        return SupportMemory(keys, flat, tuple(group), biases or {})

    def logits(self, tokens: Sequence[Tensor], memory: SupportMemory, grid: tuple[int, int], *, chunk: int = 4, dropout: float = 0.0) -> Tensor:
        """Logits (B, C, H', W') of queries with image tokens (G, B, Q, D) of four levels, at 16 times the grid; dropout: on the attention."""
        levels = self.read(tokens, memory, dropout)
        maps = self.decode([level.flatten(0, 1) for level in levels], grid, chunk)
        return torch.unflatten(maps, 0, (-1, len(memory.group)))

    def read(self, tokens: Sequence[Tensor], memory: SupportMemory, dropout: float = 0.0) -> list[Tensor]:
        """Label tokens (B, C, Q, Z) of four levels, of image tokens (G, B, Q, D)."""
        return [self._read(index, tokens[index], memory, dropout) for index in range(LEVELS)]

    def strangeness(self, tokens: Sequence[Tensor], memory: SupportMemory) -> Tensor:
        """How unlike all of the support the tokens of queries are, (B, Q) in 0..2: image tokens (G, B, Q, D) of four levels.

        1 less the largest cosine of their key with one of the support at the second level, the mean over groups.
        """
        layer, own, keys = self.level(STRANGE), tokens[STRANGE], memory.keys[STRANGE]
        found = [layer.likeness(one, other.float()) for one, other in zip(own, keys, strict=True)]
        return 1 - torch.stack(found).mean(dim=0)

    def _read(self, level: int, tokens: Tensor, memory: SupportMemory, dropout: float) -> Tensor:
        """Label tokens (B, C, Q, Z) of one level, of image tokens (G, B, Q, D)."""
        layer, keys, values = self.level(level), memory.keys[level], memory.values[level]
        found: list[Tensor] = [tokens] * len(memory.group)
        for own in range(len(keys)):
            members = [channel for channel, group in enumerate(memory.group) if group == own]
            read = layer(tokens[own], keys[own].float(), values[members].float(), dropout)
            for place, channel in enumerate(members):
                found[channel] = read[:, place]
        return torch.stack(found, dim=1)


@dataclass(frozen=True)
class SupportMemory:
    """All that a query needs of a support.

    keys: (G, S, D) for each level; values: (C, S, Z) for each level; group: of each channel; biases: (G, width) by name,
    {} for the image encoder's own.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    group: tuple[int, ...]
    biases: BiasSets = field(default_factory=dict)

    def stored(self, dtype: torch.dtype) -> SupportMemory:
        """The same with keys and values in another precision, biases as they are."""
        return replace(self, keys=tuple(k.to(dtype) for k in self.keys), values=tuple(v.to(dtype) for v in self.values))

    def without(self, rows: Tensor) -> SupportMemory:
        """The same without some support tokens, (S,) bool."""
        return replace(self, keys=tuple(k[:, ~rows] for k in self.keys), values=tuple(v[:, ~rows] for v in self.values))

    def pooled(self, pooling: Pooling, grid: tuple[int, int]) -> SupportMemory:
        """The same with the rows of examples of a grid (h, w) averaged."""
        return replace(self, keys=tuple(pooling(k, grid) for k in self.keys), values=tuple(pooling(v, grid) for v in self.values))


@dataclass(frozen=True)
class Encoded:
    """A support in full: image tokens (G, E, h*w, D) of four levels, and keys and values, none averaged."""

    tokens: list[Tensor]
    memory: SupportMemory


@dataclass(frozen=True)
class Vtm:
    """An image encoder and a head; the image encoder may be any transformer backbone. pooling: of what is remembered of a support."""

    image: VisionTransformer
    head: Head
    pooling: Pooling = field(default_factory=Pooling)
    positions: dict[tuple[int, int], Tensor] = field(default_factory=dict, repr=False, compare=False)  # of a frozen image encoder, by grid

    def image_tokens(self, images: Tensor, biases: BiasSets | None = None, kept: Tensor | None = None) -> list[Tensor]:
        """Image tokens (X, h*w, D) of four levels, of images (X, 3, H, W) in 0..1.

        biases: a row for each image, or one for all; kept: see `VisionTransformer.forward`.
        """
        config = self.image.config
        mean, std = (torch.tensor(value, device=images.device)[:, None, None] for value in (config.mean, config.std))
        outputs = self.image((images - mean) / std, level_blocks(config.depth), self._position(images), biases=biases or None, kept=kept)
        return [tokens[:, config.prefix :] for tokens in outputs]

    def group_tokens(self, images: Tensor, biases: BiasSets, chunk: int = 8, drop: Drop | None = None) -> list[Tensor]:
        """Image tokens (G, X, h*w, D) of four levels under every row of biases, at most `chunk` pairs of image and row at once."""
        groups, count = next((len(tensor) for tensor in biases.values()), 1), len(images)
        parts = []
        for places in torch.split(torch.arange(groups * count), chunk):
            own = places // count
            rows = chosen(biases, own[:1] if bool((own == own[0]).all()) else own) if biases else None
            kept = None if drop is None else drop(self.image.config.depth, len(places))
            parts.append(self.image_tokens(images[places % count], rows, kept))
        return [torch.unflatten(torch.cat(level), 0, (groups, count)) for level in zip(*parts, strict=True)]

    def grid(self, images: Tensor) -> tuple[int, int]:
        """The grid of tokens of images (..., H, W)."""
        patch = self.image.config.patch
        return images.shape[-2] // patch, images.shape[-1] // patch

    def remember(self, images: Tensor, labels: Tensor, biases: BiasSets | None = None, **how: Any) -> SupportMemory:
        """What queries need of a support, averaged as `pooling` says; arguments as those of `encoded`."""
        return self.encoded(images, labels, biases, **how).memory.pooled(self.pooling, self.grid(images))

    def encoded(
        self,
        images: Tensor,
        labels: Tensor,
        biases: BiasSets | None = None,
        *,
        chunk: int = 8,
        share: bool = True,
        drop: Drop | None = None,
        values: Sequence[Tensor] = (),
    ) -> Encoded:
        """Tokens, keys and values of a support: images (E, 3, H, W) in 0..1, labels (C, E, H, W) in 0..1, -1 where unknown.

        biases: (C, width) by name, or none for the encoder's own. Sides are multiples of the patch. chunk: images that go
        through a network at once; share: False keeps channels with equal biases apart, so that each gets gradients of its
        own; drop: of branches, in training; values: of the labels by `Head.values`, where they are known already.
        """
        channels = len(labels)
        first = [0] * channels if not biases else equal_rows(biases) if share else list(range(channels))
        rows = list(dict.fromkeys(first))
        own = chosen(biases, rows) if biases else {}
        tokens = self.group_tokens(images, own, chunk, drop)
        return Encoded(tokens, self.head.remember(tokens, labels, [rows.index(index) for index in first], own, chunk=chunk, values=values))

    def matched(self, images: Tensor, memory: SupportMemory, *, dropout: float = 0.0, drop: Drop | None = None, chunk: int = 8) -> list[Tensor]:
        """Label tokens (B, C, h*w, Z) of four levels, of queries (B, 3, H, W): one pass a group, then attention to the support."""
        return self.head.read(self.group_tokens(images, memory.biases, chunk, drop), memory, dropout)

    def _position(self, images: Tensor) -> Tensor:
        """Positions for the grid of images; of an image encoder that is not trained they are made once."""
        grid = self.grid(images)
        if any(parameter.requires_grad for parameter in self.image.parameters()):
            return self.image.position(grid)
        if grid not in self.positions:
            with torch.inference_mode(False), torch.no_grad():  # to be used in training too
                self.positions[grid] = self.image.position(grid)
        return self.positions[grid]

    def logits(self, images: Tensor, memory: SupportMemory, *, batch: int = 1, chunk: int = 4, dropout: float = 0.0, drop: Drop | None = None) -> Tensor:
        """Logits (B, C, H', W') of queries (B, 3, H, W), at 16 times the grid.

        batch: queries at once; chunk: maps that the decoder takes at once. Both set memory and speed alone. dropout: on
        the attention, drop: of branches of the image encoder, in training.
        """
        found = []
        for part in torch.split(images, batch):
            tokens = self.group_tokens(part, memory.biases, drop=drop)
            found.append(self.head.logits(tokens, memory, self.grid(part), chunk=chunk, dropout=dropout))
        return torch.cat(found)

    def answers(self, images: Tensor, memory: SupportMemory, *, batch: int = 1, chunk: int = 4) -> tuple[Tensor, Tensor]:
        """`logits` of queries, and how strange their tokens are to the support, the mean of each: (B, C, H', W'), (B,)."""
        found = []
        for part in torch.split(images, batch):
            tokens = self.group_tokens(part, memory.biases)
            found.append((self.head.logits(tokens, memory, self.grid(part), chunk=chunk), self.head.strangeness(tokens, memory).mean(dim=1)))
        logits, strange = zip(*found, strict=True)
        return torch.cat(logits), torch.cat(strange)


def as_label(values: Tensor, known: Tensor) -> Tensor:
    """What the label encoder sees: values in 0..1 where known (bool or 0/1), -1 elsewhere; same shapes."""
    return torch.where(known.bool(), values, torch.full_like(values, INVALID))


def untrained_head(config: HeadConfig, seed: int = 0) -> Head:
    """A head with the initial numbers of a seed, as published; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = Head(config)
        with torch.no_grad():
            for name, tensor in head.label.named_parameters():
                if name.endswith(("pos_embed", "cls_token")) or (tensor.ndim == 2 and name.endswith("weight")):
                    nn.init.trunc_normal_(tensor, std=0.02)
                elif name.endswith("bias"):
                    tensor.zero_()
    return head.eval()
