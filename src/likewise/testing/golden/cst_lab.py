"""Golden files of the benchmarks of CST and its baselines: metrics, dataset items, episodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.functional import episode_metrics as scores
from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case
from likewise.testing.golden.kinds import Judged

if TYPE_CHECKING:
    from likewise.episodes.folds import OfficialName
    from likewise.episodes.lists import ImageList, Split
    from likewise.episodes.sampling import Episode

TRAINING_SEED = 3  # of NumPy before a training item, as the notes of these files say


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


def item(case: Case) -> Mapping[str, Any]:
    """The tensors of one episode, drawn anew from the lists, of seeded pictures and stored label maps."""
    from likewise.episodes.items import fscs_item
    from likewise.episodes.sampling import fscs_episode

    config = case.config
    training = config["split"] == "trn"
    images = _list(case, f"{config['benchmark']}", config["fold"], config["split"])
    random = np.random.RandomState(TRAINING_SEED) if training else None
    episode = fscs_episode(images, config["index"], config["way"], config["shot"], random)
    made = fscs_item(episode, _Stored(case, episode), side=config["size"], training=training)
    found = {
        "query_img": made.query,
        "query_mask": made.query_mask,
        "support_imgs_slice": made.supports[..., ::3, ::3],
        "support_masks": made.support_masks,
        "support_classes": made.classes,
        "query_class_presence": made.present,
        "org_query_imsize": np.array(made.size[::-1]),
        "query_ignore_idx": made.query_void,
        "support_ignore_idxs": made.support_void,
    }
    return {name: value for name, value in found.items() if name in case.expected}


def episodes(case: Case) -> Mapping[str, Any]:
    """Every episode drawn anew; all must be the expected ones."""
    wrong = sum(_wrong(case, entry, part) for part in ("fs_cs", "fs_s", "train") for entry in case.meta.get(part, ()))
    return {"episodes": Judged(float("inf") if wrong else 0.0)}


class _Stored:
    """The pictures of a case: seeded by file stem, label maps as stored."""

    def __init__(self, case: Case, episode: Episode) -> None:
        places = {name: f"support_label_map.{way}.{shot}" for way, names in enumerate(episode.supports) for shot, name in enumerate(names)}
        self._case, self._keys = case, places | {episode.query: "query_label_map"}

    def image(self, name: str) -> NDArray[np.uint8]:
        stem = PurePosixPath(name).stem
        height, width = self._case.config["sizes_hw"][stem]
        return seeded.image(stem, height, width, self._case.seed)

    def labels(self, name: str) -> NDArray[np.uint8]:
        return np.asarray(self._case.stored[self._keys[name]], np.uint8)


def _list(case: Case, benchmark: str, fold: int, split: Split) -> ImageList:
    from likewise.episodes.lists import read_list

    name: OfficialName = "pascal-5i" if benchmark == "pascal" else "coco-20i"
    return read_list(name, case.folders.benchmarks / name, fold, split)


def _wrong(case: Case, entry: Mapping[str, Any], part: str) -> int:
    """How many episodes of a setting differ."""
    from likewise.episodes.sampling import fscs_episode, fss_episode

    images = _list(case, entry["benchmark"], entry["fold"], "trn" if part == "train" else "val")
    numbered = entry["episodes"] if part == "train" else [[index, *episode] for index, episode in enumerate(entry["episodes"])]
    random = np.random.RandomState(entry["numpy_seed_before_first"]) if part == "train" else None
    wrong = int(part == "train" and entry["length"] != images.length)
    for index, *expected in [*numbered, *entry.get("more", ())]:
        if part == "fs_s":
            found = fss_episode(images, index, entry["shot"], official=True)
            wrong += [_plain(found.query), found.classes[0], [_plain(name) for name in found.supports[0]]] != expected
        else:
            found = fscs_episode(images, index, entry["way"], entry["shot"], random)
            wrong += [_plain(found.query), list(found.classes), [[_plain(name) for name in names] for names in found.supports]] != expected
    return wrong


def _plain(name: str) -> str | int:
    """A name of Pascal as it is, of COCO as the number of its image."""
    stem = PurePosixPath(name).stem
    return int(stem.rpartition("_")[2]) if stem.startswith("COCO_") else stem
