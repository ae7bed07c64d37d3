"""Checkpoints of Label Anything: the published layout, ours, and the head and image encoder that they hold.

Ours holds the head by the published names, without `model.`, and the image encoder as `image_encoder.*` with the names of
`backbones.vit`; `sam_neck.*` is SAM's own neck, only where the model reads it. A checkpoint trained here leaves the image encoder out:
it is a backbone, named when learning.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from likewise.backbones import Backbone
from likewise.backbones.checkpoint import filled, official_names
from likewise.backbones.registry import from_tensors
from likewise.backbones.vit import VitConfig
from likewise.errors import WeightsError
from likewise.methods.label_anything.config import MIXERS, HeadConfig, from_published
from likewise.methods.label_anything.model import Head

ENCODER, _SAM_NECK = "image_encoder.", "image_encoder.neck."
_HEAD_WIDTH = 64  # channels of a head of the image encoder, which no tensor says


def converted(official: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """A published checkpoint by our names; WeightsError for tensors that are missing, unexpected or misshapen."""
    plain = {name.removeprefix("model."): tensor for name, tensor in official.items()}
    shape = from_published(config)
    encoder = {name.removeprefix(ENCODER): tensor for name, tensor in plain.items() if name.startswith(ENCODER)}
    head = {name: tensor for name, tensor in plain.items() if not name.startswith(ENCODER)}
    if not encoder:
        raise WeightsError("it holds no image encoder", where="checkpoint", remedy="Take model.safetensors as it is published, not a checkpoint of training")
    if shape.sam_neck:
        head |= {f"sam_neck.{name.removeprefix('neck.')}": tensor for name, tensor in encoder.items() if name.startswith("neck.")}
    head_from(head, shape)
    named = official_names(encoder)
    from_tensors("checkpoint", "", encoder_config(named), named)
    return {**head, **{ENCODER + name: tensor for name, tensor in named.items()}}


def head_from(tensors: Mapping[str, Tensor], config: HeadConfig) -> Head:
    """A head with given tensors, every one of which must fit; WeightsError names those that do not."""
    with torch.device("meta"):
        head = Head(config)
    return filled(head, tensors)


def head_of(tensors: Mapping[str, Tensor], *, side: int, patch: int, heads: int = 8) -> Head:
    """The head of one of our checkpoints, its sizes taken from the tensors; side of the square, patch and heads say no tensors.

    Raises WeightsError for tensors of another method, or that do not fit.
    """
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(ENCODER)}
    try:
        width = own["prompt_encoder.no_mask_embed.weight"].shape[1]
        narrow = own["mask_decoder.class_mlp.layers.2.weight"].shape[0]
        first = own.get("sam_neck.0.weight", own.get("neck.0.weight"))
        config = HeadConfig(
            encoder_width=width if first is None else first.shape[1],
            width=width,
            side=side,
            patch=patch,
            heads=heads,
            hidden=own["prompt_encoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
            mixers=tuple(name for name in MIXERS if f"prompt_encoder.{name}.norm.weight" in own),
            class_width=own["prompt_encoder.class_projector_in.weight"].shape[0] if "prompt_encoder.class_projector_in.weight" in own else 0,
            pool=own["prompt_encoder.class_encoder.pos_embedding"].shape[2] if "prompt_encoder.class_encoder.pos_embedding" in own else 0,
            spatial=sum(tensor.ndim == 4 for name, tensor in own.items() if re.fullmatch(r"mask_decoder\.spatial_convs\.\d+\.weight", name)),
            shrink=width // narrow,
            sam_neck="sam_neck.0.weight" in own,
        )
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise WeightsError(
            f"it is no checkpoint of Label Anything, or not whole ({error})",
            where="checkpoint",
            remedy="Convert a published one by `likewise weights convert label-anything`, or train one",
        ) from error
    return head_from(own, config)


def encoder_of(tensors: Mapping[str, Tensor]) -> Backbone | None:
    """The image encoder of one of our checkpoints; None where it has none."""
    own = {name.removeprefix(ENCODER): tensor for name, tensor in tensors.items() if name.startswith(ENCODER)}
    if not own:
        return None
    total = hashlib.sha256()
    for name in sorted(own):
        total.update(own[name].contiguous().view(torch.uint8).numpy().data)
    return from_tensors("checkpoint", total.hexdigest(), encoder_config(own), own)


def encoder_config(tensors: Mapping[str, Tensor]) -> VitConfig:
    """The shape of an image encoder by its tensors, SAM's or MAE's; WeightsError for another."""
    try:
        width, _, patch, _ = tensors["patch_embed.proj.weight"].shape
        depth = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
        hidden = tensors["blocks.0.mlp.fc1.weight"].shape[0]
        places = tensors["pos_embed"].shape[1]
        tables = [tensors[f"blocks.{index}.attn.rel_pos_h"].shape for index in range(depth)] if "blocks.0.attn.rel_pos_h" in tensors else []
    except (KeyError, ValueError) as error:
        raise WeightsError(f"its image encoder is not whole ({error})", where="checkpoint", remedy="Fetch it again") from error
    if not tables:
        heads, grid = max(1, width // _HEAD_WIDTH), round((places - 1) ** 0.5)
        return VitConfig(
            width=width,
            depth=depth,
            heads=heads,
            patch=patch,
            grid=grid,
            layer_scale=False,
            mlp_ratio=hidden // width,
            norm_eps=1e-12,  # of ViT-MAE at the hub
            position_rule="size",
        )
    grid = round(places**0.5)
    windows = [(rows + 1) // 2 for rows, _ in tables]
    return VitConfig(
        width=width,
        depth=depth,
        heads=width // tables[0][1],
        patch=patch,
        grid=grid,
        layer_scale=False,
        mlp_ratio=hidden // width,
        position_rule="size",
        final_norm=False,
        class_token=False,
        window=min(windows),
        whole=tuple(index for index, side in enumerate(windows) if side == grid and grid != min(windows)),
    )
