"""What is kept of an episode of classes that was answered, and the accuracy of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from likewise.functional.intervals import Interval, Rule, mean_interval


@dataclass(frozen=True)
class ClassOutcome:
    """An answered episode: its place, the places (N,) of its classes in the part, and of each class's queries how many there were and were right."""

    index: int
    classes: Sequence[int]
    queries: Sequence[int]
    right: Sequence[int]

    @property
    def accuracy(self) -> float:
        """The percentage of the queries that were right."""
        return 100 * sum(self.right) / sum(self.queries)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def of_json(cls, record: Mapping[str, Any]) -> ClassOutcome:
        """The outcome that plain values say; KeyError or TypeError for others."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})


def accuracy_of(outcomes: Sequence[ClassOutcome], rule: Rule) -> Interval:
    """The mean accuracy over episodes and the half-width of its interval, in percent; of one episode the interval is all there can be.

    >>> mean, half = accuracy_of([ClassOutcome(0, [3, 5], [2, 2], [2, 1]), ClassOutcome(1, [3, 4], [2, 2], [1, 0])], "population")
    >>> round(mean, 2), round(half, 2)
    (50.0, 34.65)
    """
    accuracies = [outcome.accuracy for outcome in outcomes]
    return mean_interval(accuracies, rule) if len(accuracies) > 1 else Interval(accuracies[0], 100.0)


def accuracy_by_class(outcomes: Sequence[ClassOutcome]) -> dict[int, float]:
    """The percentage of right answers for each class that was asked for, over all episodes, by its place in the part."""
    queries: dict[int, int] = {}
    right: dict[int, int] = {}
    for outcome in outcomes:
        for place, asked, good in zip(outcome.classes, outcome.queries, outcome.right, strict=True):
            queries[place] = queries.get(place, 0) + asked
            right[place] = right.get(place, 0) + good
    return {place: 100 * right[place] / count for place, count in sorted(queries.items())}
