"""What is missed and named in vain by `--max-miss`, beside the plain rule "probability above a half", on images that were not learned from.

    python benchmarks/deciding.py [--methods analogy analogy:fast prototype] [--sets NAME ...] [--draws 5] [--page]

Each fixed draw of 5 and 10 images a class, each set's own split, and halves of each set at random (the one case in which examples are certain to be drawn
like the queries) are learned once. The presence of each class on the left-out examples and on the queries is kept, one JSON a set and method ("analogy:fast" is
its preset), bench/deciding/METHOD/SET.json, so that any share that may be missed is tried at no cost. Counted are pairs of an image and a class with at
least `FEWEST` left-out examples. The table stands in docs/deciding.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import likewise
from common import BENCH, DATA, DOCS, Cell, cells, classes, need_shared, picture, read_json, shown, truth, write_json
from likewise.functional.shares import share_interval
from likewise.methods.base import PRESENCE_LEFT_OUT
from likewise.task.deciding import ASKED, Rule, rules_of
from marks import between_marks

HALF = "half"
OUT, PAGE, MARK = BENCH / "deciding", DOCS / "deciding.md", "deciding"
SETS, SHOTS, METHODS = (
    ("tile_defects", "steel_defects", "landmark", "camvid", "coco_mini"),
    ("split", "5", "10", HALF),
    ("analogy", "analogy:fast", "prototype"),
)
RATES, FEWEST = (0.01, 0.05, 0.1, 0.2), 4
TRIED = 0.5  # any share: the scores that are kept are the same for all


class Counts(NamedTuple):
    """Pairs of an image and a class: how many that are there were missed, and how many that are not were named; promised: misses to expect at most."""

    missed: int = 0
    there: int = 0
    alarms: int = 0
    without: int = 0
    promised: float = 0.0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(one + two for one, two in zip(self, other, strict=True)))


def drawn(name: str, draws: int) -> list[Cell]:
    """The fixed draws of a set, its split, and halves of its labelled images by chance."""
    names = sorted(path.stem for path in (DATA / name / "masks").glob("*.png"))
    names = [one for one in names if shown(name, one) is not None]
    halves = []
    for draw in range(draws):
        shuffled = np.random.default_rng(draw).permutation(names).tolist()
        halves.append(Cell(name, HALF, draw, tuple(shuffled[: len(names) // 2]), tuple(shuffled[len(names) // 2 :])))
    return [*cells([name], SHOTS, draws), *halves]


def measure(cell: Cell, method: str, cache: Path) -> dict[str, Any]:
    """What a task of one draw says of its left-out examples and of the queries: {class: [[probability, whether it is there], ...]}."""
    start = time.perf_counter()
    support = likewise.Support(
        [likewise.Example(picture(cell.set, one), one, label_map=truth(cell.set, one)) for one in cell.support], classes=classes(cell.set)
    )
    named, _, preset = method.partition(":")
    task = likewise.learn(support, method=named, preset="fast" if preset == "fast" else "default", cache=cache, thumbnails=False, max_miss=TRIED)
    learned = time.perf_counter() - start
    queries: dict[str, list[list[float]]] = {name: [] for name in classes(cell.set).values()}
    for one in cell.query:
        there = shown(cell.set, one)
        if there is not None:
            present = task.predict(picture(cell.set, one)).present
            for number, name in classes(cell.set).items():
                queries[name].append([present[name], float(number in there)])
    left_out = task.memory.facts[PRESENCE_LEFT_OUT]
    return {"shots": cell.shots, "draw": cell.draw, "seconds": learned, "left_out": left_out, "queries": {name: queries[name] for name in left_out}}


def counted(row: dict[str, Any], max_miss: float | None) -> Counts:
    """One draw by a rule; max_miss: None for the plain rule."""
    rules = _rules(row, RATES[0] if max_miss is None else max_miss)
    total = Counts()
    for name, rule in rules.items():
        limit = 0.5 if max_miss is None else rule.threshold
        there = [p for p, known in row["queries"][name] if known]
        without = [p for p, known in row["queries"][name] if not known]
        promised = 0.0 if max_miss is None else rule.promised * len(there)
        total = total.plus(Counts(sum(p < limit for p in there), len(there), sum(p >= limit for p in without), len(without), promised))
    return total


def _rules(row: dict[str, Any], max_miss: float) -> dict[str, Rule]:
    """The rules of the classes with enough left-out examples."""
    facts = {PRESENCE_LEFT_OUT: row["left_out"], ASKED: max_miss}
    rules = rules_of(facts, dict(enumerate(row["left_out"])))
    return {name: rule for name, rule in rules.items() if rule.shown >= FEWEST}


def pooled(rows: Iterable[dict[str, Any]], max_miss: float | None) -> Counts:
    """Draws together."""
    total = Counts()
    for row in rows:
        total = total.plus(counted(row, max_miss))
    return total


def table(sets: Sequence[str], methods: Sequence[str]) -> Iterator[str]:
    """A line a set, number of images and method: the plain rule, then each share that may be missed."""
    yield (
        "| set | images a class | draws | method | examples left out | pairs there | probability 0.5 | "
        + " | ".join(f"asked {100 * rate:g} %" for rate in RATES)
        + " |"
    )
    yield "|---" * (7 + len(RATES)) + "|"
    everything: dict[str, list[dict[str, Any]]] = {method: [] for method in methods}
    for name in sets:
        for shots in SHOTS:
            for method in methods:
                rows = [row for row in read_json(OUT / method / f"{name}.json") or [] if row["shots"] == shots and _rules(row, RATES[0])]
                everything[method] += rows
                if rows:
                    yield f"| {name} | {shots} | {len(rows)} | {method} | {_examples(rows)} | {pooled(rows, None).there} | {_cells(rows)} |"
    for method, measured in everything.items():
        for named, own in (("fixed draws", [row for row in measured if row["shots"] != HALF]), ("halves", [row for row in measured if row["shots"] == HALF])):
            if own:
                yield f"| **all {named}** | | {len(own)} | {method} | {_examples(own)} | {pooled(own, None).there} | {_cells(own)} |"


def _examples(rows: Sequence[dict[str, Any]]) -> str:
    counts = [rule.shown for row in rows for rule in _rules(row, RATES[0]).values()]
    return f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else str(counts[0])


def _cells(rows: Sequence[dict[str, Any]]) -> str:
    return " | ".join(_told(rows, rate) for rate in (None, *RATES))


def _told(rows: Sequence[dict[str, Any]], max_miss: float | None) -> str:
    """Missed with its deviation over draws, what was promised, and false alarms, in per cent."""
    total = pooled(rows, max_miss)
    each = [100 * own.missed / own.there for own in (counted(row, max_miss) for row in rows) if own.there]
    spread = f" ± {statistics.pstdev(each):.0f}" if len(each) > 1 else ""
    missed = 100 * total.missed / total.there
    promised = "" if max_miss is None else f" (≤ {100 * total.promised / total.there:.0f})"
    low = 100 * share_interval(total.missed, total.there)[0]
    worse = max_miss is not None and low > 100 * total.promised / total.there
    said = f"**{missed:.0f}{spread}**" if worse else f"{missed:.0f}{spread}"
    return f"{said}{promised}; {100 * total.alarms / total.without:.0f}" if total.without else f"{said}{promised}; none without"


def main() -> None:
    """Measure what was not measured yet, then print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--page", action="store_true", help="also write the table into its page")
    arguments = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    cache = Path(os.environ.get("LIKEWISE_FEATURES", BENCH / "features"))
    for method in arguments.methods:
        for name in arguments.sets:
            path = OUT / method / f"{name}.json"
            rows = read_json(path) or []
            known = {(row["shots"], row["draw"]) for row in rows}
            for cell in drawn(name, arguments.draws):
                if (cell.shots, cell.draw) not in known:
                    rows.append(measure(cell, method, cache))
                    write_json(path, rows)
                    print(method, name, cell.shots, cell.draw, f"{rows[-1]['seconds']:.1f} s", flush=True)
    lines = list(table(arguments.sets, arguments.methods))
    print("\n".join(lines))
    if arguments.page:
        between_marks(PAGE, MARK, lines)


if __name__ == "__main__":
    main()
