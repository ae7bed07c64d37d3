"""Every method on every set at 1, 2, 5 and 10 images a class and on each set's own split, by `../shared/tools/score.py` unchanged.

    python benchmarks/accuracy.py [--only METHOD-PRESET ...] [--shots split 1 2 5 10] [--sets NAME ...] [--draws K] [--shard i/n]

One JSON a row, bench/accuracy/METHOD-PRESET[-SIDE]/SHOTS/SET/DRAW.json: scores, counts by query, what was said of presence
and confidence, what was chosen, memory, and hashes of the weights and of the code. A row that is there is not made again
unless other code made it (`--stale keep` leaves it). Other methods run at 448 and at the working size that `analogy` chose
for the same draw; the preset `best` runs on first draws only. `--shard 1/2` and `--shard 2/2` in two terminals share the work.

Features are kept in bench/features, so that every image goes through the backbone once: the seconds in these rows are
without most of it, and are not reported as speed.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import likewise
from answers import Recorder, elsewhere
from common import BENCH, DATA, SHOTS, Cell, cells, classes, depth_sets, forget_peak, need_shared, peak_mb, read_json, score, write_json
from likewise.methods import available
from likewise.methods.base import Preset
from likewise.methods.registry import method_class
from provenance import code_key

OUT = BENCH / "accuracy"
OURS = "analogy"
ASKED = ("analogy-fast", "analogy-default")  # whose tasks of first draws are also asked about images of other sets


@dataclass(frozen=True)
class Variant:
    """A method as it is measured: its preset, and settings over it under a word that names the folder."""

    method: str
    preset: Preset
    word: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """METHOD-PRESET or METHOD-PRESET-WORD."""
        return "-".join(part for part in (self.method, self.preset, self.word) if part)


def variants() -> list[Variant]:
    """`analogy` under every preset, then the others, which have one; those that need a checkpoint are measured in episodes."""
    others = [Variant(name, "default") for name in available() if name != OURS and not method_class(name).trained]
    return [Variant(OURS, "fast"), Variant(OURS, "default"), Variant(OURS, "best"), *others]


def measure(variant: Variant, cell: Cell) -> dict[str, Any]:
    """A row: one task learned and scored by score.py, with what it said, chose and took."""
    tasks: list[Recorder] = []

    def learn(support: likewise.Support) -> Recorder:
        tasks.append(Recorder(likewise.learn(support, method=variant.method, preset=variant.preset, **variant.settings)))
        return tasks[-1]

    forget_peak()
    start = time.perf_counter()
    if cell.set in depth_sets():
        scores = score().depth(DATA / cell.set, list(cell.support), list(cell.query), learn)
    else:
        scores = score().semantic(DATA / cell.set, classes(cell.set), list(cell.support), list(cell.query), learn)
    seconds, peak = time.perf_counter() - start, peak_mb()
    (recorder,) = tasks
    task = recorder.task
    facts = task.memory.facts
    asked = variant.folder in ASKED and cell.draw == 0 and cell.set not in depth_sets()
    return {
        **{"method": variant.method, "preset": variant.preset, "word": variant.word, "set": cell.set, "shots": cell.shots, "draw": cell.draw},
        **scores,
        **{"seconds": seconds, "peak_mb": peak, "n_queries": len(cell.query), "support": list(cell.support)},
        **{"side": facts.get("side", getattr(task.method.settings, "side", None)), "choice": facts.get("choice"), "left_out": facts.get("left_out")},
        **{"answers": recorder.said, "elsewhere": elsewhere(task, cell) if asked else {}},
        **{"weights": task.weights["backbone"], "code": code_key(variant.method)},
    }


def at_other_sides(row: Mapping[str, Any] | None, others: Iterable[Variant]) -> Iterator[Variant]:
    """The other methods at the working size that a row of ours chose, where it is not their own."""
    side = row["side"] if row else None
    for other in others:
        names = {item.name: item.default for item in dataclasses.fields(method_class(other.method).Settings)}
        if side is not None and names.get("side", side) != side:
            yield dataclasses.replace(other, word=str(side), settings={"side": side})


class Bench:
    """Rows below a folder: made where they are missing or stale; what failed is told at the end and the rest goes on."""

    def __init__(self, out: Path, *, keep_stale: bool = False) -> None:
        self.out, self.keep_stale, self.failed = out, keep_stale, list[str]()

    def row(self, variant: Variant, cell: Cell) -> dict[str, Any] | None:
        """The row of a variant in a cell; None if it failed."""
        path = self.out / variant.folder / cell.place
        kept: dict[str, Any] | None = read_json(path)
        stale = kept is not None and kept["code"] != code_key(variant.method)
        if kept is not None and (not stale or self.keep_stale):
            return kept
        print("again, the code changed:" if stale else "running", variant.folder, cell.place.with_suffix(""), flush=True)
        try:
            write_json(path, measure(variant, cell))
        except Exception:  # a run of a night goes on with the other rows; the exit status tells
            traceback.print_exc()
            self.failed.append(f"{variant.folder}/{cell.place}")
            return None
        made: dict[str, Any] = read_json(path)
        return made


def run(bench: Bench, cell: Cell, only: Iterable[str]) -> None:
    """Every wanted row of a cell, ours first, since it says at which working size the others run too."""
    wanted = [variant for variant in variants() if variant.folder in only and (variant.preset != "best" or cell.draw == 0)]
    for variant in wanted:
        bench.row(variant, cell)
    ours = read_json(bench.out / f"{OURS}-default" / cell.place)
    for variant in at_other_sides(ours, [variant for variant in wanted if variant.method != OURS]):
        bench.row(variant, cell)


def shard(text: str) -> tuple[int, int]:
    """The i and n of "i/n", 1 <= i <= n. ValueError otherwise."""
    index, _, count = text.partition("/")
    if not 1 <= int(index) <= int(count):
        raise ValueError(f"{text} is no share of the work: give 1/2 or 2/2, say")
    return int(index), int(count)


def arguments_of(text: str | None) -> argparse.ArgumentParser:
    """The options that every bench over cells has."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", nargs="*", default=list(SHOTS), choices=SHOTS)
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--draws", type=int, help="only the first so many draws")
    parser.add_argument("--shard", type=shard, default=(1, 1), help="i/n: the i-th of n shares of the work")
    parser.add_argument("--stale", choices=("again", "keep"), default="again", help="what becomes of rows that other code made")
    return parser


def main() -> None:
    """Measure everything that was not measured yet."""
    parser = arguments_of(__doc__)
    parser.add_argument("--only", nargs="*", default=[variant.folder for variant in variants()])
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    bench = Bench(OUT, keep_stale=arguments.stale == "keep")
    index, count = arguments.shard
    for cell in cells(arguments.sets, arguments.shots, arguments.draws)[index - 1 :: count]:
        run(bench, cell, arguments.only)
    if bench.failed:
        sys.exit(f"failed: {', '.join(bench.failed)}")


if __name__ == "__main__":
    main()
