"""What is kept of an episode that was answered, and the scores of many: whole numbers that add up, so any order and any cut give the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.episodes.benchmark import Frame
from likewise.functional import episode_metrics as metrics

RESAMPLES = 1000
LEVEL = 0.95
_SEED = 0  # of the resampling alone


@dataclass(frozen=True)
class Outcome:
    """An answered episode.

    index: its place in the benchmark; query: its name; classes: (N,) class numbers; present, truth: whether each was said
    to be in the query, and is; counts: intersection and union in pixels, (2, 1+N), background first, void left out;
    official: the same with void as background.
    """

    index: int
    query: str
    classes: Sequence[int]
    present: Sequence[bool]
    truth: Sequence[bool]
    counts: Sequence[Sequence[int]]
    official: Sequence[Sequence[int]]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def of_json(cls, record: Mapping[str, Any]) -> Outcome:
        """The outcome that plain values say; KeyError or TypeError for others."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})


def judge(
    index: int,
    query: str,
    classes: Sequence[int],
    labels: NDArray[np.integer],
    present: Sequence[bool],
    truth: NDArray[np.integer],
    void: NDArray[np.bool_],
) -> Outcome:
    """The outcome of an episode: labels and truth (H, W) with 0 and 1..N, void (H, W) where the truth is unknown."""
    way = len(classes)
    counts = metrics.label_overlap(labels, truth, way + 1, void)
    official = metrics.label_overlap(labels, truth, way + 1)
    shown = [bool((truth == place).any()) for place in range(1, way + 1)]
    return Outcome(index, query, list(classes), [bool(p) for p in present], shown, counts.tolist(), official.tolist())


def bounds(values: NDArray[np.float64], level: float = LEVEL) -> tuple[float, float]:
    """What holds the middle `level` of values."""
    low, high = np.percentile(values, (50 * (1 - level), 100 - 50 * (1 - level)))
    return float(low), float(high)


class Scores:
    """The scores of outcomes over the classes of a fold, in percent.

    exact_ratio (FS-CS alone), miou, miou_official and fb_iou. The mIoU leaves void out, and classes that no answer and no
    truth shows. The official one is that of the published code: such classes count 0, and in FS-CS void is background.
    """

    def __init__(self, outcomes: Sequence[Outcome], classes: Sequence[int], frame: Frame) -> None:
        self.outcomes, self.classes, self._frame = list(outcomes), list(classes), frame
        self._exact = np.array([list(one.present) == list(one.truth) for one in self.outcomes], np.int64)
        self._counts, self._official = (self._spread(name) for name in ("counts", "official"))

    def values(self) -> dict[str, float]:
        """Each score over all outcomes."""
        return {name: float(value[0]) for name, value in self._scored(np.ones((1, len(self.outcomes)))).items()}

    def drawn_anew(self, resamples: int = RESAMPLES) -> dict[str, NDArray[np.float64]]:
        """Each score (resamples,) over episodes drawn anew with replacement.

        Always the same draws, so that two methods in the same episodes can be compared draw by draw. One checkpoint and one
        set of images stay: the spread says what the choice of episodes does.
        """
        total = len(self.outcomes)
        return self._scored(np.random.default_rng(_SEED).multinomial(total, np.full(total, 1 / total), size=resamples).astype(np.float64))

    def intervals(self, resamples: int = RESAMPLES) -> dict[str, tuple[float, float]]:
        """For each score the bounds that hold `LEVEL` of its values in `drawn_anew`."""
        return {name: bounds(values) for name, values in self.drawn_anew(resamples).items()}

    def by_class(self) -> dict[int, dict[str, float | int]]:
        """For each class: iou and iou_official in percent, the episodes that ask for it, and in how many of them the query shows it."""
        counts, official = self._counts.sum(axis=0), self._official.sum(axis=0)
        asked, shown = np.zeros((2, self._slots), np.int64)
        for one in self.outcomes:
            asked[list(one.classes)] += 1
            shown[[number for number, there in zip(one.classes, one.truth, strict=True) if there]] += 1
        return {
            number: {
                "iou": metrics.mean_class_iou(self._plane(counts), [number]),
                "iou_official": metrics.mean_class_iou(self._plane(official), [number]),
                "episodes": int(asked[number]),
                "shown": int(shown[number]),
            }
            for number in self.classes
        }

    @property
    def _slots(self) -> int:
        return max(self.classes) + 1

    def _spread(self, name: str) -> NDArray[np.int64]:
        """Counts of each outcome in slots of class numbers: FS-CS (E, 2, slots), FS-S (E, 2, 2, slots) with background and foreground."""
        found = []
        for one in self.outcomes:
            counts = np.array(getattr(one, name), np.int64)
            if self._frame == "fscs":
                found.append(metrics.fscs_counts(counts, np.array(one.classes), self._slots))
            else:
                wide = np.zeros((2, 2, self._slots), np.int64)
                wide[:, :, one.classes[0]] = counts
                found.append(wide)
        return np.stack(found)

    def _plane(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        return counts if self._frame == "fscs" else counts[:, 1]

    def _scored(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Scores (R,) of the outcomes, each counted as often as weights (R, E) say."""
        exact = 100 * (weights @ self._exact) / np.maximum(weights.sum(axis=1), 1)
        rows = [self._scored_counts(*pair) for pair in zip(totals(weights, self._counts), totals(weights, self._official), strict=True)]
        found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return {"exact_ratio": exact, **found} if self._frame == "fscs" else found

    def _scored_counts(self, counts: NDArray[np.int64], official: NDArray[np.int64]) -> dict[str, float]:
        fb_iou = metrics.fscs_fb_iou(counts, self.classes) if self._frame == "fscs" else metrics.fss_scores(counts, self.classes)[1]
        published = official if self._frame == "fscs" else counts
        return {"miou": self._mean_iou(counts), "miou_official": self._mean_iou(published) * self._shown_share, "fb_iou": fb_iou}

    def _mean_iou(self, counts: NDArray[np.int64]) -> float:
        """The mIoU of the classes that some pixel shows."""
        plane = self._plane(counts)
        seen = [number for number in self.classes if plane[1, number] > 0]
        return metrics.mean_class_iou(plane, seen) if seen else 0.0

    @cached_property
    def _shown_share(self) -> float:
        """How many of the classes any pixel of any outcome shows: the others count 0 in the official mIoU, in every draw of episodes alike."""
        unions = self._plane(self._official.sum(axis=0))[1, self.classes]
        return float((unions > 0).mean())


def totals(weights: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts (E, ...) summed with weights (R, E) -> (R, ...): a product of floats, exact below 2 ** 53, since one of whole numbers is slow."""
    summed = weights @ counts.reshape(len(counts), -1).astype(np.float64)
    return np.rint(summed).astype(np.int64).reshape(len(weights), *counts.shape[1:])
