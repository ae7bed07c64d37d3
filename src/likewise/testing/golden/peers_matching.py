"""Golden files of Matcher, PerSAM and GF-SAM (`peer_matcher_*`, `peer_persam_*`, `peer_gfsam_*`): all that is free of the promptable network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden.case import Case

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

EQUAL = 1e-6  # by which a point may be less extreme than the extreme
VALUE = 255  # at which the picture of a mask is white


def matcher(case: Case) -> Mapping[str, Any]:
    """Token masks, both assignments, points, their box, and the scores of given masks."""
    import torch

    from likewise.functional.matching import cosine
    from likewise.methods.matcher.matching import around, matched, pixels, token_mask
    from likewise.methods.matcher.scores import scored

    config = case.config
    side, patch, grid = config["image_size"], config["patch"], (config["grid"],) * 2
    features = _tensor(case, "features")
    objects = torch.cat([token_mask(torch.from_numpy(mask), patch) for mask in _masks(case, "masks", side)])
    similarity = cosine(features[:-1].flatten(0, 1), features[-1])
    pairs = matched(similarity, objects)
    points = pixels(pairs.points(), grid[1], patch)
    scores = scored(_masks(case, "candidate_masks", side), points, similarity[objects], grid)
    return {
        "token_mask": objects.to(torch.uint8),
        "forward": pairs.forward,
        "reverse": pairs.back,
        "kept": pairs.kept.astype(np.uint8),
        "similarity": pairs.similarity,
        "points": points,
        "box": around(points),
        "scores": torch.stack([scores.purity, scores.coverage, scores.emd], dim=1),
    }


def persam(case: Case) -> Mapping[str, Any]:
    """The token mask of a mask's picture, embedding, prior, points and attention bias."""
    import torch

    from likewise.methods.persam.prior import attention_bias, embedding, official_size, official_tokens, points, prior

    config = case.config
    side, grid = config["sam_size"], (config["grid"],) * 2
    mask, value = _masks(case, "mask", config["reference_size"][1]), config["mask_value"]
    picture = np.zeros((*mask.shape, 3), np.uint8)
    picture[mask] = (value, value if value == VALUE else 0, value if value == VALUE else 0)
    objects = official_tokens(picture, side, grid)
    reference, target = (_tensor(case, name).flatten(1).T for name in ("reference", "target"))
    mean = embedding(reference, objects.flatten())
    coarse = prior(target, mean).reshape(grid)
    whole = official_size(coarse, side, tuple(config["input_size"]), tuple(config["target_size"]))
    top, last = points(whole)
    return {
        "token_mask": objects.to(torch.uint8),
        "embedding": mean[None],
        "similarity_coarse": coarse[::3, ::3],
        "similarity_slice": whole[::5, ::5],
        "top": _extreme(whole, top, case.expected["top"]),
        "last": _extreme(whole, last, case.expected["last"]),
        "attention_slice": attention_bias(whole, grid)[::7],
    }


def gf_sam(case: Case) -> Mapping[str, Any]:
    """Priors, points, the graph of given masks, both gates and the answer."""
    import torch

    from likewise.functional.resize import resize_corners
    from likewise.methods.gf_sam.graph import SELECTED, gates, labels_of
    from likewise.methods.gf_sam.priors import cosines, filtered, over_tokens, points, priors

    config = case.config
    side, grid = config["image_size"], (config["grid"],) * 2
    *references, target = (over_tokens(tokens) for tokens in _tensor(case, "features"))
    shares = resize_corners(torch.from_numpy(_masks(case, "masks", side)).float(), grid).flatten(1)
    found = priors([(cosines(tokens, target), share, 1 - share) for tokens, share in zip(references, shares, strict=True)])
    hot = filtered(found)
    chosen = points(hot, grid[1], config["max_points"])
    masks = torch.from_numpy(_masks(case, "sam_masks", side))
    gate = gates(masks, chosen, found, cosines(target, target), grid)
    foreground = _of_equals(gate.foreground, masks, gate.graph.clusters, grid, case.expected["foreground"])
    labels = labels_of(foreground, gate.steady, gate.scores)
    return {
        "prior_max": found.largest.reshape(grid),
        "prior_mean": found.mean.reshape(grid),
        "negative_mean": found.negative.reshape(grid),
        "filtered": hot.reshape(grid),
        "points": chosen,
        "prompts": chosen * side / config["grid"],
        "components": gate.graph.clusters,
        "strong_components": np.int32(gate.graph.strong),
        "foreground": foreground,
        "class_scores": gate.scores,
        "labels": labels,
        "mask": np.packbits(masks[labels == SELECTED].any(dim=0).numpy(), axis=-1),
    }


def _tensor(case: Case, name: str) -> Tensor:
    import torch

    return torch.from_numpy(case.stored[name])


def _masks(case: Case, name: str, width: int) -> NDArray[np.bool_]:
    return np.unpackbits(case.stored[name], axis=-1, count=width).astype(bool)


def _extreme(values: Tensor, found: tuple[int, int], expected: NDArray[Any]) -> NDArray[Any]:
    """The expected pixel (1, 2), x before y, if its value in a map (H, W) is as extreme as that of the one that was found."""
    (x, y), (height, width) = expected.reshape(2).tolist(), values.shape
    inside = 0 <= x < width and 0 <= y < height
    same = inside and abs(float(values[y, x]) - float(values[found[1], found[0]])) <= EQUAL
    return expected if same else np.array([found])


def _of_equals(foreground: Tensor, masks: Tensor, clusters: Tensor, grid: tuple[int, int], expected: NDArray[Any]) -> Tensor:
    """The expected flags if they are those found (M,) but for which of equal masks of a cluster has them, which a sort without order decides."""
    import torch

    from likewise.functional.resize import resize_grid

    if expected.shape != tuple(foreground.shape):
        return foreground
    rows = torch.cat([clusters[:, None].float(), resize_grid(masks.float(), grid).flatten(1)], dim=1)
    group = torch.unique(rows, dim=0, return_inverse=True)[1]
    theirs = torch.from_numpy(expected.astype(bool))
    same = torch.equal(torch.bincount(group, foreground.float()), torch.bincount(group, theirs.float()))
    return theirs if same else foreground
