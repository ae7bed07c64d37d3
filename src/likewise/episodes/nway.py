"""N-way K-shot segmentation: what is kept of an answered episode, and the scores of one table of counts over all of them.

One label map a query over the background and the N classes of the episode, as Label Anything is tested. Every score comes in two forms: as it is
meant, and as the published code counts it (classes of an episode may merge, what lies outside of the query counts as background).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.episodes.outcome import RESAMPLES, bounds, totals
from likewise.functional.nway_metrics import Confusion, benchmark_labels, confusion, overlaps, scores_of

_SEED = 0  # of the resampling alone
_IGNORED = -1


@dataclass(frozen=True)
class NwayOutcome:
    """An answered episode.

    index: its place in the benchmark; query: its name; classes: (N,) class numbers in order; table: pixels (1+N, 1+N) by truth and answer,
    background first, void left out; outside: pixels of the episode's largest image that lie outside of the query.
    """

    index: int
    query: str
    classes: Sequence[int]
    table: Sequence[Sequence[int]]
    outside: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def of_json(cls, record: Mapping[str, Any]) -> NwayOutcome:
        """The outcome that plain values say; KeyError or TypeError for others."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})


def judge_nway(
    index: int,
    query: str,
    classes: Sequence[int],
    labels: NDArray[np.integer],
    truth: NDArray[np.integer],
    void: NDArray[np.bool_],
    sizes: Sequence[tuple[int, int]],
) -> NwayOutcome:
    """The outcome of an episode: labels and truth (H, W) with 0 and 1..N, void (H, W) where the truth is unknown; sizes of all its images."""
    table = confusion(labels, np.where(void, _IGNORED, truth.astype(np.int64)), 1 + len(classes), ignored=_IGNORED)
    canvas = max(size[0] for size in sizes) * max(size[1] for size in sizes)
    return NwayOutcome(index, query, list(classes), table.tolist(), canvas - truth.size)


class NwayScores:
    """The scores of outcomes over the classes of a fold, in percent.

    miou, fb_iou, bmiou; miou_official, fb_iou_official, bmiou_official. See `functional.nway_metrics`.
    """

    def __init__(self, outcomes: Sequence[NwayOutcome], classes: Sequence[int], runs: int = 1) -> None:
        """runs: how many reruns the outcomes are of, dealt out in turn; each has scores of its own, of which the mean is taken."""
        self.outcomes, self.classes = list(outcomes), list(classes)
        self._runs = [slice(run, None, runs) for run in range(min(runs, len(self.outcomes)))]
        self._forms = {"": self._spread(official=False), "_official": self._spread(official=True)}

    def values(self) -> dict[str, float]:
        """Each score over all outcomes."""
        return {name: float(value[0]) for name, value in self._scored([np.ones((1, len(self.outcomes[run]))) for run in self._runs]).items()}

    def drawn_anew(self, resamples: int = RESAMPLES) -> dict[str, NDArray[np.float64]]:
        """Each score (resamples,) over episodes drawn anew with replacement, in each rerun for itself; always the same draws."""
        random = np.random.default_rng(_SEED)
        counts = [len(self.outcomes[run]) for run in self._runs]
        return self._scored([random.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64) for count in counts])

    def intervals(self, resamples: int = RESAMPLES) -> dict[str, tuple[float, float]]:
        """For each score the bounds that hold `LEVEL` of its values in `drawn_anew`."""
        return {name: bounds(values) for name, values in self.drawn_anew(resamples).items()}

    def by_class(self) -> dict[int, dict[str, float | int]]:
        """For each class: iou and iou_official in percent, the episodes that ask for it, and in how many of them the query shows it."""
        iou = {f"iou{form}": self._class_iou(spread.sum(axis=0)) for form, spread in self._forms.items()}
        asked = {number: [one for one in self.outcomes if number in one.classes] for number in self.classes}
        shown = {number: sum(any(one.table[1 + list(one.classes).index(number)]) for one in listed) for number, listed in asked.items()}
        return {
            number: {**{name: float(found[place]) for name, found in iou.items()}, "episodes": len(asked[number]), "shown": shown[number]}
            for place, number in enumerate(self.classes, start=1)
        }

    def _spread(self, *, official: bool) -> NDArray[np.int64]:
        """The overlaps (E, 2, classes + 2) of each outcome among the classes of the fold."""
        return np.stack([overlaps(self._in_fold(one, official=official)) for one in self.outcomes])

    def _in_fold(self, one: NwayOutcome, *, official: bool) -> Confusion:
        """The table of an outcome among the background and all classes of the fold."""
        places = [1 + self.classes.index(number) for number in one.classes]
        renamed = benchmark_labels(np.arange(1 + len(places)), places, official=official)
        found = np.zeros((1 + len(self.classes),) * 2, np.int64)
        np.add.at(found, (renamed[:, None], renamed[None]), np.array(one.table, np.int64))
        found[0, 0] += one.outside if official else 0
        return found

    def _scored(self, weights: Sequence[NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """Scores (R,) of the outcomes, each counted as often as the weights (R, E) of its rerun say; the mean over reruns."""
        found: dict[str, list[NDArray[np.float64]]] = {}
        for form, spread in self._forms.items():
            for run, own in zip(self._runs, weights, strict=True):
                for name, value in scores_of(totals(own, spread[run]), official=bool(form)).items():
                    if name != "foreground":
                        found.setdefault(f"{name}{form}", []).append(100 * value)
        return {name: np.mean(values, axis=0) for name, values in found.items()}

    @staticmethod
    def _class_iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(100 * counts[0] / np.maximum(counts[1], 1))
