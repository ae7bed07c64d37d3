"""The vision transformer of DINO, DINOv2 (with and without registers), DINOv3, MAE, BEiT, Segment Anything and class-supervised training.

Tensors have their official names.

Sources: Dosovitskiy et al. 2021 (ViT), Touvron et al. 2021 (DeiT), Caron et al. 2021 (DINO), He et al. 2022 (MAE),
Oquab et al. 2023 (DINOv2), Darcet et al. 2024 (registers), Simeoni et al. 2025 (DINOv3), Bao et al. 2022 (BEiT),
Kirillov et al. 2023 (SAM).

BEiT differs in four things: positions are relative, a bias of the attention looked up in a table of each block; there is
no final norm; keys have no bias (here it is zero: the same number added to all keys of a query changes nothing); its
factors on the residual branches are called gamma_1 and gamma_2 (here `ls1.gamma`, `ls2.gamma`). SAM has no class token and
no final norm, and most of its blocks attend within windows (`windows.py`). DINOv3 turns queries and keys by where their patches
lie (`rotary.py`) and stores no positions; its keys have no bias either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from likewise.backbones.attention import Attention
from likewise.backbones.biases import OWN, BiasSets, BlockBiases, normed, of_block, projected
from likewise.backbones.position import PositionRule, relative_count, relative_index, resize_position_embedding, resize_relative_table
from likewise.backbones.rotary import RotaryAttention, rotary_position
from likewise.backbones.windows import WindowAttention

Facet = Literal["q", "k", "v"]
FACETS: tuple[Facet, ...] = ("q", "k", "v")
Colour = tuple[float, float, float]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class VitConfig:
    """The shape of a vision transformer.

    grid: the (square) grid of its stored position embeddings, or of the pictures it was trained on; registers: register tokens behind the class token;
    layer_scale: learned factors on the residual branches; position_rule: how positions are resized;
    channels: of its images; relative: BEiT's positions; final_norm: whether its weights have a norm behind the last block;
    class_token: whether there is one; window: SAM's attention, within windows of so many patches a side but in the blocks of
    `whole`, 0: attention of all networks before it; rotary: DINOv3's positions, the base of their frequencies, 0: others;
    mean, std: of the pixels (0..1) that it was trained on, which engines bring to 0 and 1.
    """

    width: int
    depth: int
    heads: int
    patch: int
    grid: int
    registers: int = 0
    layer_scale: bool = True
    mlp_ratio: int = 4
    norm_eps: float = 1e-6
    position_rule: PositionRule = "antialias"
    channels: int = 3
    relative: bool = False
    final_norm: bool = True
    class_token: bool = True
    window: int = 0
    whole: tuple[int, ...] = ()
    rotary: float = 0.0
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD

    @property
    def prefix(self) -> int:
        """Tokens before the patch tokens: class and registers."""
        return int(self.class_token) + self.registers

    @property
    def absolute(self) -> bool:
        """Whether positions are added to tokens, rather than met in the attention."""
        return not (self.relative or self.rotary)


class LayerScale(nn.Module):
    """A learned factor a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return x * self.gamma


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor, first: Tensor | None = None, second: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D); first (B, 4D), second (B, D) stand for the biases."""
        return projected(self.fc2, nn.functional.gelu(projected(self.fc1, x, first)), second)


class Block(nn.Module):
    """A transformer block, norms first; index: its place among all."""

    def __init__(self, config: VitConfig, index: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.attn: Attention
        if config.rotary:
            self.attn = RotaryAttention(config.width, config.heads)
        elif config.window:
            self.attn = WindowAttention(config.width, config.heads, 0 if index in config.whole else config.window, config.grid)
        else:
            self.attn = Attention(config.width, config.heads, relative_count(config.grid) if config.relative else 0)
        self.ls1 = LayerScale(config.width) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.mlp = Mlp(config.width, config.mlp_ratio * config.width)
        self.ls2 = LayerScale(config.width) if config.layer_scale else nn.Identity()

    def forward(
        self, x: Tensor, position: Tensor | None = None, biases: BlockBiases = OWN, kept: Tensor | None = None, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """(B, T, D) -> (B, T, D); position: for the attention; biases: of each sample, not the block's; kept: see `VisionTransformer`; grid: of patches."""
        first = self.ls1(self.attn(normed(self.norm1, x, biases.norm1), position, biases.proj, grid))
        x = x + (first if kept is None else first * kept[0, :, None, None])
        second = self.ls2(self.mlp(normed(self.norm2, x, biases.norm2), biases.fc1, biases.fc2))
        return x + (second if kept is None else second * kept[1, :, None, None])


class PatchEmbed(nn.Module):
    """Patches to tokens by one convolution."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(config.channels, config.width, config.patch, config.patch)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, P, D), row-major."""
        return self.proj(images).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """A frozen vision transformer; `forward` gives the tokens of chosen layers."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        if config.class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        if config.absolute:
            self.pos_embed = nn.Parameter(torch.zeros(1, int(config.class_token) + config.grid**2, config.width))
        if config.registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, config.registers, config.width))
        self.patch_embed = PatchEmbed(config)
        self.blocks = nn.ModuleList(Block(config, index) for index in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps) if config.final_norm else nn.Identity()

    def position(self, grid: tuple[int, int]) -> Tensor:
        """What `forward` needs to know of a grid of patches.

        Position embeddings (1, 1 + h*w, D), h*w without a class token; relative ones (L, A, T, T); or rotary ones (2, T, D/A).
        """
        if self.config.rotary:
            found = rotary_position(grid, self.config.width // self.config.heads, self.config.rotary, self.config.prefix)
            return found.to(self.cls_token)
        stored = (self.config.grid, self.config.grid)
        if self.config.relative:
            index = relative_index(grid).to(self.cls_token.device)
            tables = (resize_relative_table(cast(Block, block).attn.relative_position_bias_table, stored, grid) for block in self.blocks)
            return torch.stack([table[index].permute(2, 0, 1) for table in tables])
        return resize_position_embedding(self.pos_embed, stored, grid, self.config.position_rule, int(self.config.class_token))

    def embed(self, images: Tensor, position: Tensor) -> Tensor:
        """Tokens before the first block: class, registers, patches. (B, C, H, W) -> (B, T, D)."""
        patches = self.patch_embed(images)
        if self.config.absolute:
            patches = patches + position[:, int(self.config.class_token) :]
        if not self.config.class_token:
            return patches
        class_token = self.cls_token + position[:, :1] if self.config.absolute else self.cls_token
        prefix = [class_token, self.register_tokens] if self.config.registers else [class_token]
        return torch.cat([*(token.expand(images.shape[0], -1, -1) for token in prefix), patches], dim=1)

    def forward(
        self,
        images: Tensor,
        layers: Sequence[int],
        position: Tensor | None = None,
        *,
        facets: Sequence[Facet] = (),
        biases: BiasSets | None = None,
        kept: Tensor | None = None,
        final_norm: bool = True,
    ) -> list[Tensor]:
        """Outputs of the asked blocks after the final norm, (B, T, D) each, in the order asked; without any, of all blocks.

        images (B, C, H, W), normalised, sides multiples of the patch; layers count from 0, negative from the end.
        biases: a row for each image, in place of the network's (`biases.chosen`); kept: factors (L, 2, B) on both residual
        branches of each block, for training with whole branches dropped; final_norm: False leaves it out.
        facets: behind them queries, keys or values (B, A, T, D/A) of the last block, not scaled, rotary ones turned; the block's
        attention is `attention_map` of the first two, but for relative positions.
        """
        grid = (images.shape[2] // self.config.patch, images.shape[3] // self.config.patch)
        position = self.position(grid) if position is None else position
        wanted = [layer % self.config.depth for layer in layers] or list(range(self.config.depth))
        x, outputs, taps = self.embed(images, position), {}, []
        last = self.config.depth - 1 if facets else max(wanted)
        for index in range(last + 1):
            block, own = cast(Block, self.blocks[index]), of_block(biases, index)
            place = None if self.config.absolute else position[index] if self.config.relative else position
            if facets and index == self.config.depth - 1:
                split = block.attn.split(normed(block.norm1, x, own.norm1), place)
                taps = [split[FACETS.index(facet)] for facet in facets]
            x = block(x, place, own, None if kept is None else kept[index], grid)
            if index in wanted:
                outputs[index] = self.norm(x) if final_norm else x
        return [outputs[index] for index in wanted] + taps


def attention_map(q: Tensor, k: Tensor) -> Tensor:
    """How much each token attends to each: queries and keys (B, A, T, D/A) of a block -> (B, A, T, T), rows summing to 1."""
    return torch.softmax(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5, dim=-1)
