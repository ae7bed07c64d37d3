"""Scores of dense answers: normals, depth, edges, and every other value per pixel; over known pixels, pooled.

Tensors are (N, C, H, W) with values in 0..1, `known` (N, 1, H, W) of 0 and 1; each function gives one number or a few by
name. The published numbers of VTM, which count otherwise, stand beside them under `official_*`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, normalize

ANGLES = (11.25, 22.5, 30.0)
THRESHOLDS = tuple(step / 20 for step in range(1, 20))
EDGE = 0.5  # from where a true label is an edge


def angles(one: Tensor, other: Tensor) -> Tensor:
    """Degrees between vectors (N, 3, H, W) of any length: (N, H, W); a vector of zeros stays one."""
    first, second = normalize(one, dim=1), normalize(other, dim=1)
    return torch.rad2deg(2 * torch.atan2((first - second).norm(dim=1), (first + second).norm(dim=1)))


def official_normals(predicted: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """The published error of normals: the angle between colours in 0..1, not between normals, unknown pixels counting 0."""
    return (angles(predicted, truth) * known[:, 0]).mean()


def official_error(predicted: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """What is published as RMSE: the mean absolute error over all pixels, unknown ones counting 0."""
    return ((predicted - truth).abs() * known).mean()


def normal_errors(predicted: Tensor, truth: Tensor, known: Tensor) -> dict[str, float]:
    """Degrees between normals that are stored as (n + 1) / 2: mean, (lower) median, root mean square, shares within three angles."""
    error = angles(2 * predicted.double() - 1, 2 * truth.double() - 1)[known[:, 0].bool()]
    found = {"mean_deg": float(error.mean()), "median_deg": float(error.median()), "rmse_deg": float(error.square().mean().sqrt())}
    return found | {f"within_{angle:g}": float((error < angle).double().mean()) for angle in ANGLES}


def value_errors(predicted: Tensor, truth: Tensor, known: Tensor) -> dict[str, float]:
    """Absolute and root mean square errors over known pixels, and the mean over images of the root of each."""
    error = (predicted.double() - truth.double()).abs()
    mask = known.bool().expand_as(error)
    by_image = [own[valid].square().mean().sqrt() for own, valid in zip(error, mask, strict=True) if bool(valid.any())]
    pooled = error[mask]
    return {
        "mae": float(pooled.mean()),
        "rmse_pooled": float(pooled.square().mean().sqrt()),
        "rmse_image_mean": float(torch.stack(by_image).mean()) if by_image else float("nan"),
    }


def depth_errors(predicted: Tensor, truth: Tensor, known: Tensor) -> dict[str, float]:
    """Errors of depths above 0 in one unit, (N, H, W) each: root mean square, relative, and shares within 1.25, 1.25^2, 1.25^3."""
    mask = known.bool()
    found, wanted = predicted.double()[mask], truth.double()[mask]
    ratio = torch.maximum(found / wanted, wanted / found)
    errors = {"depth_rmse_m": float((found - wanted).square().mean().sqrt()), "depth_absrel": float(((found - wanted).abs() / wanted).mean())}
    return errors | {f"delta{power}": float((ratio < 1.25**power).double().mean()) for power in (1, 2, 3)}


def edge_counts(predicted: Tensor, truth: Tensor, known: Tensor, threshold: float, radius: int) -> Tensor:
    """Edge pixels that are right, claimed, found and to be found: (4,), which add up over images.

    A claimed pixel is right, and a true one found, if one of the other kind lies within a square of side 2 * radius + 1.
    """
    mask = known.bool().expand_as(truth)
    wanted, claimed = (truth >= EDGE) & mask, (predicted >= threshold) & mask
    right, found = claimed & _dilated(wanted, radius), wanted & _dilated(claimed, radius)
    return torch.stack([part.sum() for part in (right, claimed, found, wanted)]).double()


def f_score(counts: Tensor) -> float:
    """The harmonic mean of precision and recall, of pooled counts (4,); 0 where it is not defined."""
    right, claimed, found, wanted = counts.tolist()
    precision, recall = right / claimed if claimed else 0.0, found / wanted if wanted else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def edge_scores(predicted: Tensor, truth: Tensor, known: Tensor, radii: Sequence[int] = (0, 2)) -> dict[str, float]:
    """F-scores at the threshold 1/2 and at the best of nineteen, for each radius."""
    found: dict[str, float] = {}
    for radius in radii:
        scores = {threshold: f_score(edge_counts(predicted, truth, known, threshold, radius)) for threshold in THRESHOLDS}
        found |= {f"f_at_0.5_r{radius}": scores[0.5], f"f_best_r{radius}": max(scores.values())}
    return found


def binary_counts(predicted: Tensor, truth: Tensor) -> Tensor:
    """Intersection and union of background and foreground, binary maps of one shape: (2, 2), first axis intersection, union."""
    pairs = [(predicted == value, truth == value) for value in (0, 1)]
    return torch.stack([torch.stack([(one & other).sum() for one, other in pairs]), torch.stack([(one | other).sum() for one, other in pairs])])


def binary_iou(counts: Tensor) -> Tensor:
    """Intersection over union, (2, ...) -> (...); 0 where nothing was seen, as in the published code."""
    return counts[0] / counts[1].clamp_min(1)


def _dilated(mask: Tensor, radius: int) -> Tensor:
    return max_pool2d(mask.float(), 2 * radius + 1, 1, radius) > 0
