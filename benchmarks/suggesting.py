"""What suggested examples are worth beside random ones: mIoU on other images from 3, 5 and 10 labelled images of every set.

    python benchmarks/suggesting.py [--method ridge] [--sets NAME ...] [--splits 3] [--page]

The labelled images of a set are parted at random into those to choose from and at most ten to answer. `suggest` chooses without
labels; `suggest --task` goes on from 3 to 5 and from 5 to 10 with the task that was learned so far; random choices are three a part.
One JSON a set, bench/suggesting/METHOD/SET.json; the table stands in docs/suggesting.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import likewise
from common import BENCH, DATA, DOCS, classes, need_shared, picture, read_json, semantic_sets, truth, write_json
from likewise.backbones import FeatureProvider
from likewise.formats import ImageList
from likewise.labelling.suggesting import suggest
from likewise.task.learning import Place, make_method, open_provider
from marks import between_marks

OUT, PAGE, MARK = BENCH / "suggesting", DOCS / "suggesting.md", "suggesting"
COUNTS, ASKED, RANDOM = (3, 5, 10), 10, 3
WAYS = ("random", "suggested", "with task")


class Run:
    """A set that is parted once: what can be chosen, what is asked about, and a method to learn with."""

    def __init__(self, name: str, seed: int, method: str, cache: Path) -> None:
        self.name, self.method, self.cache = name, method, cache
        names = sorted(path.stem for path in (DATA / name / "masks").glob("*.png"))
        drawn = np.random.default_rng(seed).permutation(names).tolist()
        asked = min(ASKED, len(names) // 3)
        self.asked, self.pool, self.seed = drawn[:asked], sorted(drawn[asked:]), seed
        self.files = {picture(name, one).name: one for one in self.pool}

    def learn(self, chosen: Sequence[str]) -> likewise.Task | None:
        """A task of these images with their masks; None where they show no class."""
        examples = [likewise.Example(picture(self.name, one), one, label_map=truth(self.name, one)) for one in chosen]
        if not any(((truth(self.name, one) > 0) & (truth(self.name, one) < 255)).any() for one in chosen):
            return None
        return likewise.learn(likewise.Support(examples, classes=classes(self.name)), method=self.method, preset="fast", cache=self.cache)

    def score(self, task: likewise.Task | None) -> float:
        """Mean IoU in per cent over the classes that occur in the truth or the answers, counts pooled over the images."""
        both, either = np.zeros(256), np.zeros(256)
        for one in self.asked:
            there = truth(self.name, one)
            got = np.zeros_like(there) if task is None else np.asarray(task.predict(picture(self.name, one)).labels)
            for number in classes(self.name):
                a, b = (got == number) & (there != 255), there == number
                both[number] += (a & b).sum()
                either[number] += (a | b).sum()
        return 100 * float(np.mean([both[number] / either[number] for number in classes(self.name) if either[number]]))

    def choose(self, provider: FeatureProvider, count: int, task: likewise.Task | None = None) -> list[str]:
        """The names that are suggested."""
        images = ImageList(sorted(self.files), DATA / self.name / "images", self.name)
        return [self.files[one.name] for one in suggest(images, count, provider if task is None else task.ready(), task=task).chosen]

    def at_random(self, count: int, draw: int) -> list[str]:
        """So many names of a random draw."""
        found: list[str] = np.random.default_rng([self.seed, draw, count]).permutation(self.pool)[:count].tolist()
        return found


def measure(run: Run, provider: FeatureProvider) -> Iterator[dict[str, Any]]:
    """A row for each number of labelled images: mIoU of random choices, of suggested ones, and of those that follow a task."""
    counts = [count for count in COUNTS if count < len(run.pool)]
    followed: list[str] = []
    task: likewise.Task | None = None
    for count in counts:
        draws = [run.at_random(count, draw) for draw in range(RANDOM)]
        chosen = run.choose(provider, count)
        followed = followed + run.choose(provider, count - len(followed), task) if task is not None else chosen
        task = run.learn(followed)
        scores = {"suggested": run.score(run.learn(chosen)), "with task": run.score(task)}
        yield {"count": count, "seed": run.seed, "random": [run.score(run.learn(draw)) for draw in draws], **scores}


def table(method: str) -> Iterator[str]:
    """A line a set and number of images: means over the parts, the deviation of random choices, and the wins."""
    yield "| set | labelled images | random | suggested | suggested, then with the task |"
    yield "|---|---|---|---|---|"
    gains: dict[tuple[str, int], list[float]] = {}
    for name in semantic_sets():
        rows = read_json(OUT / method / f"{name}.json") or []
        for count in COUNTS:
            own = [row for row in rows if row["count"] == count]
            if own:
                chance = [value for row in own for value in row["random"]]
                means = {way: statistics.mean(row[way] for row in own) for way in WAYS[1:]}
                yield (
                    f"| {name} | {count} | {statistics.mean(chance):.1f} ± {statistics.pstdev(chance):.1f} | "
                    + " | ".join(f"{v:.1f}" for v in means.values())
                    + " |"
                )
                for way, value in means.items():
                    gains.setdefault((way, count), []).append(value - statistics.mean(chance))
    for count in COUNTS:
        told = [
            f"{statistics.mean(gains[way, count]):+.1f}, better on {sum(gain > 0 for gain in gains[way, count])} of {len(gains[way, count])}"
            for way in WAYS[1:]
            if (way, count) in gains
        ]
        yield f"| **mean over sets** | {count} | | " + " | ".join(told) + " |"


def main() -> None:
    """Measure the sets that were not measured yet, then print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="ridge")
    parser.add_argument("--sets", nargs="+", default=list(semantic_sets()))
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="also write the table into its page")
    arguments = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    cache = Path(os.environ.get("LIKEWISE_FEATURES", BENCH / "features"))
    provider = open_provider("auto", Place.of("auto", "auto", "auto", cache), make_method("prototype", "default", {}))
    for name in arguments.sets:
        if read_json(OUT / arguments.method / f"{name}.json") is None:
            rows = [row for seed in range(arguments.splits) for row in measure(Run(name, seed, arguments.method, cache), provider)]
            write_json(OUT / arguments.method / f"{name}.json", rows)
            print(name, *rows, sep="\n  ", flush=True)
    lines = list(table(arguments.method))
    print("\n".join(lines))
    if arguments.page:
        between_marks(PAGE, MARK, lines)


if __name__ == "__main__":
    main()
