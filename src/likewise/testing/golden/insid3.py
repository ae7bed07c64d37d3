"""Golden files of INSID3 (`peer_insid3_*`): from maps of an encoder to a mask, with every step between; token masks; keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden.case import Case

if TYPE_CHECKING:
    from torch import Tensor


def insid3(case: Case) -> Mapping[str, Any]:
    """What the content of the case asks for."""
    import torch

    run = _keypoints if "points" in case.stored else _run if "features" in case.stored else _tokens
    with torch.inference_mode():
        return run(case)


def _tokens(case: Case) -> Mapping[str, Any]:
    return {"tokens": _token_masks(case).byte()}


def _run(case: Case) -> Mapping[str, Any]:
    import torch
    from torch.nn.functional import normalize

    from likewise.functional.debiasing import position_basis, without_positions
    from likewise.methods.insid3 import rule

    config, grid = case.config, case.stored["features"].shape[2:]
    raw = _rows(case.stored["features"])
    basis = position_basis(_rows(case.stored["blank_features"]), config["svd_components"])
    x, d, masks = normalize(raw, dim=2), without_positions(raw, basis), _token_masks(case)
    flat = masks.flatten(1)
    likest = rule.prototype(d[:-1], flat)
    forward = d[-1] @ likest
    chosen = rule.candidates(forward, rule.votes(rule.nearest(d[-1], d[:-1]), flat), len(flat))
    groups = rule.clustered(x[-1], d[-1], config["tau"])
    said = rule.judged(groups, chosen, forward, likest)
    kept = (said.combined > config["merge_threshold"])[groups.member].reshape(grid)
    found = {
        "projector_slice": (torch.eye(len(basis)) - basis @ basis.T)[::3, ::5],
        "debiased_slice": d.transpose(1, 2).reshape(case.stored["features"].shape)[:, ::4, ::3, ::3],
        "prototype": likest,
        "forward_similarity": forward.reshape(grid),
        "token_masks": masks.byte(),
        "candidates": chosen.reshape(grid).byte(),
        "clusters": groups.member.reshape(grid),
        "seed": said.seed,
        "seed_similarity": said.seed_similarity,
        "cross_similarity": said.cross,
        "intra_similarity": said.intra,
        "area_weight": said.area,
        "combined": said.combined,
        "token_mask": kept.byte(),
        "pred": np.packbits(_at_size(case, kept).numpy(), axis=-1),
    }
    return {name: value for name, value in found.items() if name in case.expected}


def _at_size(case: Case, kept: Tensor) -> Tensor:
    """The mask of an image of its original size, where the case has one."""
    from likewise.functional.resize import resize_grid
    from likewise.methods.insid3.rule import enlarged

    side = case.config["image_size"]
    return resize_grid(enlarged(kept, side), tuple(case.config.get("original_size", (side, side)))) > 0.5


def _keypoints(case: Case) -> Mapping[str, Any]:
    import torch
    from torch.nn.functional import normalize

    from likewise.functional.debiasing import position_basis, without_positions
    from likewise.methods.insid3.keypoints import matched

    config, grid = case.config, case.stored["features"].shape[2:]
    raw = _rows(case.stored["features"])
    basis = position_basis(_rows(case.stored["blank_features"]), config["svd_components"])
    points = torch.from_numpy(case.stored["points"])
    sizes = tuple(config["reference_size"]), tuple(config["target_size"])

    def found(tokens: Tensor) -> Tensor:
        one, other = tokens.reshape(2, *grid, -1)
        return matched(points, sizes[0], one, other, sizes[1], sigma=config["sigma"], temperature=config["temperature"])

    return {"matches_raw": found(normalize(raw, dim=2)), "matches_debiased": found(without_positions(raw, basis))}


def _rows(maps: np.ndarray[Any, Any]) -> Tensor:
    """Maps (..., C, h, w) as tokens (..., h*w, C)."""
    import torch

    return torch.from_numpy(maps).flatten(-2).transpose(-1, -2)


def _token_masks(case: Case) -> Tensor:
    """The stored masks on the grid: (E, h, w) bool."""
    import torch

    from likewise.methods.insid3.rule import token_mask

    side, grid = case.config["image_size"], case.config["grid"]
    masks = np.unpackbits(case.stored["masks"], axis=-1, count=side)
    return torch.stack([token_mask(torch.from_numpy(mask), (grid, grid)) for mask in masks])
