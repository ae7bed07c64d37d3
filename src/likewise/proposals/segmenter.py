"""The potential-objects segmenter: images to soft masks of whatever might be a thing, without classes.

Mask2Former (Cheng et al. 2022) without its classifier, as MM-Former's first stage has it: a pixel decoder with deformable
attention joins feature maps of four sizes; queries attend to its three coarser ones inside of their own masks; each query's product
with the finest is a mask. The blocks are those of `transformers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerPixelDecoder, Mask2FormerTransformerModule


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig:
    """The shape of a segmenter; the defaults are the published ones.

    channels: of the four feature maps, the finest first; same_size: whether the last three are of one size; width: of tokens; heads,
    layers, hidden: of the encoder in the pixel decoder and of the decoder.
    """

    channels: tuple[int, int, int, int] = (256, 512, 1024, 2048)
    same_size: bool = False
    width: int = 256
    heads: int = 8
    queries: int = 100
    encoder_layers: int = 6
    encoder_hidden: int = 1024
    decoder_layers: int = 9
    decoder_hidden: int = 2048


class Segmented(NamedTuple):
    """logits: (B, N, h, w) of the masks; earlier: those behind each layer before the last, () where they were not asked for; queries: (B, N, D)."""

    logits: Tensor
    earlier: tuple[Tensor, ...]
    queries: Tensor


class Segmenter(nn.Module):
    """See the top of the file."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.config = config
        told = Mask2FormerConfig(
            feature_size=config.width,
            mask_feature_size=config.width,
            hidden_dim=config.width,
            encoder_layers=config.encoder_layers,
            encoder_feedforward_dim=config.encoder_hidden,
            num_attention_heads=config.heads,
            decoder_layers=config.decoder_layers + 1,
            dim_feedforward=config.decoder_hidden,
            num_queries=config.queries,
            dropout=0.0,
            feature_strides=[4, 8, 8, 8] if config.same_size else [4, 8, 16, 32],
        )
        self.pixels = Mask2FormerPixelDecoder(told, list(config.channels))
        self.attention = Mask2FormerTransformerModule(config.width, told)
        nn.init.normal_(self.pixels.level_embed)  # made of memory that nobody wrote

    def forward(self, maps: Sequence[Tensor], *, earlier: bool = False) -> Segmented:
        """Masks of images, of four maps (B, C, h, w) from the finest to the coarsest.

        earlier: also the masks behind each layer before the last, for their losses.
        """
        joined = self.pixels(list(maps))
        return self.decoded(joined.multi_scale_features, joined.mask_features, earlier=earlier)

    def decoded(self, scales: Sequence[Tensor], finest: Tensor, *, earlier: bool = False) -> Segmented:
        """Masks on the finest map (B, D, h, w), of maps (B, D, h, w) that queries attend to, the coarsest first."""
        module, decoder = self.attention, self.attention.decoder
        positions = [module.position_embedder(scale.shape, scale.device, scale.dtype, None).flatten(2).permute(2, 0, 1) for scale in scales]
        keys = [(scale.flatten(2) + level[:, None]).permute(2, 0, 1) for scale, level in zip(scales, module.level_embed.weight, strict=True)]
        places, queries = (part.weight[:, None].expand(-1, len(finest), -1) for part in (module.queries_embedder, module.queries_features))
        small = [interpolate(finest, size=scale.shape[-2:], mode="bilinear", align_corners=False) for scale in ([] if earlier else scales)]
        masks: list[Tensor] = []
        for index, layer in enumerate(decoder.layers):
            level = index % len(scales)
            embedded = self._embedded(queries)
            if earlier:
                masks.append(_product(embedded, finest))
                logits = interpolate(masks[-1], size=scales[level].shape[-2:], mode="bilinear", align_corners=False)
            else:  # resizing is linear: the features are resized once for each size in place of the masks behind each layer
                logits = _product(embedded, small[level])
            queries = layer(queries, level, None, positions, places, keys, encoder_attention_mask=self._forbidden(logits))[0]
        found = decoder.layernorm(queries).transpose(0, 1)
        return Segmented(_product(decoder.mask_predictor.mask_embedder(found), finest), tuple(masks), found)

    def _embedded(self, queries: Tensor) -> Tensor:
        """What the finest map is multiplied with, (B, N, D), of queries (N, B, D)."""
        decoder = self.attention.decoder
        return decoder.mask_predictor.mask_embedder(decoder.layernorm(queries).transpose(0, 1))

    def _forbidden(self, logits: Tensor) -> Tensor:
        """Where no query may attend, (B * heads, N, P) bool: outside of its own mask, unless that is everywhere."""
        forbidden = logits.detach().sigmoid().flatten(2) < 0.5
        forbidden &= ~forbidden.all(dim=-1, keepdim=True)
        return forbidden[:, None].expand(-1, self.config.heads, -1, -1).flatten(0, 1)


def resized_maps(maps: Sequence[Tensor], *, same_size: bool) -> list[Tensor]:
    """The four maps as the segmenter takes them: the last two at half and a quarter of the third's size, unless all are of one size."""
    if same_size or maps[2].shape[-2:] != maps[1].shape[-2:]:
        return list(maps)
    height, width = maps[1].shape[-2:]
    return [
        *maps[:2],
        *(interpolate(x, size=(height // part, width // part), mode="bilinear", align_corners=True) for x, part in zip(maps[2:], (2, 4), strict=True)),
    ]


def _product(embedded: Tensor, finest: Tensor) -> Tensor:
    """Logits (B, N, h, w) of (B, N, D) and (B, D, h, w)."""
    return torch.einsum("bqc, bchw -> bqhw", embedded, finest)
