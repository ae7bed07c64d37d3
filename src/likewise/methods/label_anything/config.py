"""The shape of a Label Anything head, and how a published configuration says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from likewise.errors import WeightsError

MIXERS = ("class_attention", "example_attention", "class_example_attention")  # in the order in which they act


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The shape of everything but the image encoder.

    encoder_width: of the image tokens, which a neck brings to `width` where they differ; side: of the square that the
    network sees, in pixels; patch: pixels of a cell of the grid of features; heads, hidden: of all attentions and small
    networks; mixers: those that it has, of `MIXERS`; class_width: of class vectors in the mixers, 0 for `width`; pool: rows
    of the token pool, 0 without; spatial: 3x3 convolutions in the decoder; shrink: by how much pixel vectors are narrower than `width`.
    """

    encoder_width: int = 768
    width: int = 256
    side: int = 480
    patch: int = 16
    heads: int = 8
    hidden: int = 2048
    mixers: tuple[str, ...] = ()
    class_width: int = 0
    pool: int = 0
    spatial: int = 3
    shrink: int = 8
    sam_neck: bool = False

    @property
    def grid(self) -> int:
        """The side of the grid of features."""
        return self.side // self.patch


def from_published(config: Mapping[str, Any]) -> HeadConfig:
    """The shape that a published `config.json` says; what it does not name has the default of the authors' code.

    Raises WeightsError for options that no released model has.
    """
    for name in ("class_attention_downsample_rate", "fusion_transformer"):
        if config.get(name) not in (None, 2, "TwoWayTransformer"):
            raise WeightsError(f"{name} is {config[name]!r}, which no released model has", where="config.json", remedy="Take a released model")
    encoder = config.get("class_encoder") or {}
    sam_neck = bool(config.get("use_vit_sam_neck", True)) and not str(config.get("encoder", "")).startswith("vit_b_")
    return HeadConfig(
        encoder_width=int(config.get("image_embed_dim", 256)),
        width=int(config.get("embed_dim", 256)),
        side=int(config.get("image_size", 1024)),
        patch=int(config.get("vit_patch_size", 16)),
        mixers=tuple(name for name in MIXERS if config.get(name.replace("class_example", "example_class"), name == "class_example_attention")),
        class_width=int(config.get("class_embedding_dim") or 0),
        pool=int(encoder.get("bank_size", 0)),
        spatial=int(config.get("spatial_convs") or 0),
        shrink=int(config.get("classification_layer_downsample_rate", 8)),
        sam_neck=sam_neck,
    )
