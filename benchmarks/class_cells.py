"""Cells of tables on classes of whole pictures: episodes of a benchmark that something answers, kept below bench/, so that what was stopped goes on.

PLACE/episodes.jsonl, run.json   the journal of the episodes
PLACE/cell.json                  what they came to, the accuracy of each in order, so that two cells of the same episodes can be paired
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import read_json, write_json
from likewise.episodes.classification.answering import Answers
from likewise.episodes.classification.benchmark import ClassBenchmark
from likewise.episodes.classification.evaluation import ClassSetting, evaluate_classes
from likewise.episodes.classification.outcome import accuracy_of
from likewise.functional.intervals import Interval, mean_interval

FILE = "cell.json"


@dataclass(frozen=True)
class Note:
    """The mean accuracy in percent, the half-width of its 95 % interval, and the accuracy of each episode; facts: what it depends on."""

    accuracy: float
    interval: float
    each: tuple[float, ...]
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.accuracy:.1f} ± {self.interval:.1f}"


def read_note(place: Path) -> Note | None:
    """What a cell came to; None where it was not measured to its end."""
    found = read_json(place / FILE)
    return None if found is None else Note(found["accuracy"], found["interval"], tuple(found["each"]), found["facts"])


def fill(place: Path, benchmark: ClassBenchmark, setting: ClassSetting, answers: Callable[[], Answers], facts: Mapping[str, Any]) -> Note:
    """What a cell comes to; nothing is made anew where it stands with as many episodes of the same facts.

    Raises OutputError for a place that holds something else.
    """
    known = {**setting.facts(), **facts}
    note = read_note(place)
    if note is not None and note.facts == known and len(note.each) >= setting.episodes:
        return note
    outcomes = evaluate_classes(benchmark, setting, answers(), facts, place)
    mean, half = accuracy_of(outcomes, setting.rule)
    note = Note(mean, half, tuple(outcome.accuracy for outcome in outcomes), known)
    write_json(place / FILE, asdict(note))
    return note


def gain(after: Note, before: Note) -> Interval:
    """The mean of after less before over the episodes that both have, with the half-width of its 95 % interval.

    ValueError for cells of different episodes.
    """
    drawn = [{key: note.facts[key] for key in ("part", "way", "shot", "queries", "seed", "sampler")} for note in (after, before)]
    if drawn[0] != drawn[1]:
        raise ValueError(f"episodes {drawn[0]} and {drawn[1]} are not the same, so nothing can be paired")
    count = min(len(after.each), len(before.each))
    return mean_interval([one - other for one, other in zip(after.each[:count], before.each[:count], strict=True)], "sample")
