"""Do deeper encoders close the gap between learners? Four learners behind three encoders trained here, and behind the frozen backbone, on photographs."""

from __future__ import annotations

from experiment_trainings import DEEP_LEARNERS, DEEPER
from experiments import CALTECH, Column, Experiment, Notes, Row, Runs, frozen_row, head, line

COLUMNS = [Column(f"5-{shot}", f"5 way, {shot} shot", CALTECH, 5, shot) for shot in (1, 5)]
ENCODERS = {"conv4": "conv4", **{name: name for name in DEEPER}, "frozen": "frozen backbone"}
METHODS = {"baseline": "baseline", "baseline-plus": "baseline++", "prototypical": "prototypical", "matching": "matching"}  # by the names of recipes


def run_name(learner: str, encoder: str) -> str:
    """The run of a learner behind an encoder; conv4 is that of the recipe as it is."""
    return f"{learner}-caltech" if encoder == "conv4" else f"{learner}-{encoder}-caltech"


def rows(runs: Runs) -> list[Row]:
    """The runs that were made, and methods on the frozen backbone."""
    named = {run_name(learner, encoder): f"{METHODS[learner]}, {encoder}" for encoder in ("conv4", *DEEPER) for learner in DEEP_LEARNERS}
    return [*runs.rows(named, COLUMNS), *(frozen_row(method, COLUMNS) for method in METHODS.values())]


def lines(notes: Notes) -> list[str]:
    """A table for each number of shots: a line an encoder, a column a learner, and how far the best is above the worst."""
    found: list[str] = []
    for column in COLUMNS:
        found += [f"{column.title}:", "", *head(["encoder", *METHODS.values(), "best less worst"])]
        for encoder, title in ENCODERS.items():
            names = [f"frozen-{method}" if encoder == "frozen" else run_name(learner, encoder) for learner, method in METHODS.items()]
            cells = [notes.named(name, column) for name in names]
            if known := [note.accuracy for note in cells if note]:
                spread = f"{max(known) - min(known):.1f}" if len(known) == len(METHODS) else f"{max(known) - min(known):.1f} of {len(known)}"
                found.append(line([title, *cells, spread]))
        found.append("")
    return found


EXPERIMENT = Experiment("encoders", rows, lines)
