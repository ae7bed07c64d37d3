"""The rows of the arena, read back: scores by method and cell, their intervals, and differences on the same queries of the same draws."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bootstrap import RESAMPLES, Array, Interval, interval, mean_iou, weights
from common import BENCH, depth_sets, read_json

OUT = BENCH / "arena"
OURS = "analogy"
Pair = tuple[str, str]  # (set, shots)
Draws = Mapping[int, Mapping[str, Any]]
ORDER = ("1", "2", "3", "5", "10", "6", "split")  # of columns; 1, 3 and 6 are frames of a depth set


@dataclass(frozen=True)
class Arena:
    """Rows {name of a contender: {(set, shots): {draw: row}}}."""

    rows: Mapping[str, Mapping[Pair, Draws]]

    @property
    def pairs(self) -> list[Pair]:
        """The (set, shots) in which `analogy` was measured, by set, then shots."""
        return sorted(self.rows.get(OURS, {}), key=lambda pair: (pair[0], ORDER.index(pair[1])))

    @property
    def sets(self) -> list[str]:
        """The sets of these, depth last."""
        found = sorted({name for name, _ in self.pairs})
        return [name for name in found if name not in depth_sets()] + [name for name in found if name in depth_sets()]

    def first(self) -> Arena:
        """The first draws alone, which every contender has: its means may stand beside each other."""
        return Arena({name: {pair: {0: draws[0]} for pair, draws in own.items() if 0 in draws} for name, own in self.rows.items()})

    def draws(self, name: str, pair: Pair) -> Draws:
        """Rows of a contender by draw; empty if it was not measured there."""
        return self.rows.get(name, {}).get(pair, {})

    def score(self, name: str, pair: Pair) -> float | None:
        """The mean over the draws: mIoU in percent, of depth the percentage of pixels within a factor of 1.25."""
        draws = self.draws(name, pair)
        return float(np.mean([_value(row) for row in draws.values()])) if draws else None

    def spread(self, name: str, pair: Pair) -> float | None:
        """The standard deviation over the draws; None of one draw."""
        draws = self.draws(name, pair)
        return float(np.std([_value(row) for row in draws.values()], ddof=1)) if len(draws) > 1 else None

    def over(self, name: str, pair: Pair) -> Interval | None:
        """The score with the 95 % interval of a bootstrap over the images; None for depth and where nothing was measured."""
        drawn = self._resampled(name, pair, self.draws(name, pair))
        return None if drawn is None else interval(drawn)

    def behind(self, name: str, pairs: Iterable[Pair]) -> tuple[Array, int] | None:
        """Ours less a contender: (1 + R,) the mean over pairs that both have, on common draws, and how many these are; resamples of one set move together."""
        found = []
        for pair in pairs:
            ours, theirs = self.draws(OURS, pair), self.draws(name, pair)
            both = sorted(set(ours) & set(theirs))
            own, other = (self._resampled(who, pair, {draw: rows[draw] for draw in both}) for who, rows in ((OURS, ours), (name, theirs)))
            if own is not None and other is not None:
                found.append(own - other)
        return (np.mean(found, axis=0), len(found)) if found else None

    def margin(self, name: str, pair: Pair) -> float | None:
        """Ours less a contender's score on the draws that both have; of depth too."""
        ours, theirs = self.draws(OURS, pair), self.draws(name, pair)
        both = set(ours) & set(theirs)
        return float(np.mean([_value(ours[draw]) - _value(theirs[draw]) for draw in both])) if both else None

    def _resampled(self, name: str, pair: Pair, draws: Draws) -> Array | None:
        if not draws or any("per_query" not in row for row in draws.values()):
            return None
        counts = [row["per_query"] for row in draws.values()]
        images = sorted({image for drawn in self.draws(OURS, pair).values() for image in drawn["per_query"]} | {image for count in counts for image in count})
        return mean_iou(counts, images, self._weights[(pair[0], len(images))])

    @cached_property
    def _weights(self) -> _Weights:
        return _Weights()


class _Weights(dict[tuple[str, int], Array]):
    """The resamples of a set, made once: the same for all contenders, so that differences are paired."""

    def __missing__(self, key: tuple[str, int]) -> Array:
        name, count = key
        self[key] = weights(count, RESAMPLES, seed=zlib.crc32(name.encode()))
        return self[key]


def load(root: Path = OUT) -> Arena:
    """All rows below a folder NAME/SHOTS/SET/DRAW.json."""
    found: dict[str, dict[Pair, dict[int, Any]]] = {}
    for path in sorted(root.glob("*/*/*/*.json")):
        name, shots, where = path.relative_to(root).parts[:3]
        found.setdefault(name, {}).setdefault((where, shots), {})[int(path.stem)] = read_json(path)
    return Arena(found)


def _value(row: Mapping[str, Any]) -> float:
    return float(row["miou"]) if "miou" in row else 100 * float(row["delta_1.25"])
