"""What a task gains when it is fitted to the images that it labels (`--adapt`): on and off, mIoU and presence, on every draw.

    python benchmarks/adapt_folder.py [--preset fast] [--draws 2] [--page]

`analogy` learns from the split of a set and from 2 and 5 images a class; the queries of the draw are the unlabelled folder. "same" are the
queries as they are. "other" are darkened, yellowed and blurred, as another lamp and lens would, while the examples stay: what shifts
of features are for. One JSON a cell, bench/adapt_folder/PRESET/KIND/SHOTS/SET/DRAW.json; the tables stand in docs/adapt.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

import likewise
from common import BENCH, DOCS, Cell, cells, classes, need_shared, picture, read_json, shown, truth, write_json
from likewise.backbones import Prepared
from likewise.formats import list_images
from likewise.methods.base import Preset
from marks import between_marks
from measures import auroc

OUT, PAGE = BENCH / "adapt_folder", DOCS / "adapt.md"
SETS = ("camvid", "coco_mini", "crops", "landmark", "nuclei", "steel_defects", "tile_defects")
SHOTS, KINDS, WAYS = ("split", "2", "5"), ("same", "other"), ("off", "prior", "features", "both")
DARKER, LAMP, BLUR = 2.2, (1.0, 0.9, 0.75), 1.5  # the power of the grey values, the factors of red, green and blue, pixels


def altered(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A picture (H, W, 3) by another lamp and lens."""
    soft = cv2.GaussianBlur(pixels, (0, 0), BLUR)
    return np.asarray(np.clip(255 * (soft / 255.0) ** DARKER * np.array(LAMP), 0, 255), np.uint8)


def write_queries(cell: Cell, kind: str, folder: Path) -> Path:
    """The queries of a cell as a folder of pictures."""
    for name in cell.query:
        pixels = np.asarray(Image.open(picture(cell.set, name)).convert("RGB"))
        Image.fromarray(pixels if kind == "same" else altered(pixels)).save(folder / f"{name}.png")
    return folder


def scored(task: likewise.Task, cell: Cell, pictures: Sequence[Prepared]) -> dict[str, float | None]:
    """In per cent: mIoU over the classes in truth or answers; of presence, over classes of the examples, AUROC and right answers; its Brier score."""
    numbers, both, either = classes(cell.set), np.zeros(256), np.zeros(256)
    taught = {number for example in task.support.examples for number in numbers if example.labels.present(number)}
    said, true = [], []
    for name, image in zip(cell.query, pictures, strict=True):
        (answer,), there = task.predict_prepared([image]), truth(cell.set, name)
        got, holds = np.asarray(answer.labels), shown(cell.set, name)
        for number in numbers:
            a, b = (got == number) & (there != 255), there == number
            both[number] += (a & b).sum()
            either[number] += (a | b).sum()
        said += [answer.present[numbers[number]] for number in sorted(taught)] if holds is not None else []
        true += [number in holds for number in sorted(taught)] if holds is not None else []
    p, t = np.array(said), np.array(true)
    area = auroc(p, t)
    miou = 100 * float(np.mean([both[number] / either[number] for number in numbers if either[number]]))
    right = 100 * float(((p >= 0.5) == t).mean())
    return {"miou": miou, "auroc": None if np.isnan(area) else 100 * area, "brier": float(((p - t) ** 2).mean()), "right": right}


def measure(cell: Cell, kind: str, preset: Preset, cache: Path) -> dict[str, Any]:
    """A row: the scores of a task as it was learned, and adapted each way."""
    examples = [likewise.Example(picture(cell.set, name), name, label_map=truth(cell.set, name)) for name in cell.support]
    task = likewise.learn(likewise.Support(examples, classes=classes(cell.set)), preset=preset, cache=cache)
    with tempfile.TemporaryDirectory() as made:
        folder = write_queries(cell, kind, Path(made))
        listed, pictures = list_images(folder), [task.prepare(folder / f"{name}.png") for name in cell.query]
        row = {"off": scored(task, cell, pictures), "prior": scored(task.adapt(listed, "prior"), cell, pictures)}
        for way, without in (("features", "off"), ("both", "prior")):  # where no shift is found the answers are those without
            adapted = task.adapt(listed, way)
            row[way] = scored(adapted, cell, pictures) if adapted.memory.facts["adapted"]["shifted"] else row[without]
        return row


def table(preset: str, kind: str) -> Iterator[str]:
    """A line a set and number of images, means over the draws, then the mean gain over cells and in how many it is one."""
    yield "| set | images a class | draws | mIoU off | prior | features | both | AUROC off | features | Brier off | prior | features | both |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    rows: list[dict[str, Any]] = []
    for name in SETS:
        for shots in SHOTS:
            own = [read_json(path) for path in sorted((OUT / preset / kind / shots / name).glob("*.json"))]
            if own:
                rows += own
                yield " | ".join([f"| {name}", shots, str(len(own)), *_figures(own)]) + " |"
    if rows:
        for way in WAYS[1:]:
            gains = [row[way]["miou"] - row["off"]["miou"] for row in rows]
            briers = [row[way]["brier"] - row["off"]["brier"] for row in rows]
            told = f"mIoU {statistics.mean(gains):+.2f} ± {statistics.pstdev(gains):.2f}, higher in {sum(gain > 0 for gain in gains)}"
            right = statistics.mean(row[way]["right"] - row["off"]["right"] for row in rows)
            more = f"Brier {statistics.mean(briers):+.3f}, lower in {sum(each < 0 for each in briers)}; right about presence {right:+.1f} %"
            yield f"| **{way} against off** | | {len(rows)} | {told}; {more} | | | | | | | | | |"


def _figures(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield from (_mean([row[way]["miou"] for row in rows], ".1f") for way in WAYS)
    yield from (_mean([row[way]["auroc"] for row in rows], ".1f") for way in ("off", "features"))
    yield from (_mean([row[way]["brier"] for row in rows], ".3f") for way in WAYS)


def _mean(values: list[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(statistics.mean(known), form) if known else ""


def main() -> None:
    """Measure the cells that were not measured yet, then print the tables, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="fast", choices=("fast", "default"))
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--shots", nargs="+", default=list(SHOTS))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--page", action="store_true", help="also write the tables into their page")
    arguments = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    cache = Path(os.environ.get("LIKEWISE_FEATURES", BENCH / "features"))
    for kind in arguments.kinds:
        for cell in cells(arguments.sets, arguments.shots, arguments.draws):
            path = OUT / arguments.preset / kind / cell.place
            if read_json(path) is None:
                row = measure(cell, kind, arguments.preset, cache)
                write_json(path, row)
                print(kind, cell.set, cell.shots, cell.draw, {way: round(row[way]["miou"], 1) for way in WAYS}, flush=True)
        lines = list(table(arguments.preset, kind))
        print("\n".join(lines))
        if arguments.page:
            between_marks(PAGE, f"{kind} {arguments.preset}", lines)


if __name__ == "__main__":
    main()
