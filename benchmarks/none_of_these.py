"""How often a classifier of whole pictures says "none of these", of classes it knows and of others, beside the rate that it was asked for.

    python benchmarks/none_of_these.py [--method prototypical ...] [--draws 60] [--page]

Each draw takes five of the twelve test classes of caltech_mini as those that have examples and four others as foreign; ten pictures of each
are asked about. With examples of none, these are of three further classes, two pictures each. Draws are by number, the same for all rows.
The table stands in docs/methods/classifiers.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from common import DATA, DOCS, need_shared
from likewise.backbones import FeatureProvider, FeatureSpec, ImageFeatures
from likewise.data import ClassTable, Support
from likewise.data.prediction import NONE_FROM
from likewise.data.resolve import Labels
from likewise.data.support import LabelledImage
from likewise.episodes.classification.benchmark import ClassBenchmark, Item
from likewise.episodes.classification.opening import open_classes
from likewise.functional.intervals import mean_interval
from likewise.methods.base import Method, Query
from likewise.task.learning import Place, learn_memory, make_method, open_provider
from marks import between_marks

PAGE, MARK = DOCS / "methods" / "classifiers.md", "none of these"
KNOWN, FOREIGN, OTHERS, QUERIES = 5, 4, 3, 10


@dataclass(frozen=True)
class Row:
    """Examples a class, pictures that show none, and the rate that is asked for (None: as it is by default)."""

    shot: int
    others: int
    reject: float | None

    @property
    def title(self) -> str:
        """The first two cells of its line."""
        shown = str(self.shot) + (f", and {self.others} examples of none" if self.others else "")
        return f"{shown} | {'none' if not self.reject else self.reject}"


ROWS = (Row(5, 0, 0.0), Row(5, 0, 0.05), Row(5, 0, 0.1), Row(5, 0, 0.2), Row(10, 0, 0.05), Row(10, 0, 0.1), Row(10, 0, 0.2), Row(5, 6, 0.05), Row(1, 6, 0.05))


@dataclass(frozen=True)
class Draw:
    """Items of the classes that have examples, of the foreign ones, and of the classes that examples of none are of."""

    known: list[list[Item]]
    foreign: list[list[Item]]
    others: list[Item]


class Said:
    """Shares of one draw: known pictures that are refused, foreign ones that are, known ones that get their class."""

    def __init__(self, answers: NDArray[np.integer], truth: NDArray[np.integer]) -> None:
        known = truth >= 0
        self.refused = float((answers[known] < 0).mean())
        self.recognised = float((answers[~known] < 0).mean())
        self.right = float((answers[known] == truth[known]).mean())


class Seen:
    """Features of the pictures of a benchmark, made once."""

    def __init__(self, method: Method, provider: FeatureProvider, benchmark: ClassBenchmark) -> None:
        self.wishes, self.provider, self.benchmark = method.wants(), provider, benchmark
        self._features: dict[Item, dict[FeatureSpec, ImageFeatures]] = {}

    def features(self, item: Item) -> dict[FeatureSpec, ImageFeatures]:
        """What the method reads of a picture."""
        if item not in self._features:
            prepared = self.provider.prepare(self.benchmark.picture(item), self.wishes)
            self._features[item] = {spec: self.provider.extract([prepared], spec)[0] for spec in self.wishes}
        return self._features[item]


def drawn(benchmark: ClassBenchmark, index: int) -> Draw:
    """The classes and items of a draw; items of a class in a drawn order."""
    random, items = np.random.default_rng([0, index]), benchmark.part("test").items
    rows = [[items[place][each] for each in random.permutation(len(items[place]))] for place in random.permutation(len(items))]
    return Draw(rows[:KNOWN], rows[KNOWN : KNOWN + FOREIGN], [item for row in rows[KNOWN + FOREIGN :] for item in row[: 6 // OTHERS]])


def asked(row: Row, draw: Draw, method: Method, seen: Seen) -> Said:
    """What the method says of the pictures of a draw."""
    table = ClassTable({way + 1: f"class {way + 1}" for way in range(KNOWN)})
    shown = [(item, Labels((1, 1), label=way + 1)) for way, items in enumerate(draw.known) for item in items[: row.shot]]
    shown += [(item, Labels((1, 1), tags=dict.fromkeys(table.numbers, False))) for item in draw.others[: row.others]]
    examples = [LabelledImage(str(place), f"{place:04d}", labels) for place, (_, labels) in enumerate(shown)]
    memory = learn_memory(method, Support.of(examples, table, {}), [seen.features(item) for item, _ in shown])
    queries = [(item, way) for way, items in enumerate(draw.known) for item in items[-QUERIES:]]
    queries += [(item, -1) for items in draw.foreign for item in items[:QUERIES]]
    features = {spec: [seen.features(item)[spec] for item, _ in queries] for spec in seen.wishes}
    with torch.inference_mode():
        found = [raw.probabilities for raw in method.predict([Query((1, 1)) for _ in queries], features, memory)]
    answers = [-1 if float(1 - each.sum()) >= NONE_FROM else int(each.argmax()) for each in found if each is not None]
    return Said(np.array(answers), np.array([way for _, way in queries]))


def measured(name: str, draws: Sequence[Draw], seen: Seen) -> list[str]:
    """The lines of a method's table."""
    lines = [
        f"`{name}`:",
        "",
        "| examples a class | asked for | known images refused | other images recognised | known images right |",
        "|---|---|---|---|---|",
    ]
    for row in ROWS:
        method = make_method(name, "default", {"reject": row.reject})
        said = [asked(row, draw, method, seen) for draw in draws]
        cells = [mean_interval([100 * value for value in values], "sample") for values in zip(*((s.refused, s.recognised, s.right) for s in said), strict=True)]
        lines.append(f"| {row.title} | " + " | ".join(f"{mean:.1f} ± {half:.1f} %" for mean, half in cells) + " |")
        print(lines[-1], flush=True)
    return [*lines, ""]


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", nargs="+", default=["prototypical"])
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--page", action="store_true", help="write it into the page")
    given = parser.parse_args()
    need_shared()
    benchmark = open_classes(str(DATA / "caltech_mini"))
    method = make_method(given.method[0], "default", {})
    seen = Seen(method, open_provider("auto", Place(), method), benchmark)
    draws = [drawn(benchmark, index) for index in range(given.draws)]
    lines = [line for name in given.method for line in measured(name, draws, seen)]
    if given.page:
        between_marks(PAGE, MARK, lines)


if __name__ == "__main__":
    main()
