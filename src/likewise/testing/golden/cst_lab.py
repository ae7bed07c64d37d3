"""Golden files of the benchmarks of CST and its baselines: metrics, dataset items, episodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.functional import episode_metrics as scores
from likewise.testing.golden.case import Case


def metrics(case: Case) -> Mapping[str, Any]:
    """The scores of the meter that the case is about."""
    config = case.config
    if "labels" in config:
        return _panet(case)
    if "classes_of_fold" in config:
        return _pfenet(case)
    return _fscs(case) if "way" in config else _fss(case)


def _fscs(case: Case) -> Mapping[str, Any]:
    stored, classes = case.stored, list(case.config["class_ids"])
    slots, way = case.expected["inter"].shape[0], case.config["way"]
    totals = {}
    for name, ignored in (("official", None), ("removed", stored["void"] > 0)):
        total = np.zeros((2, slots), np.int64)
        for index, own in enumerate(stored["support_classes"]):
            unknown = None if ignored is None else ignored[index]
            total += scores.fscs_counts(scores.label_overlap(stored["pred"][index], stored["truth"][index], way + 1, unknown), own, slots)
        totals[name] = total
    return {
        "exact_ratio": scores.exact_ratio(stored["pred_presence"], stored["true_presence"]),
        "miou_official": scores.mean_class_iou(totals["official"], classes),
        "miou_void_removed": scores.mean_class_iou(totals["removed"], classes),
        "fbiou_official_counts": scores.fscs_fb_iou(totals["official"], classes),
        "fbiou_void_removed": scores.fscs_fb_iou(totals["removed"], classes),
        "inter": totals["official"][0],
        "union": totals["official"][1],
    }


def _fss(case: Case) -> Mapping[str, Any]:
    stored, pascal = case.stored, case.config["benchmark"] == "pascal"
    total = np.zeros((2, 2, case.expected["inter"].shape[1]), np.int64)
    for index, slot in enumerate(stored["class_id"]):
        total[:, :, slot] += scores.fss_counts(stored["pred"][index], stored["truth"][index], stored["void"][index] > 0 if pascal else None)
    miou, fbiou = scores.fss_scores(total, list(case.config["class_ids"]))
    return {"miou": miou, "fbiou": fbiou, "inter": total[0], "union": total[1]}


def _panet(case: Case) -> Mapping[str, Any]:
    stored, labels = case.stored, list(case.config["labels"])
    runs = []
    for predicted, truth, classes in zip(stored["pred"], stored["target"], stored["classes"], strict=True):
        counts = [scores.panet_counts(p, t, c, max(labels) + 1, official=True) for p, t, c in zip(predicted, truth, classes, strict=True)]
        runs.append(sum(counts))
    totals = np.stack(runs)
    return _over_runs(scores.panet_iou(totals)[:, labels], "") | _over_runs(scores.panet_iou(_binary(totals)), "binary_")


def _binary(totals: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([totals[..., 0], totals[..., 1:].sum(axis=-1)], axis=-1)


def _over_runs(iou: NDArray[np.float64], prefix: str) -> dict[str, Any]:
    means = iou.mean(axis=1)
    found = {"class_iou": iou.mean(axis=0), "mean_iou": means.mean(), "mean_std": means.std()}
    if not prefix:
        found |= {"class_std": iou.std(axis=0), "run_mean_iou": means}
    return {prefix + name: value for name, value in found.items()}


def _pfenet(case: Case) -> Mapping[str, Any]:
    stored = case.stored
    total = np.zeros((2, 2, case.config["classes_of_fold"]), np.int64)
    for index, slot in enumerate(stored["class_index"]):
        total[:, :, slot] += scores.fss_counts(stored["pred"][index], stored["truth"][index], stored["void"][index] > 0)
    miou, fbiou = scores.pfenet_scores(total)
    return {"miou": miou, "fbiou": fbiou}
