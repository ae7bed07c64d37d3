"""N-way K-shot episodes: every method that takes masks, boxes and points over the number of classes, on coco_mini and camvid.

    python benchmarks/nway.py [--checkpoint FILE] [--method NAME ...] [--episodes N] [--slow N] [--seeds N] [--only SET ...] [--shots N ...]
                              [--kinds KIND ...] [--page]

Each row is `likewise evaluate METHOD SET --frame nway --folds 1 --way N --shot K --support KIND --seed S`; one that was stopped goes on, and more
episodes follow fewer. `--checkpoint` is one of label-anything; `--slow` are the episodes of `analogy`. Curves stand in bench/nway.png, the
table in docs/methods/labels.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from common import BENCH, DATA, DOCS, need_shared, read_json, write_json
from likewise.episodes.evaluation import Contender, Runner, Setting
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.record import scores_of
from marks import between_marks
from target_curves import COLOURS, Points, figure, panel

OUT, PAGE, MARK = BENCH / "nway", DOCS / "methods" / "labels.md", "n-way"
LEAST = {"coco_mini": 4, "camvid": 1}  # images of a class
WAYS = {"coco_mini": {1: (1, 2, 5, 10, 20)}, "camvid": {1: (1, 2, 5, 10), 5: (1, 2, 5)}}  # by shots, as far as the data carry all images different
KINDS: Mapping[str, Mapping[str, Any]] = {"masks": {}, "boxes": {"labelling": "box"}, "three points": {"labelling": "point", "points": 3}}
MOST = 20  # ways from which on masks alone are measured
FAST, SLOW, TRAINED = ("prototype", "ridge", "nearest", "cst"), "analogy", "label-anything"


@dataclass(frozen=True)
class Cell:
    """What a row is measured in."""

    set: str
    shot: int
    way: int
    kind: str
    seed: int

    def place(self, method: str) -> Path:
        """The folder of a row."""
        return OUT / self.set / f"{self.way}way-{self.shot}shot" / self.kind.replace(" ", "-") / str(self.seed) / method

    def setting(self, episodes: int) -> Setting:
        """The setting of `likewise evaluate`."""
        return Setting(frame="nway", way=self.way, shot=self.shot, episodes=episodes, seed=self.seed, **KINDS[self.kind])


@cache
def benchmark(name: str) -> LabelledBenchmark:
    """A set with all its classes in one fold."""
    return LabelledBenchmark.open(DATA / name, folds=1, least=LEAST[name])


def cells(only: Sequence[str], seeds: int, shots: Sequence[int] = (1, 5), kinds: Sequence[str] = tuple(KINDS)) -> Iterator[Cell]:
    """One seed after the other, so that a bench that is cut short is of use; five shots after one, these and many ways with masks alone."""
    for seed in range(1, seeds + 1):
        for shot in shots:
            for name in only or WAYS:
                for way in WAYS[name].get(shot, ()):
                    for kind in kinds if shot == 1 and way < MOST else ("masks",):
                        yield Cell(name, shot, way, kind, seed)


def contender(method: str, checkpoint: str | None) -> Contender:
    """A method at its preset `fast`; the checkpoint is that of label-anything."""
    return Contender(method=method, preset="fast", checkpoint=checkpoint if method == TRAINED else None)


def measure(runner: Runner, cell: Cell, episodes: int) -> dict[str, Any]:
    """A row, written beside the journal of its episodes."""
    folder, start = cell.place(runner.contender.label), time.perf_counter()
    before = len((folder / "episodes.jsonl").read_bytes().splitlines()) if (folder / "episodes.jsonl").exists() else 0
    found = runner.evaluate(benchmark(cell.set), cell.setting(episodes), folder)
    seconds = (time.perf_counter() - start) / max(1, len(found.outcomes) - before)
    row = {"episodes": len(found.outcomes), "scores": scores_of(found, cell.setting(episodes)).values(), "seconds": seconds, "weights": runner.weights}
    write_json(folder / "row.json", row)
    return row


def rows_of(method: str, cell: Cell, seeds: int) -> list[dict[str, Any]]:
    """The rows of a method in a cell by seed."""
    each = (read_json(Cell(cell.set, cell.shot, cell.way, cell.kind, seed).place(method) / "row.json") for seed in range(1, seeds + 1))
    return [row for row in each if row is not None]


def measured() -> list[str]:
    """The methods of which there are rows."""
    return [name for name in (SLOW, *FAST, TRAINED) if next(OUT.glob(f"*/*/*/*/{name}/row.json"), None)]


def table(methods: Sequence[str], seeds: int) -> list[str]:
    """A line for each set, number of shots and ways and kind of labels: mIoU and its deviation over the seeds, of the same episodes alone."""
    lines = ["| set | shots | ways | labels | episodes | " + " | ".join(f"`{name}`" for name in methods) + " |", "|---" * (5 + len(methods)) + "|"]
    for cell in sorted(cells((), 1), key=lambda one: (one.set, one.shot, one.way)):
        episodes, values = alike(methods, cell, seeds)
        if episodes:
            shown = [_told(values[name], seeds) for name in methods]
            lines.append(f"| {cell.set} | {cell.shot} | {cell.way} | {cell.kind} | {seeds} x {episodes} | " + " | ".join(shown) + " |")
    return lines


def alike(methods: Sequence[str], cell: Cell, seeds: int) -> tuple[int, dict[str, list[float]]]:
    """How many episodes a seed the longest rows of a cell have, and by method the mIoU of its rows of as many: like is compared with like."""
    rows = {name: rows_of(name, cell, seeds) for name in methods}
    most = max((row["episodes"] for found in rows.values() for row in found), default=0)
    return most, {name: [row["scores"]["miou"] for row in found if row["episodes"] == most] for name, found in rows.items()}


def _told(values: Sequence[float], seeds: int) -> str:
    """Mean and deviation; how many seeds it is of where some are missing."""
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}" + ("" if len(values) == seeds else f" ({len(values)})")


def curves(methods: Sequence[str], seeds: int) -> None:
    """A panel for each set and kind of labels with one shot: mIoU over the ways, a line a method."""
    colours = dict(zip(methods, COLOURS, strict=False))
    lines: dict[tuple[str, str], dict[str, Points]] = {}
    for cell in cells((), 1):
        for name, values in alike(methods, cell, seeds)[1].items() if cell.shot == 1 else ():
            if values:
                point = (cell.way, statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0)
                lines.setdefault((cell.set, cell.kind), {}).setdefault(name, []).append(point)
    panels = [panel(f"{name}, {kind}: mIoU over ways", found, colours) for (name, kind), found in lines.items()]
    figure(panels, colours).save(BENCH / "nway.png", optimize=True)


def main() -> None:
    """Measure what was not measured yet; then write the table if asked, and the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="a checkpoint of label-anything")
    parser.add_argument("--method", nargs="+", default=[*FAST, TRAINED, SLOW])
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--slow", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--page", action="store_true", help="measure nothing, write the table")
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    if arguments.page:
        between_marks(PAGE, MARK, table(measured(), arguments.seeds))
        curves(measured(), arguments.seeds)
        return
    names = [name for name in arguments.method if name != TRAINED or arguments.checkpoint]
    runners = [Runner(contender(name, arguments.checkpoint), Path(os.environ["LIKEWISE_FEATURES"])) for name in names]
    for cell in cells(arguments.only, arguments.seeds, arguments.shots, arguments.kinds):
        for runner in runners:
            episodes = arguments.slow if runner.contender.label == SLOW else arguments.episodes
            if (read_json(cell.place(runner.contender.label) / "row.json") or {}).get("episodes") != episodes:
                row = measure(runner, cell, episodes)
                print(cell, runner.contender.label, {name: round(value, 1) for name, value in row["scores"].items()}, f"{row['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
