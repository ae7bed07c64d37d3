"""Checkpoints of VTM: the names of the official ones, and networks from their tensors.

A converted checkpoint holds `image.*` (the image encoder), `label.*`, `matching.*`, `decoder.*`, and `biases.*` with a
row for every channel of the tasks that it was trained on, held-out ones included. A checkpoint of ours may leave
`image.*` out: its image encoder is then a backbone, named when learning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from likewise.backbones.biases import BiasSets, bias_names, equal_rows
from likewise.backbones.checkpoint import filled, official_names
from likewise.backbones.position import relative_count
from likewise.backbones.vit import VisionTransformer
from likewise.errors import UsageError, WeightsError
from likewise.methods.vtm.model import OFFICIAL_IMAGE, Head, HeadConfig

IMAGE, BIASES = "image.", "biases."
_HEAD_WIDTH = 64  # channels of an attention head of BEiT and ViT at the published sizes
_REMEDY = "Convert the file by `likewise weights convert vtm FILE OUT`, or give a file that was saved by this program"
_PLACES = (
    ("image_backbone.backbone.beit.", IMAGE),
    ("label_backbone.backbone.pretrained.model.", "label."),
    ("label_backbone.backbone.pretrained.act_postprocess", "decoder.act_postprocess"),
    ("label_backbone.backbone.scratch.", "decoder."),
    ("matching_module.matching.", "matching."),
)
_QUERIES = re.compile(r"^matching\.\d+\.fc_[qk]\.weight$")
_UNUSED = re.compile(r"^label\.(norm|head)\.|^decoder\.refinenet4\.resConfUnit1\.|\.pre_ln_k\.|relative_position_index$")


def converted(official: Mapping[str, Tensor], where: str = "checkpoint") -> dict[str, Tensor]:
    """The tensors of an official checkpoint by our names, those that are never used left out.

    Of a fine-tuned one, which holds biases alone, these. Raises WeightsError for a file of another method.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in official.items():
        plain = name.removeprefix("model.")
        place = next(((old, new) for old, new in _PLACES if plain.startswith(old)), None)
        if place is None:
            raise WeightsError(f"it is no checkpoint of VTM: {name} is no part of it", where=where, remedy=_REMEDY)
        ours = (place[1] + plain.removeprefix(place[0])).replace(".pre_ln_q.", ".pre_ln.")
        if not _UNUSED.search(ours):
            found[ours] = tensor
    image = official_names({name.removeprefix(IMAGE): tensor for name, tensor in found.items() if name.startswith(IMAGE)})
    rows = {name: tensor for name, tensor in image.items() if name.endswith(".bias") and tensor.ndim == 2}
    rest = {name: tensor for name, tensor in found.items() if not name.startswith(IMAGE)}
    image = {IMAGE + name: tensor for name, tensor in image.items() if name not in rows}
    if image:  # the encoder's own biases: the first row, so that it is whole without sets
        image |= {IMAGE + name: tensor[0] for name, tensor in rows.items()}
    return {**image, **rest, **{BIASES + name: tensor for name, tensor in rows.items()}}


def biases_in(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The bias sets of a converted checkpoint by their names in the image encoder, {} where it has none."""
    return {name.removeprefix(BIASES): tensor.float() for name, tensor in tensors.items() if name.startswith(BIASES)}


def image_encoder(tensors: Mapping[str, Tensor], where: str = "checkpoint") -> VisionTransformer | None:
    """The image encoder of a converted checkpoint, its sizes taken from the tensors; None where it has none.

    Raises WeightsError for tensors that do not fit.
    """
    own = {name.removeprefix(IMAGE): tensor for name, tensor in tensors.items() if name.startswith(IMAGE)}
    if not own:
        return None
    try:
        table = own["blocks.0.attn.relative_position_bias_table"]
        weight = own["patch_embed.proj.weight"]
        config = replace(
            OFFICIAL_IMAGE,
            width=weight.shape[0],
            depth=_depth(own),
            heads=table.shape[1],
            patch=weight.shape[2],
            grid=next(side for side in range(1, 200) if relative_count(side) >= len(table)),
            mlp_ratio=own["blocks.0.mlp.fc1.weight"].shape[0] // weight.shape[0],
        )
    except (KeyError, IndexError, StopIteration) as error:
        raise WeightsError(f"its image encoder is not whole ({error})", where=where, remedy=_REMEDY) from error
    with torch.device("meta"):
        network = VisionTransformer(config)
    return filled(network, own, where, _REMEDY)


def head_of(tensors: Mapping[str, Tensor], *, heads: int | None = None, matching_heads: int = 4, where: str = "checkpoint") -> Head:
    """Label encoder, matching and decoder of a converted checkpoint, sizes taken from the tensors, frozen.

    heads: of the label encoder, which no tensor says; None: groups of 64 channels, as published. Raises WeightsError for
    tensors that are missing, unexpected or misshapen.
    """
    own = _with_queries({name: tensor for name, tensor in tensors.items() if not name.startswith((IMAGE, BIASES))})
    try:
        width, _, patch, _ = own["label.patch_embed.proj.weight"].shape
        config = HeadConfig(
            image_width=own["matching.0.fc_q.weight"].shape[0],
            width=width,
            depth=_depth({name.removeprefix("label."): tensor for name, tensor in own.items()}),
            heads=heads or max(1, width // _HEAD_WIDTH),
            patch=patch,
            grid=round((own["label.pos_embed"].shape[1] - 1) ** 0.5),
            mlp_ratio=own["label.blocks.0.mlp.fc1.weight"].shape[0] // width,
            matching_heads=matching_heads,
            reassembled=_widths(own),
            fused=own["decoder.layer1_rn.weight"].shape[0],
        )
    except (KeyError, ValueError) as error:
        raise WeightsError(f"it is no checkpoint of VTM, or not whole (there is no {error})", where=where, remedy=_REMEDY) from error
    with torch.device("meta"):
        head = Head(config)
    return filled(head, own, where, _REMEDY)


def without_queries(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a head whose queries and keys are the image tokens behind their norm: those that say so are left out."""
    return {name: tensor for name, tensor in tensors.items() if not _QUERIES.search(name)}


def _with_queries(own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with the tensors that `without_queries` left out."""
    if any(_QUERIES.search(name) for name in own):
        return own
    norms = {name: tensor for name, tensor in own.items() if name.startswith("matching.") and name.endswith(".pre_ln.weight")}
    same = {name.replace("pre_ln", layer): torch.eye(len(tensor)) for name, tensor in norms.items() for layer in ("fc_q", "fc_k")}
    return {**own, **same}


def _widths(own: Mapping[str, Tensor]) -> tuple[int, int, int, int]:
    one, two, three, four = (own[f"decoder.layer{level}_rn.weight"].shape[1] for level in (1, 2, 3, 4))
    return one, two, three, four


def _depth(own: Mapping[str, Tensor]) -> int:
    return 1 + max(int(name.split(".")[1]) for name in own if name.startswith("blocks."))


def from_beit(published: Mapping[str, Tensor], rows: int) -> dict[str, Tensor]:
    """The image encoder of published BEiT weights in any of their namings, and `rows` equal rows of biases: where meta-training starts."""
    plain = {name.removeprefix("image_backbone.backbone.beit."): tensor for name, tensor in published.items()}
    own = official_names(plain)
    sets = {BIASES + name: own[name].repeat(rows, 1) for name in bias_names(_depth(own))}
    return {**{IMAGE + name: tensor for name, tensor in own.items()}, **sets}


def starting_rows(biases: BiasSets, channels: int, asked: Sequence[int] = ()) -> list[int]:
    """A row of a checkpoint's biases for each channel: those asked for, else one that was held out in training for all.

    Held-out rows were left as they came from pre-training, so they are the ones that equal each other; where none do (a
    fine-tuned checkpoint), the rows are taken in order, from the first again where there are too few. Raises UsageError for
    rows that are not there.
    """
    rows = len(next(iter(biases.values())))
    if asked:
        if len(asked) != channels or not all(0 <= row < rows for row in asked):
            raise UsageError(
                f"rows {list(asked)} are asked for {channels} channels, the checkpoint has {rows}", where="rows", remedy="Give one row for each channel"
            )
        return list(asked)
    first = equal_rows(biases)
    held_out = next((row for row, same in enumerate(first) if same != row), None)
    return [index % rows for index in range(channels)] if held_out is None else [first[held_out]] * channels
