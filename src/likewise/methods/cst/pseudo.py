"""Masks from image-level labels: where a picture looks like what the support image's class token asks for.

Source: Kang et al. 2023, section 3.2, equations 9 to 11, and its code: cosines by head, no softmax, no scale.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from likewise.functional.resize import resize_corners

THRESHOLD = 0.4  # official code; of (cosine + 1) / 2


def head_cosines(class_query: Tensor, keys: Tensor) -> Tensor:
    """Cosine by head of a class token's query with the keys of patches: (X, A, d), (X, A, P, d) -> (X, A, P).

    Keys of the same image give the support's own map, those of a query image the query's.
    """
    return (normalize(keys, dim=-1) @ normalize(class_query, dim=-1)[..., None])[..., 0]


def pseudo_masks(cosines: Tensor, size: tuple[int, int], threshold: float = THRESHOLD) -> Tensor:
    """Binary masks (X, H, W) of cosine maps (X, h, w), resized first and compared afterwards."""
    return (resize_corners(cosines, size) + 1) / 2 > threshold
