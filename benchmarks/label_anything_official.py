"""The forward pass of Label Anything as the published code makes it, written anew: what label_anything_speed.py compares with.

Every pair of image and class goes through the whole two-way transformer, its last look at the image included, all at once; the positional
map stands there once a pair; attention is materialised; vectors of pixels are made before classes are compared with them. Weights are
those of `Head`. Masks are the only prompts, and there is no mixer: what the released MAE models are and are tested with.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, gelu, interpolate, layer_norm, linear, relu

HEADS = 8
State = Mapping[str, Tensor]


def prototypes(state: State, features: Tensor, masks: Tensor) -> Tensor:
    """Prototypes (C, D) of supports with features (M, D, E, E) and masks (M, C, 256, 256), those of the background empty."""
    images, classes = masks.shape[:2]
    width, side = features.shape[1], features.shape[-1]
    flags = masks.flatten(2).any(dim=2)
    tokens = state["no_sparse_embedding.weight"].expand(images, classes, -1)
    tokens = _mixer(state, "sparse_embedding_attention.", tokens)
    maps = _downscaled(state, masks.flatten(0, 1)[:, None])
    maps = torch.where(flags.flatten()[:, None, None, None], maps, state["not_a_mask_embed.weight"][:, :, None, None])
    maps = interpolate(maps, (side, side), mode="bilinear", align_corners=False)
    source = features.repeat_interleave(classes, dim=0) + maps
    places = _grid(state["pe_layer.positional_encoding_gaussian_matrix"], side).repeat(images * classes, 1, 1)
    _, seen = _two_way(state, "transformer.", source.flatten(2).transpose(1, 2), places, tokens.reshape(-1, 1, width))
    pooled = seen.mean(dim=1).reshape(images, classes, width)
    given = torch.cat([torch.ones(images, 1), flags[:, 1:].float()], dim=1)[..., None]
    return (pooled * given).sum(dim=0) / given.sum(dim=0).clamp_min(1)


def logits(state: State, features: Tensor, found: Tensor, frequencies: Tensor) -> Tensor:
    """Logits (1, C, 4E, 4E) of a query with features (1, D, E, E), of prototypes (C, D)."""
    side = features.shape[-1]
    tokens, image = _two_way(state, "transformer.", features.flatten(2).transpose(1, 2), _grid(frequencies, side)[None], found[None])
    pixels = image.transpose(1, 2).reshape(features.shape)
    pixels = conv_transpose2d(pixels, state["output_upscaling.0.weight"], state["output_upscaling.0.bias"], stride=2)
    pixels = conv_transpose2d(gelu(_channel_norm(state, "output_upscaling.1.", pixels)), *_pair(state, "output_upscaling.3."), stride=2)
    for place in (0, 3, 6):
        pixels = conv2d(pixels, *_pair(state, f"spatial_convs.{place}."), padding=1)
        pixels = pixels if place == 6 else gelu(_channel_norm(state, f"spatial_convs.{place + 1}.", pixels))
    for place in range(3):
        tokens = linear(tokens, *_pair(state, f"class_mlp.layers.{place}."))
        tokens = tokens if place == 2 else relu(tokens)
    return torch.einsum("bcd,bdhw->bchw", tokens, pixels)


def _pair(state: State, name: str) -> tuple[Tensor, Tensor]:
    return state[name + "weight"], state[name + "bias"]


def _attention(state: State, name: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    queries, keys, values = (
        torch.unflatten(linear(x, *_pair(state, f"{name}{part}_proj.")), -1, (HEADS, -1)).transpose(1, 2) for part, x in (("q", q), ("k", k), ("v", v))
    )
    scores = (queries @ keys.transpose(-2, -1) * queries.shape[-1] ** -0.5).softmax(dim=-1)
    return linear((scores @ values).transpose(1, 2).flatten(2), *_pair(state, name + "out_proj."))


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    return layer_norm(x, (x.shape[-1],), *_pair(state, name))


def _channel_norm(state: State, name: str, x: Tensor) -> Tensor:
    mean = x.mean(dim=1, keepdim=True)
    scaled = (x - mean) / ((x - mean).pow(2).mean(dim=1, keepdim=True) + 1e-6).sqrt()
    weight, bias = _pair(state, name)
    return scaled * weight[:, None, None] + bias[:, None, None]


def _mixer(state: State, name: str, x: Tensor) -> Tensor:
    x = _norm(state, name + "norm.", _attention(state, name + "attn.", x, x, x) + x)
    return _norm(state, name + "norm.", linear(gelu(linear(x, *_pair(state, name + "mlp.lin1."))), *_pair(state, name + "mlp.lin2.")) + x)


def _two_way(state: State, name: str, image: Tensor, places: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
    tokens = given
    for index in range(2):
        own = f"{name}layers.{index}."
        if index == 0:
            tokens = _attention(state, own + "self_attn.", tokens, tokens, tokens)
        else:
            tokens = tokens + _attention(state, own + "self_attn.", tokens + given, tokens + given, tokens)
        tokens = _norm(state, own + "norm1.", tokens)
        tokens = _norm(state, own + "norm2.", tokens + _attention(state, own + "cross_attn_token_to_image.", tokens + given, image + places, image))
        tokens = _norm(state, own + "norm3.", tokens + linear(relu(linear(tokens, *_pair(state, own + "mlp.lin1."))), *_pair(state, own + "mlp.lin2.")))
        image = _norm(state, own + "norm4.", image + _attention(state, own + "cross_attn_image_to_token.", image + places, tokens + given, tokens))
    last = _attention(state, name + "final_attn_token_to_image.", tokens + given, image + places, image)
    return _norm(state, name + "norm_final_attn.", tokens + last), image


def _grid(frequencies: Tensor, side: int) -> Tensor:
    centres = (torch.arange(side) + 0.5) / side
    rows, columns = torch.meshgrid(centres, centres, indexing="ij")
    turned = 2 * torch.pi * ((2 * torch.stack([columns, rows], dim=-1) - 1) @ frequencies)
    return torch.cat([turned.sin(), turned.cos()], dim=-1).flatten(0, 1)


def _downscaled(state: State, masks: Tensor) -> Tensor:
    x = conv2d(masks, *_pair(state, "mask_downscaling.0."), stride=2)
    x = conv2d(gelu(_channel_norm(state, "mask_downscaling.1.", x)), *_pair(state, "mask_downscaling.3."), stride=2)
    return conv2d(gelu(_channel_norm(state, "mask_downscaling.4.", x)), *_pair(state, "mask_downscaling.6."))
