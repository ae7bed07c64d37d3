"""Proposals: how many true masks they hold, and what they do for labels, beside pixels on the same features.

    python benchmarks/proposals.py [set ...] [--draws 2] [--shots 1] [--masks CHECKPOINT] [--preset default]

Rows are added to those in bench/proposals; the table goes to docs/methods/proposals.md. Labels are scored by ../shared/tools/score.py on its own draws.
Recall and seconds are of the queries of the first draw, seconds without the backbone.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import likewise
from common import BENCH, DATA, DOCS, Cell, cells, classes, need_shared, picture, read_json, score, shown, truth, write_json
from likewise.backbones import FeatureProvider
from likewise.backbones.registry import load_backbone
from likewise.functional.recall import overlaps, recall
from likewise.proposals.merging import superpixels
from likewise.proposals.opening import open_source
from likewise.proposals.source import Proposals, Source, covered_mean
from marks import between_marks

BACKBONE = "dinov2-reg-small-sphere"
SETS, COLUMNS = ("objects", "subjects", "landmark", "nuclei", "coco_mini"), ("proposals", "oracle", "analogy", "+ proposals", "+ superpixels", "prototype")
MARK = "measured"
Labels = NDArray[np.integer[Any]]


class Proposer:
    """Proposals and superpixels of pictures by path, kept."""

    def __init__(self, source: Source) -> None:
        self.source, self.provider, self.seconds = source, FeatureProvider(load_backbone(BACKBONE), device=torch.device("cpu")), list[float]()
        self.at = cache(self._at)

    def _at(self, path: Path) -> NDArray[np.bool_]:
        spec = self.source.wants()
        (item,) = self.provider.extract([self.provider.prepare(path, [spec])], spec)
        start = time.process_time()
        found = self.source.propose(item).masks.numpy() > 0.5
        self.seconds.append(time.process_time() - start)
        return found


def sized(masks: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Masks (N, H, W) at a size, by the nearest pixel."""
    height, width = size
    return np.stack([cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) for mask in masks] or [np.zeros(size)]).astype(bool)


def true_masks(name: str, image: str) -> NDArray[np.bool_]:
    """The true masks (T, H, W) of an image: of its instances where the set has them, else of its classes."""
    labels = truth(name, image)
    if name == "coco_mini":
        return np.stack(polygons(image, labels.shape) or [np.zeros(labels.shape, bool)])
    apart = DATA / name / "instances" / f"{image}.png"
    parts = np.asarray(Image.open(apart)) if apart.exists() else np.where(labels == 255, 0, labels)
    return np.stack([parts == number for number in np.unique(parts) if number] or [np.zeros(labels.shape, bool)])


def polygons(image: str, size: tuple[int, ...]) -> list[NDArray[np.bool_]]:
    """The instances of an image of coco_mini that are no crowd."""
    facts = json.loads((DATA / "coco_mini" / "instances.json").read_text())
    number = next(entry["id"] for entry in facts["images"] if Path(entry["file_name"]).stem == image)
    found = []
    for entry in facts["annotations"]:
        if entry["image_id"] == number and not entry.get("iscrowd"):
            drawn = Image.new("1", (size[1], size[0]))
            for outline in entry["segmentation"]:
                ImageDraw.Draw(drawn).polygon(outline, fill=1)
            found.append(np.asarray(drawn))
    return found


def recalled(cell: Cell, proposer: Proposer) -> list[float]:
    """Recall in percent at an IoU of 0.5 and 0.75 over the queries of a cell."""
    best = []
    for image in cell.query:
        masks, truths = sized(proposer.at(picture(cell.set, image)), truth(cell.set, image).shape), true_masks(cell.set, image)
        truths = truths[truths.any(axis=(1, 2))]
        known = torch.from_numpy(truth(cell.set, image) != 255)
        best.append(overlaps(torch.from_numpy(masks), torch.from_numpy(truths), known).amax(dim=0))
    return [100 * share for share in recall(torch.cat(best))]


def oracle(cell: Cell, proposer: Proposer, path: Path) -> Labels:
    """Labels of the proposal that overlaps each class of the truth most, the best of all on top."""
    labels = truth(cell.set, path.stem)
    masks, numbers = sized(proposer.at(path), labels.shape), sorted(shown(cell.set, path.stem) or ())
    found = np.zeros(labels.shape, np.int64)
    if numbers:
        match = overlaps(torch.from_numpy(masks), torch.from_numpy(np.stack([labels == number for number in numbers])), torch.from_numpy(labels != 255))
        for place in match.amax(dim=0).argsort().tolist():
            found[masks[int(match[:, place].argmax())]] = numbers[place]
    return found


def refined(scores: NDArray[np.floating[Any]], masks: NDArray[np.bool_]) -> Labels:
    """Labels of scores (N+1, H, W), each pixel the mean over the masks that cover it, the smaller counting more; its own where none does."""
    small, values = torch.from_numpy(masks).float(), torch.from_numpy(scores.astype(np.float32))
    size = (masks.shape[2], masks.shape[1])
    at = torch.from_numpy(np.stack([cv2.resize(score, size, interpolation=cv2.INTER_AREA) for score in values.numpy()])).flatten(1)
    areas = small.sum(dim=(1, 2)).clamp_min(1)
    means = small.flatten(1) @ at.T / areas[:, None]
    mixed = covered_mean(Proposals(small), means, areas**-0.5)
    mixed = torch.where(small.amax(dim=0) > 0, mixed, at.reshape(mixed.shape))
    whole = torch.nn.functional.interpolate(mixed[None], values.shape[1:], mode="bilinear", align_corners=False)[0]
    return np.asarray(whole.argmax(dim=0))


def fine(path: Path) -> NDArray[np.bool_]:
    """The superpixels of a picture as masks (R, h, w)."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((224, 224))
    regions = superpixels(np.asarray(image), 50, 1 / 1500)
    return regions[None] == np.arange(regions.max() + 1)[:, None, None]


def labelled(cell: Cell, proposer: Proposer, masks: str, preset: str) -> dict[str, float]:
    """The mIoU in percent of each column on a cell."""

    def learned(method: str, **settings: Any) -> Callable[[Any], Any]:
        return lambda support: likewise.learn(support, method=method, backbone=BACKBONE, **settings)

    kept: dict[Path, Any] = {}

    def analogy(support: Any) -> Any:
        task = learned("analogy", preset=preset)(support)
        return SimpleNamespace(predict=lambda path: kept.setdefault(path, task.predict(path)))

    def over(find: Callable[[Path], NDArray[np.bool_]], support: Any) -> Any:
        return SimpleNamespace(predict=lambda path: SimpleNamespace(labels=refined(np.asarray(kept[path].scores), find(path))))

    def best(support: Any) -> Any:
        return SimpleNamespace(predict=lambda path: SimpleNamespace(labels=oracle(cell, proposer, path)))

    ways = (learned("proposals", masks=masks), best, analogy, partial(over, proposer.at), partial(over, fine), learned("prototype"))
    pairs = zip(COLUMNS, ways, strict=True)
    return {column: score().semantic(DATA / cell.set, classes(cell.set), list(cell.support), list(cell.query), way)["miou"] for column, way in pairs}


def table(rows: dict[str, Any]) -> list[str]:
    """The rows as markdown."""
    lines = ["| set, images a class; preset of `analogy` | recall@0.5 | @0.75 | seconds | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 4) + "|"]
    for name, row in rows.items():
        told = [f"{np.mean(values):.1f} ({min(values):.1f}..{max(values):.1f})" for values in row["miou"].values()]
        lines.append(f"| {name} | {row['recall'][0]:.0f} | {row['recall'][1]:.0f} | {row['seconds']:.2f} | " + " | ".join(told) + " |")
    return lines


def written() -> None:
    """Put all rows into the page, by source of the masks and preset."""
    rows: dict[str, Any] = {}
    for path in sorted((BENCH / "proposals").glob("*.json"), reverse=True):
        masks, _, preset = path.stem.rpartition("-")
        whose = "" if masks == "regions" else "; masks of a trained segmenter"
        rows |= {f"{name}; `{preset}`{whose}": row for name, row in read_json(path).items()}
    between_marks(DOCS / "methods" / "proposals.md", MARK, ["", *table(rows)])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--shots", default="1")
    parser.add_argument("--masks", default="regions", help="as the setting of `proposals`: a checkpoint of mm-former that was trained here, a folder of SAM")
    parser.add_argument("--preset", default="fast", choices=("fast", "default"), help="of analogy")
    told = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    kept = BENCH / "proposals" / f"{Path(told.masks).stem}-{told.preset}.json"
    rows: dict[str, Any] = read_json(kept) or {}
    for shots in told.shots.split(","):
        for name in told.sets:
            drawn = cells([name], [shots], told.draws)
            if drawn:
                proposer = Proposer(open_source(told.masks, count=100, side=448))
                recalls = recalled(drawn[0], proposer)
                seconds = float(np.mean(proposer.seconds))
                found = [labelled(cell, proposer, told.masks, told.preset) for cell in drawn]
                row = {"draws": len(found), "recall": recalls, "seconds": seconds, "miou": {column: [one[column] for one in found] for column in COLUMNS}}
                rows[f"{name}, {shots}"] = row
                print(table({f"{name}, {shots}": row})[-1], flush=True)
                write_json(kept, rows)
                written()


if __name__ == "__main__":
    main()
