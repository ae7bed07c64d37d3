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
        return self._scored(np.ones(len(self.outcomes), np.int64))

    def intervals(self, resamples: int = RESAMPLES, level: float = LEVEL) -> dict[str, tuple[float, float]]:
        """For each score the bounds that hold the middle `level` of its values over episodes drawn anew with replacement.

        Always the same draws. One checkpoint and one set of images stay: the interval says what the choice of episodes does.
        """
        total = len(self.outcomes)
        draws = np.random.default_rng(_SEED).multinomial(total, np.full(total, 1 / total), size=resamples)
        found = [self._scored(draw) for draw in draws]
        edges = (50 * (1 - level), 100 - 50 * (1 - level))
        bounds = {name: np.percentile([scored[name] for scored in found], edges) for name in found[0]}
        return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}

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

    def _scored(self, weights: NDArray[np.int64]) -> dict[str, float]:
        counts, official = (np.tensordot(weights, each, axes=1) for each in (self._counts, self._official))
        miou = self._mean_iou(counts)
        if self._frame == "fss":
            return {"miou": miou, "miou_official": miou * self._shown_share, "fb_iou": metrics.fss_scores(counts, self.classes)[1]}
        return {
            "exact_ratio": float(100 * (weights * self._exact).sum() / max(weights.sum(), 1)),
            "miou": miou,
            "miou_official": self._mean_iou(official) * self._shown_share,
            "fb_iou": metrics.fscs_fb_iou(counts, self.classes),
        }

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
