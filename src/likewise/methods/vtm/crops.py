"""How VTM sees pictures of other sizes than its own, and how their answers are put together.

official: the query is made 256 pixels square and seen in five crops of 224. Otherwise windows of the network's own size over
the picture at its own aspect ratio. Crops are blended as probabilities for values, but as logits for classes: such scores
become probabilities by `probabilities`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from likewise.functional.crops import Offset, blend, cut, five_crops
from likewise.methods.vtm.model import SupportMemory, Vtm
from likewise.methods.vtm.tuning import fitted

OVERLAP = 32


def overlap_of(crop: int) -> int:
    """How many pixels neighbouring windows share at least: 32, and a quarter of small windows."""
    return min(OVERLAP, crop // 4)


def official_scores(vtm: Vtm, images: Tensor, memory: SupportMemory, crop: tuple[int, int], categorical: Tensor, *, batch: int = 1, chunk: int = 4) -> Tensor:
    """Scores (B, C, H, W) of queries (B, 3, H, W) in 0..1, by five crops; categorical (C,) bool."""
    size = (images.shape[-2], images.shape[-1])
    return blended(vtm, images, memory, five_crops(size, crop), crop, categorical, batch=batch, chunk=chunk)


def blended(
    vtm: Vtm,
    images: Tensor,
    memory: SupportMemory,
    offsets: Sequence[Offset],
    crop: tuple[int, int],
    categorical: Tensor,
    *,
    batch: int = 1,
    chunk: int = 4,
) -> Tensor:
    """Scores of queries (B, 3, H, W) from crops at given places: mean probabilities of values, mean logits of classes."""
    return seen(vtm, images, memory, offsets, crop, categorical, batch=batch, chunk=chunk)[0]


def seen(
    vtm: Vtm,
    images: Tensor,
    memory: SupportMemory,
    offsets: Sequence[Offset],
    crop: tuple[int, int],
    categorical: Tensor,
    *,
    batch: int = 1,
    chunk: int = 4,
) -> tuple[Tensor, Tensor]:
    """`blended` scores, and how strange each query is to the support, (B,): the mean over its crops."""
    parts, strange = [], []
    for picture in cut(images, offsets, crop):
        logits, own = vtm.answers(picture, memory, batch=batch, chunk=chunk)
        logits = fitted(logits, logits.new_empty(*logits.shape[:2], *crop))
        parts.append(torch.where(categorical[:, None, None], logits, logits.sigmoid()))
        strange.append(own)
    return blend(torch.stack(parts), offsets, (images.shape[-2], images.shape[-1])), torch.stack(strange).mean(dim=0)


def probabilities(scores: Tensor, categorical: Tensor) -> Tensor:
    """Probabilities (..., C, H, W) of scores: a sigmoid for classes, values as they are."""
    return torch.where(categorical[:, None, None], scores.sigmoid(), scores)
