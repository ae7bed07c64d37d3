"""Mapping of tensor names: what hubs and authors call a transformer's tensors -> the official names that `vit.py` has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from likewise.errors import WeightsError

Network = TypeVar("Network", bound=nn.Module)

_OTHER_WEIGHTS = "Use the weights that the registry names for this backbone"

# transformers 4 and 5, `Dinov2Model`, `Dinov2WithRegistersModel`, `ViTModel`, `ViTMAEModel`, `SamVisionModel`, `DINOv3ViTModel` -> official. Queries, keys and
# values are three tensors there and one here, so they are named qkv.0, qkv.1, qkv.2 first and joined afterwards.
_RULES = [
    (r"^(dinov2_with_registers|dinov2|vit|backbone|beit|vision_encoder|image_encoder)\.", ""),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.mask_token$", "mask_token"),
    (r"^embeddings\.register_tokens$", "register_tokens"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^(encoder\.layer|encoder\.layers|layers|layer|model\.layer)\.(\d+)\.", r"blocks.\2."),
    (r"\.attention\.attention\.query\.", ".attn.qkv.0."),
    (r"\.attention\.attention\.key\.", ".attn.qkv.1."),
    (r"\.attention\.attention\.value\.", ".attn.qkv.2."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.attention\.q_proj\.", ".attn.qkv.0."),
    (r"\.attention\.k_proj\.", ".attn.qkv.1."),
    (r"\.attention\.v_proj\.", ".attn.qkv.2."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.layer_scale1\.lambda1$", ".ls1.gamma"),
    (r"\.layer_scale2\.lambda1$", ".ls2.gamma"),
    (r"\.(?:lambda|gamma)_([12])$", r".ls\1.gamma"),  # BEiT, at the hub and as released
    (r"\.attn\.q_bias$", ".attn.qkv.0.bias"),
    (r"\.attn\.v_bias$", ".attn.qkv.2.bias"),
    (r"(blocks\.\d+)(?:\.attention)*\.relative_position_bias\.relative_position_bias_table$", r"\1.attn.relative_position_bias_table"),
    (r"^(?:encoder\.relative_position_bias|shared_position_bias|rel_pos_bias)\.relative_position_bias_table$", "relative_position_bias_table"),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    (r"^layernorm\.", "norm."),
    (r"\.layer_norm([12])\.", r".norm\1."),  # Segment Anything at the hub
    (r"^patch_embed\.projection\.", "patch_embed.proj."),
    (r"\.mlp\.lin([12])\.", r".mlp.fc\1."),  # and as released
    (r"^embeddings\.patch_embeddings\.(weight|bias)$", r"patch_embed.proj.\1"),  # DINOv3 at the hub
    (r"\.mlp\.up_proj\.", ".mlp.fc1."),
    (r"\.mlp\.down_proj\.", ".mlp.fc2."),
    (r"^storage_tokens$", "register_tokens"),  # and as released
]
# trained with the backbone, no part of its features: mask tokens, poolers, classifiers, the decoder of MAE, what SAM has behind its encoder,
# the periods of DINOv3's rotary positions, which its base says
_UNUSED = re.compile(
    r"^(mask_token$|pooler\.|head\.|classifier\.|decoder|pre_logits\.|lm_head\.|fc_norm\.|neck\.|prompt_encoder\.|mask_decoder\.|shared_image_embedding\.|rope_embed\.)"
    r"|relative_position_index$"
)
_SHARED = "relative_position_bias_table"  # of BEiT's self-supervised weights: one table for all blocks


def official_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under official names, queries, keys and values joined; tensors that features do not need are dropped.

    Of BEiT a table that all blocks share is given to each, keys get a bias of zero, and a final norm, which its
    self-supervised weights do not use, is dropped. Keys of DINOv3 get a bias of zero too: at the hub they have none, as
    released one that a mask takes out.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        for pattern, replacement in _RULES:
            name = re.sub(pattern, replacement, name)
        if not _UNUSED.search(name):
            renamed[name] = tensor.flatten(1, 2) if name == "pos_embed" and tensor.ndim == 4 else tensor  # of a grid, without a class token
    return _as_beit(_joined(renamed))


def _joined(renamed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Three tensors of queries, keys and values as one; a bias that keys do not have, or that is masked, is zero."""
    masks = {name.removesuffix("_mask"): tensor for name, tensor in renamed.items() if name.endswith(".attn.qkv.bias_mask")}
    joined = {name: tensor for name, tensor in renamed.items() if not re.search(r"\.attn\.qkv\.([012]\.|bias_mask$)", name)}
    joined |= {name: torch.where(mask != 0, joined[name], 0.0) for name, mask in masks.items() if name in joined}
    for name, first in renamed.items():
        if ".attn.qkv.0." in name:
            key = renamed.get(name.replace(".qkv.0.", ".qkv.1."), torch.zeros_like(first) if name.endswith(".bias") else None)
            parts = [first, key, renamed[name.replace(".qkv.0.", ".qkv.2.")]]
            joined[name.replace(".qkv.0.", ".qkv.")] = torch.cat([part for part in parts if part is not None], dim=0)
    return joined


def _as_beit(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is said of BEiT in `official_names`; tensors of other networks as they are."""
    if _SHARED in tensors:
        table = tensors.pop(_SHARED)
        depth = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
        tensors |= {f"blocks.{index}.attn.{_SHARED}": table for index in range(depth)}
    if f"blocks.0.attn.{_SHARED}" in tensors:
        return {name: tensor for name, tensor in tensors.items() if not name.startswith("norm.")}
    return tensors


def check_layout(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str, remedy: str = _OTHER_WEIGHTS) -> None:
    """WeightsError that names every missing, unexpected or misshapen tensor."""
    problems = _listed("missing", expected.keys() - found.keys()) + _listed("unexpected", found.keys() - expected.keys())
    for name in sorted(expected.keys() & found.keys()):
        if found[name].shape != expected[name].shape:
            problems.append(f"{name} is {tuple(found[name].shape)}, not {tuple(expected[name].shape)}")
    if problems:
        raise WeightsError("the tensors do not fit the network: " + "; ".join(problems[:6]), where=where, remedy=remedy)


def filled(network: Network, tensors: Mapping[str, Tensor], where: str = "checkpoint", remedy: str = _OTHER_WEIGHTS) -> Network:
    """A network without numbers with these ones, in evaluation mode and frozen; WeightsError where they are not all that it needs."""
    check_layout(tensors, network.state_dict(), where, remedy)
    network.requires_grad_(False)  # first: tensors made in inference mode can be none that asks for gradients
    network.load_state_dict({name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}, assign=True)
    return network.eval()


def _listed(word: str, names: Iterable[str]) -> list[str]:
    chosen = sorted(names)
    return [f"{len(chosen)} {word} ({', '.join(chosen[:4])}{', ...' if len(chosen) > 4 else ''})"] if chosen else []
