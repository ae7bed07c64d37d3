"""Matched and mismatched episodes on characters: trained with so many classes and shots, tested with so many."""

from __future__ import annotations

from experiment_trainings import EPISODES, PICTURES, SHOTS, SIZED, WAYS
from experiments import OMNIGLOT, Column, Experiment, Notes, Row, Runs, head, line

COLUMNS = [Column(f"{way}-{shot}", f"{way} way, {shot} shot", OMNIGLOT, way, shot) for way in (5, 20) for shot in (1, 5)]
TOLD = {"pictures": f"{PICTURES:,} pictures seen by each", "episodes": f"{EPISODES:,} episodes each"}


def rows(runs: Runs) -> list[Row]:
    """The trainings that were made."""
    sizes = [f"{way} way, {shot} shot" for shot in SHOTS for way in WAYS]
    titles = {training.name: title for group in SIZED.values() for training, title in zip(group, sizes, strict=True)}
    return runs.rows(titles, COLUMNS)


def lines(notes: Notes) -> list[str]:
    """A table for each learner and what its trainings have in common; the best of a column is bold, a cell of the same size in training has a star."""
    found: list[str] = []
    for rule, learner in SIZED:
        own = [row for row in notes.rows if row.name.startswith(f"{rule}-{learner}-")]
        cells = [[notes.of(row, column) for column in COLUMNS] for row in own]
        if not any(any(row) for row in cells):
            continue
        best = [max((note.accuracy for note in column if note), default=None) for column in zip(*cells, strict=True)]
        found += [f"{learner}, {TOLD[rule]}:", "", *head(["trained with", *(f"tested: {column.title}" for column in COLUMNS)])]
        for row, notes_of_row in zip(own, cells, strict=True):
            told = []
            for column, note, most in zip(COLUMNS, notes_of_row, best, strict=True):
                star = " *" if column.title == row.title else ""
                told.append(None if note is None else f"**{note}**{star}" if note.accuracy == most else f"{note}{star}")
            found.append(line([row.title, *told]))
        found.append("")
    return found


EXPERIMENT = Experiment("sizes", rows, lines)
