"""The rules of PANet: prototypes, scaled cosines, and the loss that turns support and query around (Wang et al. 2019). Nothing here is learned.

Two forms: the original, with the means of each image averaged (`enlarged_mean`), and that of few-shot classification and segmentation (Kang and
Cho 2022, iFSL), where the places of all images of a class are one heap (`cells_under`). Letters: N classes, K images of a class, R places, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from likewise.functional.resize import resize_corners, resize_grid

SCALE = 20.0  # of cosines
EACH, HEAP = 1e-5, 1e-6  # added to the areas that sums are divided by: in the original, in iFSL
UNKNOWN = 255


def masked_mean(rows: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """The mean of rows (..., R, D) by weights (..., R) -> (..., D); 0 where there is no weight."""
    return (weight[..., None, :] @ rows)[..., 0, :] / (weight.sum(dim=-1, keepdim=True) + epsilon)


def cells_under(masks: Tensor, grid: tuple[int, int]) -> Tensor:
    """Which places of a grid (h, w) a mask (..., H, W) touches, by samples whose corners lie on each other: bool (..., h, w). Source: iFSL."""
    return resize_corners(masks.float(), grid) > 0


def weights_under(masks: Tensor, grid: tuple[int, int]) -> Tensor:
    """What each place of a grid (h, w) adds to the sum under a mask (..., H, W) of maps that were enlarged to it: (..., h, w).

    Enlarging is linear and the same in all channels, so the sum of enlarged maps under a mask is the sum of the maps
    themselves by the mask brought down by the transpose of the enlargement; the large maps need not be made.
    """
    rows, columns = (_enlarging(small, large).to(masks.device) for small, large in zip(grid, masks.shape[-2:], strict=True))
    return rows.T @ masks.float() @ columns


def enlarged_mean(maps: Tensor, masks: Tensor) -> Tensor:
    """The mean (..., D) of maps (..., D, h, w), enlarged to masks (..., H, W), under these."""
    weight = weights_under(masks, (maps.shape[-2], maps.shape[-1])).flatten(-2)
    return (weight[..., None, :] @ maps.flatten(-2).transpose(-1, -2))[..., 0, :] / (masks.float().sum(dim=(-2, -1))[..., None] + EACH)


def pooled_prototypes(rows: Tensor, shares: Tensor, background: Tensor, *, lazy: bool = False) -> tuple[Tensor, Tensor]:
    """Prototypes (..., N, D) of classes and (..., 1, D) of the background, or (..., N, D) if lazy, over heaps of places.

    rows (..., N, R, D): the places of all images of each class, or (..., 1, R, D) of all images; shares, background (..., N, R): their
    weights. Source: iFSL.
    """
    own = masked_mean(rows, shares, HEAP)
    if lazy:
        return own, masked_mean(rows, background, HEAP)
    sums = (background[..., None, :] @ rows)[..., 0, :].sum(dim=-2, keepdim=True)
    return own, sums / (background.sum(dim=(-2, -1))[..., None, None] + HEAP)


def averaged_prototypes(maps: Tensor, masks: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
    """Prototypes (N, D) of classes and (1, D) of the background, means over images, of maps (N, K, D, h, w), masks (N, K, H, W). The original."""
    return enlarged_mean(maps, masks).mean(dim=1), enlarged_mean(maps, background).mean(dim=(0, 1))[None]


def scores(rows: Tensor, classes: Tensor, background: Tensor) -> Tensor:
    """Logits (..., R, 1+N) of rows (..., R, D): scaled cosines with prototypes (..., N, D); those with several backgrounds (..., M, D) averaged."""
    unit = normalize(rows, dim=-1)
    against, own = (SCALE * unit @ normalize(prototypes, dim=-1).transpose(-1, -2) for prototypes in (background, classes))
    return torch.cat([against.mean(dim=-1, keepdim=True), own], dim=-1)


def maps_of(logits: Tensor, grid: tuple[int, int]) -> Tensor:
    """Logits (..., R, C) of places in row-major order as maps (..., C, h, w)."""
    return logits.transpose(-1, -2).reshape(*logits.shape[:-2], logits.shape[-1], *grid)


def rows_of_maps(maps: Tensor) -> Tensor:
    """Maps (..., D, h, w) as rows (..., R, D)."""
    return maps.flatten(-2).transpose(-1, -2)


def peak_log(maps: Tensor) -> Tensor:
    """The log-probability (..., N) of each class where it is likeliest, of log-probabilities (..., 1+N, h, w). Present from log 1/2 on."""
    return maps[..., 1:, :, :].flatten(-2).amax(dim=-1)


def alignment_loss(query: Tensor, answer: Tensor, support: Tensor, masks: Tensor, background: Tensor) -> Tensor:
    """The loss with support and query exchanged: prototypes of what was found in the queries segment the support.

    query (Q, D, h, w), answer (Q, 1+N, h, w) its logits; support (N, K, D, h, w), masks, background (N, K, H, W); what is in
    neither counts nowhere. Classes that are found nowhere in the queries have no term.
    """
    ways, shots = masks.shape[:2]
    member = one_hot(answer.argmax(dim=1), ways + 1).flatten(0, 2).to(query.dtype)  # (Q h w, 1+N)
    rows = rows_of_maps(query).flatten(0, 1)
    prototypes = masked_mean(rows, member.T, EACH)
    found, size = member.sum(dim=0) > 0, (masks.shape[-2], masks.shape[-1])
    loss = query.sum() * 0
    for way in range(ways):
        if not bool(found[way + 1]):
            continue
        logits = scores(rows_of_maps(support[way]), prototypes[way + 1][None], prototypes[:1])
        enlarged = resize_grid(maps_of(logits, (support.shape[-2], support.shape[-1])), size)
        truth = torch.full_like(masks[way], UNKNOWN, dtype=torch.long).masked_fill(masks[way] == 1, 1).masked_fill(background[way] == 1, 0)
        loss = loss + sum(known_entropy(enlarged[shot][None], truth[shot][None]) for shot in range(shots)) / shots / ways
    return loss


def known_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross-entropy of logits (B, C, H, W) where truth (B, H, W) is known, which is not 255; 0 where nothing is."""
    return cross_entropy(logits, truth, ignore_index=UNKNOWN) if bool((truth != UNKNOWN).any()) else logits.sum() * 0


def _enlarging(small: int, large: int) -> Tensor:
    """The matrix (large, small) of bilinear resizing between the centres of cells, along one axis."""
    return resize_grid(torch.eye(small)[:, :, None], (large, 1))[..., 0].T
