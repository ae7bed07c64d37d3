"""Classic few-shot learners on characters and photographs: accuracy over episodes, the twenty one-shot runs, and simple baselines beside them.

    python benchmarks/classifiers.py [--runs DIR] [--only NAME ...] [--cells NAME ...] [--episodes N] [--page]

Runs are folders of `likewise train recipes/classifiers/NAME.toml --out RUNS/NAME`; those that are not there are left out, and said to be so.
Every cell is a journal below bench/classifiers: one that was stopped goes on. Trained learners are asked as they were validated, features of
a picture made once; `likewise evaluate LEARNER BENCHMARK --checkpoint RUNS/NAME/best.safetensors` asks the method, more slowly. The table
stands in docs/methods/classifier_results.md; --page writes it of what is there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from common import BENCH, DATA, DOCS, need_shared
from likewise.episodes.classification.answering import Answers, HausdorffAnswers, PixelAnswers
from likewise.episodes.classification.benchmark import ClassBenchmark
from likewise.episodes.classification.evaluation import ClassSetting, evaluate_classes
from likewise.episodes.classification.opening import open_classes
from likewise.episodes.classification.outcome import accuracy_of
from likewise.episodes.classification.published import published_accuracies
from likewise.episodes.classification.running import ClassJob, run_classes
from likewise.episodes.evaluation import Contender
from likewise.formats.files import json_bytes, write_atomic
from likewise.task.learning import Place
from likewise.training.classes import TrainedAnswers, trained_of
from likewise.weights.cache import sha256_of
from marks import between_marks

OUT, PAGE, MARK = BENCH / "classifiers", DOCS / "methods" / "classifier_results.md", "classifiers"
SHARED = "../shared/data"
OMNIGLOT, LAKE, CALTECH = "omniglot", "lake", "caltech"
PLACES = {OMNIGLOT: ("omniglot-mini:", "omniglot_mini"), LAKE: ("lake:", "omniglot_mini"), CALTECH: ("", "caltech_mini")}
SIDES = {OMNIGLOT: 28, LAKE: 28, CALTECH: 84}
PUBLISHED = "mini-imagenet"
TITLES = {"baseline-plus": "baseline++", "matching": "matching, plain", "matching-fce": "matching, full context", "maml": "maml, second order"}
TITLES |= {"maml-first-order": "maml, first order", "hallucinator": "prototypical with 5 hallucinated examples a class"}
METHODS = ("prototypical", "matching", "baseline", "baseline++")  # on the frozen backbone, nothing is trained


@dataclass(frozen=True)
class Cell:
    """Episodes of a benchmark; of the one-shot runs they are fixed."""

    data: str
    way: int
    shot: int

    @property
    def name(self) -> str:
        """As `--cells` takes it."""
        return f"{self.data}-{self.way}-{self.shot}"

    @property
    def title(self) -> str:
        """The head of its column."""
        return "twenty runs" if self.data == LAKE else f"{self.way} way, {self.shot} shot"


CELLS = (*(Cell(OMNIGLOT, way, shot) for way in (5, 20) for shot in (1, 5)), Cell(LAKE, 20, 1), *(Cell(CALTECH, 5, shot) for shot in (1, 5)))


@dataclass(frozen=True)
class Row:
    """What is asked: its name, what it is in words, of which pictures, and what makes its answers."""

    name: str
    title: str
    data: tuple[str, ...]
    answers: Callable[[ClassBenchmark, str], Answers] | None = None
    contender: Contender | None = None
    run: Path | None = None
    only: tuple[str, ...] = ()  # cells, where the others would take too long

    def able(self, cell: Cell) -> bool:
        """Whether it can answer a cell."""
        if cell.data not in self.data or (self.only and cell.name not in self.only):
            return False
        return self.run is None or _trained(self.run).n_way in (None, cell.way)

    def command(self, cell: Cell, episodes: int) -> str:
        """What makes a cell of the row."""
        if self.contender is None:
            return f"python benchmarks/classifiers.py --only {self.name} --cells {cell.name}"
        word, folder = PLACES[cell.data]
        asked = "" if cell.data == LAKE else f" --way {cell.way} --shot {cell.shot} --episodes {episodes}"
        return f"likewise evaluate {self.contender.method} {word}{SHARED}/{folder}{asked}"


@cache
def _trained(run: Path) -> Any:
    return trained_of(run)


def rows_of(runs: Path) -> list[Row]:
    """Baselines, methods on the frozen backbone, and what was trained."""
    rows = [
        Row("pixels", "nearest support by cosine of pixels", (OMNIGLOT, LAKE, CALTECH), lambda data, name: PixelAnswers(data, SIDES[name])),
        Row(
            "hausdorff",
            "modified Hausdorff distance (Lake et al. 2015)",
            (OMNIGLOT, LAKE),
            lambda data, _: HausdorffAnswers(data),
            only=("omniglot-5-1", "lake-20-1"),
        ),
    ]
    rows += [
        Row(f"frozen-{name}", f"{name} on the frozen backbone, nothing trained", (CALTECH, OMNIGLOT, LAKE), contender=Contender(method=name, place=Place()))
        for name in METHODS
    ]
    for recipe in sorted((Path(__file__).parents[1] / "recipes" / "classifiers").glob("*.toml")):
        run, data = runs / recipe.stem, (CALTECH,) if recipe.stem.endswith("caltech") else (OMNIGLOT, LAKE)
        if not (run / "best.safetensors").is_file():
            continue
        name = recipe.stem.rpartition("-")[0]
        title = f"{TITLES.get(name, name)}, trained"
        rows.append(Row(recipe.stem, title, data, lambda bench, _, run=run: TrainedAnswers(_trained(run), bench), run=run))
        if recipe.stem.startswith("maml"):
            together = f"{title}, queries answered together (published)"
            rows.append(
                Row(f"{recipe.stem}-together", together, data, lambda bench, _, run=run: TrainedAnswers(trained_of(run, together=True), bench), run=run)
            )
    return rows


def measure(row: Row, cell: Cell, episodes: int) -> None:
    """Fill a cell, and note what it came to."""
    word, folder = PLACES[cell.data]
    benchmark = open_classes(f"{word}{DATA / folder}")
    setting, place = ClassSetting(way=cell.way, shot=cell.shot, episodes=episodes), OUT / row.name / cell.name
    if row.contender is not None:
        (record,) = run_classes(ClassJob(benchmark, setting, place), [row.contender])
        mean, half, count = record["accuracy"], record["interval"], record["episodes"]["episodes"]
    else:
        assert row.answers is not None
        facts = {"row": row.name, "checkpoint": "" if row.run is None else sha256_of(row.run / "best.safetensors")}
        outcomes = evaluate_classes(benchmark, setting, row.answers(benchmark, cell.data), facts, place)
        (mean, half), count = accuracy_of(outcomes, setting.rule), len(outcomes)
    note = {"accuracy": mean, "interval": half, "episodes": count, "command": row.command(cell, count)}
    write_atomic(place / "cell.json", json_bytes(note))
    print(f"{row.name}, {cell.name}: {mean:.2f} +- {half:.2f}", flush=True)


def published(row: Row) -> str:
    """What Chen et al. 2019 report of a trained learner with the same encoder, 1 and 5 shot; "" where they have none."""
    name = {"baseline-plus": "baseline++"}.get(learner := row.name.rpartition("-")[0], learner)
    found = {
        each.shot: each.accuracy for each in published_accuracies() if (each.benchmark, each.way, each.method, each.encoder) == (PUBLISHED, 5, name, "conv4")
    }
    return "" if row.run is None or not found else f"{found[1]:.1f}, {found[5]:.1f}"


def table(rows: Sequence[Row]) -> list[str]:
    """The tables of characters and of photographs in Markdown, and the command of a cell of each row."""
    parts: list[str] = []
    for heading, kinds in (("Characters", (OMNIGLOT, LAKE)), ("Photographs", (CALTECH,))):
        cells = [cell for cell in CELLS if cell.data in kinds]
        beside = kinds == (CALTECH,)
        titles = [*(cell.title for cell in cells), *([f"published: {PUBLISHED}, Conv-4"] if beside else [])]
        lines = [f"### {heading}", "", "| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
        commands = ["", "| row | a cell of it |", "|---|---|"]
        for row in rows:
            notes = [json.loads(path.read_bytes()) if (path := OUT / row.name / cell.name / "cell.json").is_file() else None for cell in cells]
            if any(notes):
                told = ["" if note is None else f"{note['accuracy']:.1f} ± {note['interval']:.1f}" for note in notes] + ([published(row)] if beside else [])
                lines.append(f"| {row.title} | " + " | ".join(told) + " |")
                commands.append(f"| {row.title} | `{next(note['command'] for note in notes if note)}` |")
        parts += [*lines, *commands, ""]
    return parts


def main() -> None:
    """Fill what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--cells", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--episodes", type=int, default=300)
    parser.add_argument("--page", action="store_true", help="write the page of what is there, measure nothing")
    asked = parser.parse_args()
    need_shared()
    torch.set_num_threads(1)
    rows = rows_of(asked.runs)
    for row in rows if not asked.page else ():
        for cell in CELLS:
            if row.able(cell) and (not asked.only or row.name in asked.only) and (not asked.cells or cell.name in asked.cells):
                measure(row, cell, asked.episodes)
    if PAGE.is_file():
        between_marks(PAGE, MARK, table(rows))


if __name__ == "__main__":
    main()
