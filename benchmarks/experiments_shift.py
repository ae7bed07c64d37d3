"""Domain shift: what was trained on characters or photographs, on test classes of the same data and on classes of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from class_cells import Note
from crop_classes import made
from experiments import CALTECH, OMNIGLOT, Column, Experiment, Notes, Row, Runs, head, line

QUERIES = 5
PREFIX = "classes:"
PLAIN = {"baseline": "baseline", "baseline-plus": "baseline++"}  # tuned on the support, the others only compare or adapt as they were trained to
META = {
    "prototypical": "prototypical",
    "matching": "matching, plain",
    "matching-fce": "matching, full context",
    "relation": "relation",
    "siamese": "siamese",
    "maml": "maml, second order",
    "maml-first-order": "maml, first order",
}


@dataclass(frozen=True)
class Origin:
    """Data that trained, and the other data it is tested on, by the titles of columns."""

    name: str
    title: str
    word: str
    others: Mapping[str, str]

    def columns(self) -> list[Column]:
        """The test classes of its own, then those of others."""
        own = [Column(f"own-{shot}", f"own test classes, {shot} shot", self.word, 5, shot, QUERIES) for shot in (1, 5)]
        return own + [
            Column(f"{name}-{shot}", f"{title}, {shot} shot", PREFIX + name, 5, shot, QUERIES) for name, title in self.others.items() for shot in (1, 5)
        ]


ORIGINS = (
    Origin("omniglot", "Trained on characters", OMNIGLOT, {"digits": "digits"}),
    Origin("caltech", "Trained on photographs", CALTECH, {"things": "things", "surfaces": "surfaces"}),
)


def rows(runs: Runs) -> list[Row]:
    """The learners that were trained, the two that are tuned on a support first."""
    found: list[Row] = []
    for origin in ORIGINS:
        columns = [_made(column) for column in origin.columns()]
        found += runs.rows({f"{name}-{origin.name}": title for name, title in (PLAIN | META).items()}, columns)
    return found


def _made(column: Column) -> Column:
    """A column whose folder of crops is there."""
    if not column.word.startswith(PREFIX):
        return column
    folder = made(column.word.removeprefix(PREFIX))
    return Column(column.name, column.title, f"{PREFIX}{folder}", column.way, column.shot, column.queries)


def lines(notes: Notes) -> list[str]:
    """A table for each data that trained; below it by how much the better baseline is above the best of the others in each column."""
    found: list[str] = []
    for origin in ORIGINS:
        own = [row for row in notes.rows if row.name.endswith(f"-{origin.name}")]
        columns = origin.columns()
        cells = {row.name: [notes.of(row, column) for column in columns] for row in own}
        if not any(any(row) for row in cells.values()):
            continue
        found += [f"{origin.title}:", "", *head(["", *(column.title for column in columns)])]
        found += [line([row.title, *cells[row.name]]) for row in own if any(cells[row.name])]
        found += [line(["better baseline less best of the others", *_leads(origin, cells, len(columns))]), ""]
    return found


def _leads(origin: Origin, cells: Mapping[str, Sequence[Note | None]], count: int) -> list[str | None]:
    """The lead of the better of both baselines in each column; None where one side is missing."""
    sides = [[cells[f"{name}-{origin.name}"] for name in names if f"{name}-{origin.name}" in cells] for names in (PLAIN, META)]
    found: list[str | None] = []
    for place in range(count):
        known = [[note.accuracy for row in side if (note := row[place]) is not None] for side in sides]
        found.append(f"{max(known[0]) - max(known[1]):+.1f}" if all(known) else None)
    return found


EXPERIMENT = Experiment("shift", rows, lines)
