"""Targets that are no classes, learned by several methods from the same few images and compared with the mean of the support.

    python benchmarks/targets.py [--method METHOD[:KEY=VALUE,...] ...] [--checkpoint FILE] [--only FAMILY ...] [--shots N ...] [--draws N] [--docs]

Depth and normals of `rgbd`, and strength of edges made from the images of the same frames; soft masks, corners and saliency,
made from masks and pictures of `subjects`; the density of `nuclei` from the centres of its instances; the four points of
`keypoints_mouse`. From 1, 2, 5 and 10 images (`rgbd` has six to learn from), three draws each; see target_families.py.
A method may stand there several times with other settings: analogy vtm vtm:matching=global. The checkpoint is for those that
need one. One JSON a row, bench/targets/METHOD/FAMILY/SHOTS/DRAW.json; a row that is there is not made again unless other
code or another checkpoint made it. `--docs` writes the table into docs/targets.md from what was measured, and the curves
over the number of images into bench/targets/curves.png.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import likewise
from common import BENCH, DOCS, need_shared, read_json, write_json
from likewise import Prediction, Support, Task
from likewise.cli.learn import parse_settings
from likewise.data import ClassTable
from likewise.labelling.scoring import Scorer, ScoreTotals
from likewise.labelling.support_mean import SupportMean
from likewise.methods.registry import method_class
from marks import between_marks
from provenance import code_key
from target_families import Family, InMemory, families

OUT = BENCH / "targets"
METHODS = ("analogy", "ridge", "nearest")
SHOWN = 2  # scores of a family in the table


@dataclasses.dataclass(frozen=True)
class Variant:
    """A method with settings, as asked for: METHOD[:KEY=VALUE,...]; checkpoint: the file, for methods that are trained."""

    asked: str
    checkpoint: str | None = None

    @property
    def method(self) -> str:
        """The method's name."""
        return self.asked.partition(":")[0]

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings."""
        return parse_settings([pair for pair in self.asked.partition(":")[2].split(",") if pair])

    def learn(self, support: Support) -> Task:
        """The task of a support."""
        own = {"checkpoint": self.checkpoint} if method_class(self.method).trained else {}
        return likewise.learn(support, method=self.method, **own, **self.settings)

    def code(self) -> str:
        """What a row was made by: the method's code, and its checkpoint."""
        own = _digest(self.checkpoint) if method_class(self.method).trained and self.checkpoint else ""
        return code_key(self.method) + own


@cache
def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def measure(family: Family, variant: Variant, support: Sequence[str], query: Sequence[str]) -> dict[str, Any]:
    """A row: one task, its scores on the queries, and those of the support's mean."""
    given = support_of(family, support)
    start = time.perf_counter()
    task = variant.learn(given)
    learned = time.perf_counter() - start
    truth = InMemory(family, given.keypoints)
    scorer = Scorer(truth, ClassTable(family.classes), family.targets, given.keypoints)  # type: ignore[arg-type]  # it asks for no more than this
    ours, mean = ScoreTotals(), ScoreTotals()
    start = time.perf_counter()
    for name in query:
        prediction = task.predict(family.example(name).image)
        for totals, answer in ((ours, prediction), (mean, support_mean(given, prediction))):
            compared = scorer.compare(name, answer)
            if compared is not None:
                totals.add(compared)
    each = (time.perf_counter() - start) / len(query)
    scores = [flat(totals.scores() or {}) for totals in (ours, mean)]
    return {"scores": scores[0], "mean": scores[1], "left_out": task.left_out, "learn_s": learned, "each_s": each, "weights": task.weights}


def support_of(family: Family, names: Sequence[str]) -> Support:
    """The examples of a family with these names."""
    return Support([family.example(name) for name in names], classes=dict(family.classes) or None, targets=dict(family.targets))


def support_mean(support: Support, answer: Prediction) -> Prediction:
    """The answer of one who looks at the examples alone, no class where there are but classes."""
    mean = SupportMean.of(support)
    return dataclasses.replace(answer, labels=np.zeros_like(answer.labels)) if mean is None else mean.prediction(answer)


def flat(scores: dict[str, Any]) -> dict[str, float]:
    """The scores of the one target, of all keypoints, or of all classes."""
    if "keypoints" in scores:
        found: dict[str, float] = scores["keypoints"]["all"]
        return found
    return next(iter(scores["dense"].values()), {"miou": scores["miou"]})


def rows_of(asked: str, name: str, family: Family, shots: str) -> dict[int, dict[str, Any]]:
    """The measured rows of a variant by draw."""
    paths = {index: OUT / asked / name / shots / f"{index}.json" for index in range(len(family.draws[shots]))}
    return {index: row for index, path in paths.items() if (row := read_json(path)) is not None}


def alike(names: Sequence[str], name: str, family: Family, shots: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of variants that have any, of the draws that all of these have: like is compared with like."""
    rows = {asked: found for asked in names if (found := rows_of(asked, name, family, shots))}
    shared = sorted(set.intersection(*(set(found) for found in rows.values()))) if rows else []
    return {asked: [found[index] for index in shared] for asked, found in rows.items()}


def measured() -> list[str]:
    """The variants of which there are rows: those without training first, then by name; regions stand in docs/matching.md."""
    found = {path.name for path in OUT.glob("*") if path.is_dir() and path.name not in ("pictures", "vtm:matching=region")}
    return [*(name for name in METHODS if name in found), *sorted(found.difference(METHODS))]


def table(names: Sequence[str]) -> list[str]:
    """A line for each family, number of images and score: every variant beside the support's mean, with the spread over draws."""
    lines = ["| target | images | draws | score | mean | " + " | ".join(f"`{name}`" for name in names) + " |", "| --- " * (5 + len(names)) + "|"]
    for name, family in families().items():
        for shots in family.draws:
            rows = alike(names, name, family, shots)
            some = next(iter(rows.values()), [])
            for score, words, factor in family.shown[:SHOWN] if some else ():
                cells = [spread([factor * row["scores"][score] for row in rows.get(asked, [])]) for asked in names]
                mean = spread([factor * row["mean"][score] for row in some])
                lines.append(f"| {name} | {shots} | {len(some)} | {words} | {mean} | " + " | ".join(cells) + " |")
    return lines


def spread(values: Sequence[float]) -> str:
    """The mean of values and, of several, their standard deviation.

    >>> spread([]), spread([1.25]), spread([1.0, 2.0, 3.0])
    ('-', '1.25', '2 ± 1')
    """
    if len(values) < 2:
        return f"{values[0]:.3g}" if values else "-"
    return f"{statistics.mean(values):.3g} ± {statistics.stdev(values):.2g}"


def cells(only: Sequence[str], shots: Sequence[str], draws: int) -> Iterator[tuple[str, Family, str, int]]:
    """What is to be measured: family, number of images and draw, the first draws of all first."""
    found = families()
    for index in range(draws):
        for name, family in found.items():
            for count, given in family.draws.items():
                if (not only or name in only) and (not shots or count in shots) and index < len(given):
                    yield name, family, count, index


def main() -> None:
    """Measure what was not measured yet, then write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", nargs="+", default=list(METHODS))
    parser.add_argument("--checkpoint")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--shots", nargs="*", default=[])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--docs", action="store_true")
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    variants = [Variant(asked, arguments.checkpoint) for asked in arguments.method]
    for name, family, shots, index in cells(arguments.only, arguments.shots, arguments.draws):
        for variant in variants:
            path, code = OUT / variant.asked / name / shots / f"{index}.json", variant.code()
            if (read_json(path) or {}).get("code") != code:
                support, query = family.draws[shots][index]
                row = measure(family, variant, support, query)
                write_json(path, {"family": name, "shots": shots, "support": list(support), **row, "code": code})
                score = family.shown[0][0]
                told = f"{row['scores'][score]:.4g} (mean of the support {row['mean'][score]:.4g}), {row['learn_s']:.1f} s + {row['each_s']:.2f} s an image"
                print(name, shots, index, variant.asked, score, told, flush=True)
    if arguments.docs:
        between_marks(DOCS / "targets.md", "measured", table(measured()))


if __name__ == "__main__":
    main()
