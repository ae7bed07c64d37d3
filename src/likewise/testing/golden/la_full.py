"""The golden file of Label Anything at its published size (`la_full_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from likewise.testing.golden.case import Case
from likewise.testing.golden.la import given, on_canvas, tokens_of, weights

if TYPE_CHECKING:
    from likewise.methods.label_anything.prompts import Prompts


def full(case: Case) -> Mapping[str, Any]:
    """From pictures to logits, 1-way 1-shot with a mask, by the converted checkpoint."""
    import numpy as np
    import torch

    from likewise.backbones.vit import IMAGENET_MEAN, IMAGENET_STD
    from likewise.methods.label_anything.checkpoint import converted, encoder_of, head_of
    from likewise.methods.label_anything.config import from_published
    from likewise.methods.label_anything.pictures import Frame

    shape = from_published(case.config)
    frame = Frame(shape.side, padded=case.config["custom_preprocess"])
    pictures = [given(case, name).numpy() for name in ("query", "support")]
    with torch.inference_mode():
        tensors = converted(weights(case), case.config)
        backbone = encoder_of(tensors)
        assert backbone is not None
        head = head_of(tensors, side=shape.side, patch=shape.patch, heads=shape.heads)
        tokens = tokens_of(backbone.network, torch.stack([frame.normalised(picture, IMAGENET_MEAN, IMAGENET_STD) for picture in pictures]))
        maps = head.features(tokens)
        asked = _mask(case, frame)
        prototypes = head.remember(maps[None, 1:], asked).prototypes
        low = head.logits(maps[:1], prototypes)
        dims = np.array([[picture.shape[:2] for picture in pictures]])
        whole = on_canvas(low, frame, dims)
        features = torch.unflatten(tokens.transpose(1, 2), 2, (shape.grid, shape.grid))
        return {
            "features": features[:, ::24, ::3, ::3],
            "features_stats": _stats(features),
            "neck": maps[:, ::8, ::3, ::3],
            "prototypes": prototypes,
            "low_logits": low[..., ::2, ::2],
            "low_stats": _stats(low),
            "logits": whole[..., ::5, ::5],
            "argmax": whole.argmax(dim=1).to(torch.uint8),
        }


def _mask(case: Case, frame: Any) -> Prompts:
    from likewise.data.image_prompts import ImagePrompts
    from likewise.methods.label_anything.prompts import prompts_from

    mask = case.stored["support_mask"] > 0
    return prompts_from([ImagePrompts((mask.shape[0], mask.shape[1]), masks={1: mask})], [1], frame)


def _stats(values: Any) -> Any:
    import torch

    return torch.stack([values.mean(), values.std(correction=0)])
