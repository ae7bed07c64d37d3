"""Tensors of a segmenter: the published names (of Mask2Former's own code) as those of `transformers`, and its sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from likewise.errors import WeightsError
from likewise.proposals.segmenter import SegmenterConfig

_PIXELS: tuple[tuple[str, Any], ...] = (
    (r"^input_proj\.", "input_projections."),
    (r"^transformer\.level_embed$", "level_embed"),
    (r"^transformer\.encoder\.", "encoder."),
    (r"^(encoder\.layers\.\d+)\.norm1\.", r"\1.self_attn_layer_norm."),
    (r"^(encoder\.layers\.\d+)\.norm2\.", r"\1.final_layer_norm."),
    (r"^(encoder\.layers\.\d+)\.linear([12])\.", r"\1.fc\2."),
    (r"^mask_features\.", "mask_projection."),
    (r"^(adapter|layer)_(\d)\.norm\.", r"\1_\2.1."),
    (r"^(adapter|layer)_(\d)\.weight$", r"\1_\2.0.weight"),
)
_ATTENTION: tuple[tuple[str, Any], ...] = (
    (r"^transformer_cross_attention_layers\.(\d+)\.multihead_attn\.", r"decoder.layers.\1.cross_attn."),
    (r"^transformer_cross_attention_layers\.(\d+)\.norm\.", r"decoder.layers.\1.cross_attn_layer_norm."),
    (r"^transformer_self_attention_layers\.(\d+)\.self_attn\.", r"decoder.layers.\1.self_attn."),
    (r"^transformer_self_attention_layers\.(\d+)\.norm\.", r"decoder.layers.\1.self_attn_layer_norm."),
    (r"^transformer_ffn_layers\.(\d+)\.linear([12])\.", r"decoder.layers.\1.fc\2."),
    (r"^transformer_ffn_layers\.(\d+)\.norm\.", r"decoder.layers.\1.final_layer_norm."),
    (r"^decoder_norm\.", "decoder.layernorm."),
    (r"^query_feat\.", "queries_features."),
    (r"^query_embed\.", "queries_embedder."),
    (r"^mask_embed\.layers\.(\d+)\.", r"decoder.mask_predictor.mask_embedder.\1.0."),
)


def segmenter_names(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published tensors (`pixel_decoder.*`, `predictor.*`) by the names of `Segmenter`."""
    found: dict[str, Tensor] = {}
    for name, tensor in official.items():
        part, _, rest = name.partition(".")
        if part == "pixel_decoder":
            found["pixels." + _renamed(rest, _PIXELS)] = tensor
        elif part == "predictor":
            found |= _split("attention." + _renamed(rest, _ATTENTION), tensor)
        else:
            raise WeightsError(f"there is no place for the tensor {name!r}", where="checkpoint", remedy="Take a checkpoint of MM-Former as it is published")
    return found


def segmenter_config(tensors: Mapping[str, Tensor], *, heads: int = 8, same_size: bool = False) -> SegmenterConfig:
    """The sizes of a segmenter by its tensors; WeightsError where they are not those of one."""
    try:
        return SegmenterConfig(
            channels=(
                tensors["pixels.adapter_1.0.weight"].shape[1],
                tensors["pixels.input_projections.2.0.weight"].shape[1],
                tensors["pixels.input_projections.1.0.weight"].shape[1],
                tensors["pixels.input_projections.0.0.weight"].shape[1],
            ),
            same_size=same_size,
            width=tensors["pixels.level_embed"].shape[1],
            heads=heads,
            queries=tensors["attention.queries_features.weight"].shape[0],
            encoder_layers=_count(tensors, r"pixels\.encoder\.layers\.(\d+)\."),
            encoder_hidden=tensors["pixels.encoder.layers.0.fc1.weight"].shape[0],
            decoder_layers=_count(tensors, r"attention\.decoder\.layers\.(\d+)\."),
            decoder_hidden=tensors["attention.decoder.layers.0.fc1.weight"].shape[0],
        )
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError(f"it holds no segmenter, or not all of it ({error})", where="checkpoint", remedy="Fetch it again, or train one") from error


def _renamed(name: str, rules: tuple[tuple[str, Any], ...]) -> str:
    for pattern, ours in rules:
        name = re.sub(pattern, ours, name)
    return name


def _split(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A tensor by its name; of self-attention the matrices of queries, keys and values apart."""
    found = re.fullmatch(r"(.*\.self_attn)\.in_proj_(weight|bias)", name)
    if found is None:
        return {name: tensor}
    return {f"{found[1]}.{kind}_proj.{found[2]}": part.clone() for kind, part in zip("qkv", tensor.chunk(3), strict=True)}


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return 1 + max(int(found[1]) for name in tensors if (found := re.match(pattern, name)))
