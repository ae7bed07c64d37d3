"""Masks from image-level labels.

"attention", "tokens"  where a picture looks like what the support image's class token asks for: cosines of its query with the
                       keys of the last block, by head, or of the output tokens (table 6). Source: Kang et al. 2023, section
                       3.2, equations 9 to 11, and its code: no softmax, no scale.
"walk"                 ours, see `walk_values`: what in a picture is hard to reach from its border. For backbones whose class token
                       looks at everything alike, as those of DINOv2 do; it asks the support nothing.
"pooled"               by a residual network of the checkpoint's own, see `pooled`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.functional.resize import resize_corners
from likewise.functional.walks import border_of, likeness, shrunk, time_to_leave, two_groups

PSEUDO = ("attention", "tokens", "walk", "pooled")
THRESHOLD = 0.4  # official code; of (cosine + 1) / 2
SHARPNESS = 16.0  # of likeness in a walk; 8 to 24 measured on training classes of `classes_train`, see docs/training.md


def extractor_spec(side: int, backbone: str, source: str = "attention") -> FeatureSpec | None:
    """What pseudo masks by another network than the learner's need (table 6: class-supervised ViT, MAE, a CNN); None for the learner's own."""
    if source == "pooled":
        return FeatureSpec(backbone=None, squash=True, side=side)
    return FeatureSpec(layers=(-1,), side=side, squash=True, qk=True, backbone=backbone) if backbone else None


def head_cosines(class_query: Tensor, keys: Tensor) -> Tensor:
    """Cosine by head of a class token's query with the keys of patches: (X, A, d), (X, A, P, d) -> (X, A, P).

    Keys of the same image give the support's own map, those of a query image the query's.
    """
    return (normalize(keys, dim=-1) @ normalize(class_query, dim=-1)[..., None])[..., 0]


def class_query(support: ImageFeatures, source: str = "attention") -> Tensor:
    """What the class token of a support image asks for, (A, d); of output "tokens" the token itself, as one head.

    Raises ValueError for features without queries and keys.
    """
    if source == "tokens":
        return support.prefix[-1, :1].float()
    if support.prefix_qk is None:
        raise ValueError("pseudo masks need queries and keys of the last block")
    return support.prefix_qk[0, :, 0].float()


def patch_keys(image: ImageFeatures, source: str = "attention") -> Tensor:
    """What the patches of an image answer with, (A, P, d); ValueError as for `class_query`."""
    if source == "tokens":
        return image.tokens[-1:].float()
    if image.k is None:
        raise ValueError("pseudo masks need queries and keys of the last block")
    return image.k.float()


def cosines_of(image: ImageFeatures, support: ImageFeatures, source: str = "attention") -> Tensor:
    """Cosines (A, h, w) of an image's patches with the class token of a support image; of output "tokens" there is one head.

    Raises ValueError for features without queries and keys.
    """
    return head_cosines(class_query(support, source)[None], patch_keys(image, source)[None])[0].reshape(-1, *image.grid)


def pseudo_masks(cosines: Tensor, size: tuple[int, int], threshold: float = THRESHOLD) -> Tensor:
    """Binary masks (X, H, W) of cosine maps (X, h, w), resized first and compared afterwards."""
    return (resize_corners(cosines, size) + 1) / 2 > threshold


def pseudo_mask(image: ImageFeatures, support: ImageFeatures, size: tuple[int, int], source: str = "attention", threshold: float = THRESHOLD) -> Tensor:
    """The pseudo mask (H, W) bool of an image that shows what the support shows, by one of `PSEUDO` but "pooled"."""
    if source == "walk":
        return walk_mask(image.tokens[-1], image.grid, size)
    return pseudo_masks(cosines_of(image, support, source).mean(dim=0)[None], size, threshold)[0]


def walk_values(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """How long a random walk over patches takes to leave the picture: tokens (P, D) -> (h, w), at most `walks.LARGEST` each; see `functional.walks`."""
    flat, small = shrunk(tokens, grid)
    return time_to_leave(likeness(flat, SHARPNESS), border_of(small).to(tokens.device)).reshape(small).float()


def walk_mask(tokens: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """What takes long to leave (H, W) bool, parted by `two_groups`; everything where there is no difference."""
    values = walk_values(tokens, grid)
    found = resize_corners(values[None], size)[0] > two_groups(values)
    return found if bool(found.any()) else torch.ones_like(found)
