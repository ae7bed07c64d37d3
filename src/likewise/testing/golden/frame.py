"""What golden files of HSNet and ASNet share: seeded features and masks, and the frame around a learner."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case
from likewise.testing.golden.cst import tied

if TYPE_CHECKING:
    from torch import Tensor

    Correlate = Callable[[list[Tensor], list[Tensor], Tensor], list[Tensor]]  # levels of query and support, masks -> correlations
    Network = Callable[[list[Tensor], Tensor], Tensor]  # correlations and masks -> logits

CORRELATION = np.s_[:, :, ::2, ::3, ::4, ::3]


def framed(case: Case, counts: Sequence[int], correlate: Correlate, network: Network) -> Mapping[str, Any]:
    """Correlations, logits, log maps, answers and losses of a case; counts: maps of each level, deepest first."""
    import torch

    from likewise.functional.frame_losses import log_maps, mask_loss, presence_loss
    from likewise.layers.fscs import decide_by_votes

    config = case.config
    batch, way, (height, width) = config["batch"], config["way"], config["query_hw"]
    size = height, width
    query = [level.repeat_interleave(way, dim=0) for level in _levels(case, "query", batch, config["query_sizes"], counts)]
    shots: list[Tensor] = []
    found: dict[str, Any] = {}
    with torch.inference_mode():
        for k in range(config["shot"]):
            masks = _masks(case, k)
            pyramid = correlate(query, _levels(case, f"support.{k}", batch * way, config["support_sizes"], counts), masks)
            logits = network(pyramid, masks)
            shots.append(log_maps(logits).reshape(batch, way, *logits.shape[1:]))
            if k == 0:
                found = {f"corr{4 - place}_slice": level[CORRELATION] for place, level in enumerate(pyramid)}
                found["logits"] = logits.reshape(batch, way, *logits.shape[1:])
        one, _, merged = decide_by_votes(shots[0][None], size)
        truth = [seeded.image(f"gt.{b}", height, width, case.seed)[..., 0].astype(np.float32) for b in range(batch)]
        labels = torch.from_numpy(np.stack([plane > np.quantile(plane, 0.6) for plane in truth])).long()
        found |= {
            "seg_log_slice": merged[..., ::3, ::3],
            "pred_cls_1shot": one.present,
            "pred_seg_1shot": tied(one.labels, case.expected["pred_seg_1shot"]),
            "seg_loss": mask_loss(merged, labels, ignore=None),
        }
        if "weak_loss" in case.expected:
            found["weak_loss"] = presence_loss(shots[0], torch.tensor(config["presence"]))
        if "pred_cls_kshot" in case.expected:
            every, _, _ = decide_by_votes(torch.stack(shots), size)
            found |= {"pred_cls_kshot": every.present, "pred_seg_kshot": tied(every.labels, case.expected["pred_seg_kshot"])}
    return found


def weights(case: Case) -> dict[str, Tensor]:
    """The seeded tensors of the learner by their official names."""
    import torch

    return {name: torch.from_numpy(array) for name, array in case.weights().items()}


def _levels(case: Case, name: str, count: int, sizes: Sequence[int], counts: Sequence[int]) -> list[Tensor]:
    """Levels (X, T, C, h, w), deepest first; the file counts maps, widths and sizes from the shallowest."""
    import torch

    found, index = [], 0
    for maps, width, side in zip(reversed(counts), case.config["channels"], sizes, strict=True):
        shape = (count, width, side, side)
        arrays = [seeded.uniform(f"{name}.{index + place}", shape, case.seed, -0.6, 1.0) for place in range(maps)]
        index += maps
        found.append(torch.from_numpy(np.stack(arrays, axis=1)))
    return found[::-1]


def _masks(case: Case, shot: int) -> Tensor:
    """Masks (X, H, W) of a shot: n + 1 on the n-th class."""
    import torch

    config, side = case.config, case.config["mask_size"]
    found = []
    for b, n in itertools.product(range(config["batch"]), range(config["way"])):
        plane = seeded.image(f"mask.{b}.{n}.{shot}", side, side, case.seed)[..., 0].astype(np.float32)
        found.append((plane > np.quantile(plane, 1 - config["mask_fraction"])) * np.float32(n + 1))
    return torch.from_numpy(np.stack(found))
