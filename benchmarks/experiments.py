"""What the experiments with classic learners share: columns, rows, runs that were trained, and tables inside docs/methods/classifier_experiments.md.

An experiment names its rows; each row says on which columns it can be asked. Cells stand in bench/classifier_experiments/EXPERIMENT/ROW/COLUMN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from class_cells import Note, fill, read_note
from common import BENCH, DATA, DOCS
from likewise.episodes.classification.answering import Answers, MethodAnswers
from likewise.episodes.classification.benchmark import ClassBenchmark
from likewise.episodes.classification.evaluation import ClassSetting
from likewise.episodes.classification.opening import open_classes
from likewise.episodes.classification.splits import Part
from likewise.functional.prototypes import distance_scores
from likewise.functional.support_attention import attention, class_probabilities
from likewise.methods.classifiers.common import class_major
from likewise.task.equipping import equip
from likewise.task.learning import Place, open_provider
from likewise.training.classes import TrainedAnswers, trained_of
from likewise.weights.cache import sha256_of

OUT, PAGE = BENCH / "classifier_experiments", DOCS / "methods" / "classifier_experiments.md"
OMNIGLOT, CALTECH = f"omniglot-mini:{DATA / 'omniglot_mini'}", str(DATA / "caltech_mini")
CHECKPOINT, LAST = "best.safetensors", "last.safetensors"

opened = cache(open_classes)
trained = cache(trained_of)


@dataclass(frozen=True)
class Column:
    """Episodes: of a benchmark by its word; most: no more of them than so many, where they are dear."""

    name: str
    title: str
    word: str
    way: int = 5
    shot: int = 1
    queries: int = 15
    most: int | None = None
    part: Part = "test"

    def setting(self, episodes: int) -> ClassSetting:
        """As episodes are drawn."""
        return ClassSetting(part=self.part, way=self.way, shot=self.shot, queries=self.queries, episodes=min(episodes, self.most or episodes))


@dataclass(frozen=True)
class Row:
    """What is asked: its name, what it is in words, what makes its answers, on which columns, and from which checkpoints."""

    name: str
    title: str
    answers: Callable[[ClassBenchmark, Column], Answers]
    columns: Sequence[Column]
    checkpoints: Sequence[Path] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def place(self, experiment: str, column: Column) -> Path:
        """Where a cell stands."""
        return OUT / experiment / self.name / column.name

    def measure(self, experiment: str, column: Column, episodes: int) -> Note:
        """Fill a cell."""
        benchmark = opened(column.word)
        facts = {"row": self.name, "column": column.name, "checkpoints": [sha256_of(path) for path in self.checkpoints], **self.facts}
        return fill(self.place(experiment, column), benchmark, column.setting(episodes), partial(self.answers, benchmark, column), facts)


class Runs:
    """Folders with runs of `likewise train`, each by its name; a run counts when it is at its end."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders

    def find(self, name: str) -> Path | None:
        """The folder of a run that came to its end; None where there is none."""
        return next((run for folder in self.folders if ((run := folder / name) / LAST).is_file() and (run / CHECKPOINT).is_file()), None)

    def rows(self, named: Mapping[str, str], columns: Sequence[Column]) -> list[Row]:
        """A row for each run that is there, by its name and title, that is asked as it was trained."""
        return [trained_row(name, title, run, columns) for name, title in named.items() if (run := self.find(name)) is not None]


def trained_row(name: str, title: str, run: Path, columns: Sequence[Column]) -> Row:
    """A trained learner as it is asked in validation."""
    return Row(name, title, lambda benchmark, _: TrainedAnswers(trained(run), benchmark), columns, (run / CHECKPOINT,))


def frozen_row(method: str, columns: Sequence[Column]) -> Row:
    """A method on the frozen backbone."""

    def answers(benchmark: ClassBenchmark, _: Column) -> Answers:
        ready = equip(method, "default", {}, None, "auto")
        provider = open_provider(ready.backbone, Place(), ready.method)
        return MethodAnswers(ready.method.mounted(provider.backbone), provider, benchmark)

    return Row(f"frozen-{method}", f"{method}, frozen backbone", answers, columns)


def cosine_matching(supports: Tensor, queries: Tensor) -> Tensor:
    """What a matching network without context says (M, N) of features of supports (N, K, D) and of queries (M, D): attention by cosine, summed by class."""
    weights = attention(queries, supports.flatten(0, 1))
    return class_probabilities(weights, class_major(*supports.shape[:2]), len(supports))


def prototypes(supports: Tensor, queries: Tensor) -> Tensor:
    """What a prototypical network says (M, N): negative squared distances of queries (M, D) from the means of supports (N, K, D)."""
    return distance_scores(queries, supports.mean(dim=1))


@dataclass(frozen=True)
class Experiment:
    """A table: its name, which is its mark in the page, its rows from whatever runs there are, and its lines from the rows that were measured."""

    name: str
    rows: Callable[[Runs], list[Row]]
    lines: Callable[[Notes], list[str]]


class Notes:
    """The rows of an experiment and what their cells came to."""

    def __init__(self, experiment: str, rows: Sequence[Row]) -> None:
        self.experiment, self.rows = experiment, rows

    def of(self, row: Row, column: Column) -> Note | None:
        """A cell; None where it was not measured."""
        return read_note(row.place(self.experiment, column))

    def named(self, name: str, column: Column) -> Note | None:
        """A cell by the name of its row; None where there is no such row or it was not measured."""
        return next((self.of(row, column) for row in self.rows if row.name == name), None)


def head(titles: Sequence[str]) -> list[str]:
    """The head of a table in Markdown."""
    return ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]


def line(cells: Sequence[object]) -> str:
    """A line of a table; None is an empty cell."""
    return "| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |"


def plain_lines(columns: Sequence[Column], notes: Notes) -> list[str]:
    """A line for each row that has a cell in one of the columns."""
    found = head(["", *(column.title for column in columns)])
    for row in notes.rows:
        cells = [notes.of(row, column) for column in columns]
        if any(cells):
            found.append(line([row.title, *cells]))
    return found
