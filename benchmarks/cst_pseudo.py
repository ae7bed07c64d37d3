"""How well pseudo masks of CST fit true masks: mean IoU by kind of class, of pictures that are trained on, so that tests stay unseen.

    python benchmarks/cst_pseudo.py [../shared/data/classes_train] [--backbone auto] [--pictures 100] [--side 280]

Beside each way to make them: the whole picture, and a box in its middle (a quarter of each side away from the border). Of
"attention" and "tokens" the published threshold 0.4 and the best of a sweep, which is chosen by these true masks.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from common import BENCH, write_json
from likewise.backbones import FeatureSpec
from likewise.episodes.labelled import LabelledBenchmark
from likewise.functional.resize import resize_nearest
from likewise.methods.cst.pseudo import cosines_of, pseudo_mask, pseudo_masks
from likewise.task.learning import Place, open_provider
from likewise.training.sources import class_mask

SWEEP = [round(0.4 + 0.01 * step, 2) for step in range(40)]


def main() -> None:
    """Measure, print and write bench/cst_pseudo.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data/classes_train"))
    parser.add_argument("--backbone", default="auto")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--side", type=int, default=280)
    asked = parser.parse_args()
    benchmark, provider = LabelledBenchmark.open(asked.data), open_provider(asked.backbone, Place("cpu"))
    spec, size = FeatureSpec(layers=(), side=asked.side, squash=True, qk=True), (asked.side, asked.side)
    kinds = json.loads((asked.data / "dataset.json").read_text()).get("class_kind", {})
    numbers = {name: number for number, names in benchmark.images("train", 0).by_class.items() for name in names}
    chosen = np.random.default_rng(0).permutation(sorted(numbers))[: asked.pictures]
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name in chosen:
        truth = resize_nearest(class_mask(benchmark, name, numbers[name]), size)
        (item,) = provider.extract([provider.prepare(benchmark.source(name), [spec])], spec)
        box = torch.zeros(size, dtype=torch.bool)
        box[asked.side // 4 : -(asked.side // 4), asked.side // 4 : -(asked.side // 4)] = True
        masks = {"whole picture": torch.ones_like(box), "box in the middle": box, "walk": pseudo_mask(item, item, size, "walk")}
        for source in ("attention", "tokens"):
            cosines = cosines_of(item, item, source).mean(dim=0)[None]
            masks |= {f"{source} {cut}": pseudo_masks(cosines, size, cut)[0] for cut in SWEEP}
        for way, mask in masks.items():
            for kind in ("all", kinds.get(benchmark.class_names[numbers[name]], "other")):
                found[way][kind].append(_iou(mask, truth))
    table = {way: {kind: round(100 * fmean(values), 1) for kind, values in by_kind.items()} for way, by_kind in found.items()}
    shown = ["whole picture", "box in the middle", "walk"]
    for source in ("attention", "tokens"):
        shown += [f"{source} 0.4", max((way for way in table if way.startswith(source)), key=lambda way: table[way]["all"])]
    for way in shown:
        print(f"{way:20s} {table[way]}")
    write_json(BENCH / "cst_pseudo.json", {"backbone": provider.backbone.name, "side": asked.side, "pictures": len(chosen), "iou": table})


def _iou(mask: Tensor, truth: Tensor) -> float:
    known, is_so = truth != 255, truth == 1
    return float((mask & is_so & known).sum() / ((mask | is_so) & known).sum().clamp_min(1))


if __name__ == "__main__":
    main()
