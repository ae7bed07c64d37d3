"""Golden files of the parts of CST and of the rules that its baselines share (`cst_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case
from likewise.testing.golden.kinds import Judged

if TYPE_CHECKING:
    from torch import Tensor

TIES = 0.001  # share of the pixels of a label map that may differ


def tied(found: Any, expected: NDArray[Any]) -> Judged:
    """The verdict on a label map of which some pixels are ties."""
    array = np.asarray(found)
    if array.shape != expected.shape:
        return Judged(float("inf"))
    return Judged(float(np.mean(array != expected)) / TIES)


def packed(found: Tensor, expected: NDArray[np.uint8]) -> Judged:
    """The verdict on a binary mask (X, H, W) whose expected rows are packed into bits."""
    width = found.shape[-1]
    if expected.shape != (*found.shape[:-1], -(-width // 8)):
        return Judged(float("inf"))
    return tied(found.numpy(), np.unpackbits(expected, axis=-1, count=width).astype(bool))


def position_embedding(case: Case) -> Mapping[str, Any]:
    """The table resized by the official rule (factor with 0.1) and by the plain one (target size)."""
    import torch

    from likewise.backbones.position import resize_position_embedding

    recipe = case.meta["inputs"]["pos_embed"]
    table = torch.from_numpy(seeded.uniform(recipe["uniform"], recipe["shape"], case.seed))
    stored = (case.config["grid"], case.config["grid"])
    wanted = (case.config["rows"], case.config["columns"])
    return {
        "official": resize_position_embedding(table, stored, wanted, "factor"),
        "plain": resize_position_embedding(table, stored, wanted, "size"),
    }


def pseudo_mask(case: Case) -> Mapping[str, Any]:
    """Cosine maps and binary masks of query and support, from seeded queries and keys of the last block."""
    import torch

    from likewise.methods.cst.pseudo import head_cosines, pseudo_masks

    config = case.config
    way, cells = config["way"], config["cells"]
    class_query, support_keys = (part for part in _queries_and_keys(case, "support", config["batch"] * way))
    query_keys = _queries_and_keys(case, "query", config["batch"])[1].repeat_interleave(way, dim=0)
    cosines = {name: head_cosines(class_query, keys).mean(dim=1).reshape(-1, cells, cells) for name, keys in (("support", support_keys), ("query", query_keys))}
    present = torch.tensor(config["presence"], dtype=torch.bool).reshape(-1, 1, 1)
    query = pseudo_masks(cosines["query"], tuple(config["resize"]), config["thr"]) & present
    support = pseudo_masks(cosines["support"], (config["imgsize"], config["imgsize"]), config["thr"])
    return {
        "query_cosine": cosines["query"],
        "support_cosine": cosines["support"],
        "query_mask": packed(query, case.expected["query_mask"]),
        "support_mask": packed(support, case.expected["support_mask"]),
    }


def losses(case: Case) -> Mapping[str, Any]:
    """The objective of CST and its two terms."""
    import torch

    from likewise.methods.cst.objective import cst_loss

    batch, size = case.config["batch"], case.config["size"]
    class_logits = torch.from_numpy(seeded.uniform("logits_cls", (batch, 1, 2), case.seed, -3, 3))
    mask_logits = torch.from_numpy(seeded.uniform("logits_seg", (batch, 1, 2, size, size), case.seed, -3, 3))
    present = torch.from_numpy(seeded.uniform("presence", (batch, 1), case.seed) > 0)
    masks = torch.from_numpy(seeded.uniform("mask", (batch, size, size), case.seed) > 0.3)
    found = cst_loss(class_logits[:, 0], mask_logits[:, 0], present[:, 0], masks, weight=case.config["lambda"])
    return {"loss": found.total, "cls": found.classes, "seg": found.masks}


def shots(case: Case) -> Mapping[str, Any]:
    """One answer from several classes and shots, by the rule that the case names."""
    if "map" in case.config:
        return _shots_of_frame(case)
    return _shots_of_cst(case) if "way" in case.config else _shots_by_vote(case)


def _shots_of_cst(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.layers.fscs import decide, mean_over_shots

    way, size = case.config["way"], (case.config["height"], case.config["width"])
    logits = torch.stack([_enlarged(case, shot, way * 2, 4.0, size).reshape(1, way, 2, *size) for shot in range(case.config["shot"])])
    classes = torch.stack([torch.from_numpy(seeded.uniform(f"cls.{shot}", (1, way, 2), case.seed, -2, 2)) for shot in range(case.config["shot"])])
    by_class, by_pixel = mean_over_shots(classes), mean_over_shots(logits)
    answer = decide(by_class, by_pixel)
    return {
        "cls_prob": by_class,
        "seg_prob_slice": by_pixel[:, :, 1, ::3, ::3],
        "pred_cls": answer.present,
        "pred_seg": tied(answer.labels, case.expected["pred_seg"]),
    }


def _shots_of_frame(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.layers.fscs import decide_by_votes

    config = case.config
    way, size, cells = config["way"], (config["height"], config["width"]), tuple(config["map"])
    maps = []
    for shot in range(config["shot"]):
        logits = _enlarged(case, shot, way * 2, 3.0, cells).reshape(1, way, 2, *cells)
        for index in range(way):
            logits[:, index, 1] -= 9 * ((shot + 2 * index) % 5 < (2, 3, 1)[index]) - 0.5
        maps.append(torch.log_softmax(logits, dim=2))
    answer, votes, merged = decide_by_votes(torch.stack(maps), size)
    first, _, _ = decide_by_votes(maps[0][None], size)
    return {
        "pred_cls": answer.present.to(torch.uint8),
        "pred_seg": tied(answer.labels, case.expected["pred_seg"]),
        "votes": votes.float(),
        "merged_log_slice": merged[..., ::3, ::3],
        "first_pred_cls": first.present.to(torch.uint8),
        "first_pred_seg": tied(first.labels, case.expected["first_pred_seg"]),
    }


def _shots_by_vote(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.layers.fscs import vote_foreground

    config = case.config
    votes = torch.zeros(config["batch"], config["height"], config["width"], dtype=torch.int64)
    for shot in range(config["shot"]):
        logits = _enlarged(case, shot, config["batch"], 3.0, (config["height"], config["width"]), channels=2)
        logits[:, 1] -= 1.2
        logits[1:2, 1] -= 2.4
        votes += logits.argmax(dim=1)
    pred = vote_foreground(votes, config["shot"], official=True)
    return {"votes": tied(votes.numpy(), case.expected["votes"]), "pred": tied(pred.numpy(), case.expected["pred"])}


def _enlarged(case: Case, shot: int, count: int, bound: float, size: tuple[int, ...], channels: int = 1) -> Tensor:
    """The seeded maps (count, channels, H, W) of a shot."""
    import torch
    from torch.nn.functional import interpolate

    low = torch.from_numpy(seeded.uniform(f"seg.{shot}", (count, channels, 6, 7), case.seed, -bound, bound))
    return interpolate(low, size=size, mode="bicubic", align_corners=False)


def _queries_and_keys(case: Case, name: str, count: int) -> tuple[Tensor, Tensor]:
    """The query of the class token (n, A, d) and the keys of all patches (n, A, P, d) of seeded last blocks."""
    import torch

    from likewise.functional.resize import resize_corners

    heads, cells, width = case.config["heads"], case.config["cells"], case.config["head_dim"]
    low = torch.from_numpy(seeded.uniform(f"{name}.qkv", (3 * count * heads * width, 1, 5, 5), case.seed))
    patches = resize_corners(low, (cells, cells)).reshape(3, count, heads, width, cells * cells).transpose(-1, -2)
    first = torch.from_numpy(seeded.uniform(f"{name}.qkv.cls", (3, count, heads, 1, width), case.seed))
    return first[0, :, :, 0], patches[1]
