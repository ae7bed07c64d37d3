"""The prompt encoder of Label Anything: prompts and support images to one prototype a class.

Source: De Marinis et al. 2024 and its code, whose names of modules these are; much of it comes from Segment Anything
(Kirillov et al. 2023). Letters: as in `prompts.py`; D the width, E the side of the grid of features, n tokens of a pair of
image and class, R rows of the token pool.

official: three things that released weights were trained with. Padding counts as keys of every attention; with points
and no boxes each pair gets one more point, a negative one in the corner; the flags of boxes fall on the wrong corners where
there are several. Without it masks are masks, the point is an empty slot, and a box's flag holds for both its corners.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from likewise.layers.two_way import ChannelNorm, Mixer, TwoWayTransformer
from likewise.methods.label_anything.config import HeadConfig
from likewise.methods.label_anything.prompts import Prompts

_NEGATIVE, _POSITIVE, _TOP_LEFT, _BOTTOM_RIGHT = range(4)


class FourierPlaces(nn.Module):
    """Positions by random Fourier features of fixed frequencies."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, width // 2))

    def forward(self, places: Tensor) -> Tensor:
        """Places (..., 2), (x, y) in 0..1 -> (..., D)."""
        turned = 2 * math.pi * ((2 * places - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([turned.sin(), turned.cos()], dim=-1)

    def grid(self, side: int) -> Tensor:
        """Of the cell centres of a square grid, row by row: (side * side, D)."""
        centres = (torch.arange(side, device=self.positional_encoding_gaussian_matrix.device) + 0.5) / side
        rows, columns = torch.meshgrid(centres, centres, indexing="ij")
        return self(torch.stack([columns, rows], dim=-1)).flatten(0, 1)


class TokenPool(nn.Module):
    """Learned vectors, one of which marks everything of a class; row 0 the background."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(0.02 * torch.randn(1, 1, rows, width))

    def forward(self, rows: Tensor) -> Tensor:
        """The vectors (C, D) of rows (C,)."""
        return self.pos_embedding[0, 0, rows]


@dataclass(frozen=True)
class Encoded:
    """What the prompts of a support came to.

    examples: (B, M, C, D), each image's vector of each class behind the mixers; prototypes: (B, C, D); some: (B, M, C) bool,
    where there is a prompt.
    """

    examples: Tensor
    prototypes: Tensor
    some: Tensor


class PromptEncoder(nn.Module):
    """See the top of the file."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        width, inner = config.width, config.class_width or config.width
        self.config = config
        self.pe_layer = FourierPlaces(width)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(4))
        self.not_a_point_embed, self.no_mask_embed = nn.Embedding(1, width), nn.Embedding(1, width)
        self.not_a_mask_embed, self.no_sparse_embedding = nn.Embedding(1, width), nn.Embedding(1, width)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, 2), ChannelNorm(4), nn.GELU(), nn.Conv2d(4, 16, 2, 2), ChannelNorm(16), nn.GELU(), nn.Conv2d(16, width, 1)
        )
        self.sparse_embedding_attention = Mixer(width, config.heads, config.hidden)
        self.transformer = TwoWayTransformer(width, config.heads, config.hidden)
        self.class_encoder = TokenPool(config.pool, width) if config.pool else None
        if config.class_width:
            self.class_projector_in, self.class_projector_out = nn.Linear(width, inner), nn.Linear(inner, width)
        for name in config.mixers:
            self.add_module(name, Mixer(inner, config.heads, config.hidden, downsample=1 if config.class_width else 2))

    def forward(self, features: Tensor, prompts: Prompts, *, rows: Tensor | None = None, official: bool = True, chunk: int = 8, every: bool = False) -> Encoded:
        """Features (B, M, D, E, E) of the support images and their prompts.

        rows: (C,) of the token pool, by default 0 to C - 1; chunk: pairs of image and class that go through the
        two-way transformer at once: memory and speed alone. Pairs without a prompt are left out where that changes no
        prototype, unless every one is asked for: as published with mixers none is. Raises ValueError where there are no prompts,
        or more classes than the token pool has rows.
        """
        prompts = prompts.given()
        some = prompts.some().to(features.device)
        needed = torch.ones_like(some) if every or (official and self.config.mixers) else some
        tokens = self.attended(self.tokens(prompts, official=official))
        pooled = features.new_zeros(*some.shape, self.config.width)
        for places, image in self.fused(features, tokens, prompts, needed, rows, chunk):
            pooled.view(-1, self.config.width)[places] = image.mean(dim=1)
        examples = self.mixed(pooled, None if official else some)
        share = some.to(examples.dtype)[..., None]
        return Encoded(examples, (examples * share).sum(dim=1) / share.sum(dim=1).clamp_min(1), some)

    def tokens(self, prompts: Prompts, *, official: bool) -> Tensor:
        """Tokens (B, M, C, n, D) of points and boxes, empty slots too; one that says so where there are neither."""
        parts = []
        if prompts.points is not None and prompts.point_flags is not None:
            parts.append(self._points(prompts.points, prompts.point_flags, extra=prompts.boxes is None, official=official))
        if prompts.boxes is not None and prompts.box_flags is not None:
            parts.append(self._boxes(prompts.boxes, prompts.box_flags, official=official))
        return torch.cat(parts, dim=3) if parts else self.no_sparse_embedding.weight.expand(*prompts.shape, 1, -1)

    def attended(self, tokens: Tensor) -> Tensor:
        """Tokens (B, M, C, n, D) after those of one image have looked at each other, those of all classes together, empty slots too."""
        batch, images, classes, count, width = tokens.shape
        found: Tensor = self.sparse_embedding_attention(tokens.reshape(batch * images, classes * count, width))
        return found.reshape(tokens.shape)

    def dense(self, masks: Tensor | None, flags: Tensor | None, side: int) -> Tensor:
        """Maps (X, D, h/4, w/4) of the masks (X, h, w) of X pairs with flags (X,); without masks (X = 1) that of none, `side` square."""
        if masks is None or flags is None:
            return self.no_mask_embed.weight[:, :, None, None].expand(1, -1, side, side)
        maps = self.mask_downscaling(masks[:, None].to(self.no_mask_embed.weight.dtype))
        return torch.where(flags.bool()[:, None, None, None], maps, self.not_a_mask_embed.weight[:, :, None, None])

    def fused(
        self, features: Tensor, tokens: Tensor, prompts: Prompts, needed: Tensor, rows: Tensor | None = None, chunk: int = 8
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Features (X, E*E, D) that have seen the prompts, of X needed pairs, and their places among all (X,), `chunk` pairs at a time."""
        classes = needed.shape[2]
        side, places = features.shape[-1], self.pe_layer.grid(features.shape[-1])[None]
        marks = self._marks(classes, rows)
        flat = torch.nonzero(needed.flatten()).flatten()
        for own in torch.split(flat, chunk):
            picture, number = own // classes, own % classes
            masks, flags = (None if part is None else part.flatten(0, 2)[own] for part in (prompts.masks, prompts.mask_flags))
            maps = self.dense(masks, flags, side)
            maps = maps if maps.shape[-1] == side else interpolate(maps, (side, side), mode="bilinear", align_corners=False)
            source = features.flatten(0, 1)[picture] + maps
            given = tokens.flatten(0, 2)[own]
            if marks is not None:
                source, given = source + marks[number][:, :, None, None], given + marks[number][:, None]
            yield own, self.transformer.image(source.flatten(2).transpose(1, 2), places, given)

    def mixed(self, pooled: Tensor, some: Tensor | None) -> Tensor:
        """Vectors (B, M, C, D) of images and classes after the mixers; some: (B, M, C) bool, those that count as keys, None for all."""
        batch, images, classes, _ = pooled.shape
        x = self.class_projector_in(pooled) if self.config.class_width else pooled
        width = x.shape[-1]
        if "class_attention" in self.config.mixers:
            mask = None if some is None else some.reshape(-1, classes)
            x = self.get_submodule("class_attention")(x.reshape(-1, classes, width), mask).reshape(batch, images, classes, width)
        if "example_attention" in self.config.mixers:
            mask = None if some is None else some.transpose(1, 2).reshape(-1, images)
            turned = self.get_submodule("example_attention")(x.transpose(1, 2).reshape(-1, images, width), mask)
            x = turned.reshape(batch, classes, images, width).transpose(1, 2)
        if "class_example_attention" in self.config.mixers:
            mask = None if some is None else some.flatten(1)
            x = self.get_submodule("class_example_attention")(x.flatten(1, 2), mask).reshape(batch, images, classes, width)
        return self.class_projector_out(x) if self.config.class_width else x

    def _marks(self, classes: int, rows: Tensor | None) -> Tensor | None:
        if self.class_encoder is None:
            return None
        if classes > self.config.pool:
            raise ValueError(f"{classes - 1} classes, the token pool has rows for {self.config.pool - 1}")
        found: Tensor = self.class_encoder(torch.arange(classes) if rows is None else rows)
        return found

    def _placed(self, points: Tensor) -> Tensor:
        return self.pe_layer((points + 0.5) / self.config.side)

    def _points(self, points: Tensor, flags: Tensor, *, extra: bool, official: bool) -> Tensor:
        vectors = self._placed(points)
        if extra:  # its place is the very corner, without half a pixel
            corner = self.pe_layer(points.new_zeros(2)).expand(*vectors.shape[:3], 1, -1)
            vectors, flags = torch.cat([vectors, corner], dim=3), torch.cat([flags, flags.new_full((*flags.shape[:3], 1), -1 if official else 0)], dim=3)
        vectors = torch.where((flags == 0)[..., None], self.not_a_point_embed.weight, vectors)
        for value, place in ((-1, _NEGATIVE), (1, _POSITIVE)):
            vectors = vectors + (flags == value)[..., None] * self._corner(place)
        return vectors

    def _boxes(self, boxes: Tensor, flags: Tensor, *, official: bool) -> Tensor:
        corners = self._placed(torch.unflatten(boxes, -1, (2, 2)))  # (B, M, C, X, 2, D)
        corners = corners + torch.cat([self._corner(_TOP_LEFT), self._corner(_BOTTOM_RIGHT)])
        vectors = corners.flatten(3, 4)
        both = torch.cat([flags, flags], dim=3) if official else flags.repeat_interleave(2, dim=3)
        return torch.where((both == 0)[..., None], self.not_a_point_embed.weight, vectors)

    def _corner(self, place: int) -> Tensor:
        layer = self.point_embeddings[place]
        assert isinstance(layer, nn.Embedding)
        return layer.weight
