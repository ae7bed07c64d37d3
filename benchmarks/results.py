"""The rows of the benches, read back: by variant, shots and set, and which variant of a baseline is its best."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from common import BENCH, SHOTS, read_json

Row = Mapping[str, Any]
Draws = Mapping[int, Row]  # rows of a variant in a (set, shots) by draw
OURS = "analogy-default"
WORDS = {"split": "the set's own split", "1": "one image a class", "2": "two images a class", "5": "five images a class", "10": "ten images a class"}


@dataclass(frozen=True)
class Rows:
    """Rows of a folder of results: {(variant, shots, set): {draw: row}}."""

    found: Mapping[tuple[str, str, str], Draws]

    def of(self, variant: str, shots: str, name: str) -> Draws:
        """The rows of a variant in a set by draw; empty if it was not measured."""
        return self.found.get((variant, shots, name), {})

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every (shots, set) in which `analogy` or a baseline has a row with masks, in the order of shots."""
        named = {(shots, name) for (_, shots, name), draws in self.found.items() if any("miou" in row for row in draws.values())}
        return sorted(named, key=lambda pair: (SHOTS.index(pair[0]), pair[1]))

    @property
    def baselines(self) -> list[str]:
        """Variants of other methods at their own working size, by name."""
        own = {variant for variant, _, _ in self.found if not variant.startswith("analogy-")}
        return sorted(variant for variant in own if variant.count("-") == 1)

    def at_our_side(self, baseline: str, shots: str, name: str) -> Draws:
        """The rows of a baseline at the working size that `analogy` chose for each draw, where they were measured."""
        rows = {}
        for draw, ours in self.of(OURS, shots, name).items():
            own = self.of(baseline, shots, name).get(draw)
            row = own if own and own["side"] == ours["side"] else self.of(f"{baseline}-{ours['side']}", shots, name).get(draw)
            if row:
                rows[draw] = row
        return rows

    def best_variant(self, baseline: str, shots: str, name: str) -> Draws:
        """The better by mean mIoU of a baseline at its own and at our working size; that with more draws if one lacks some."""
        own, same = self.of(baseline, shots, name), self.at_our_side(baseline, shots, name)
        return max((own, same), key=lambda draws: (len(draws), mean(draws) if draws else 0.0))

    def best_baseline(self, shots: str, name: str) -> tuple[str, Draws] | None:
        """The baseline, at its better working size, with the highest mean mIoU in a (set, shots)."""
        found = {baseline: draws for baseline in self.baselines if (draws := self.best_variant(baseline, shots, name))}
        return max(found.items(), key=lambda item: mean(item[1])) if found else None


@cache
def load(root: Path = BENCH / "accuracy") -> Rows:
    """All rows below a folder VARIANT/SHOTS/SET/DRAW.json."""
    found: dict[tuple[str, str, str], dict[int, Row]] = {}
    for path in sorted(root.glob("*/*/*/*.json")):
        variant, shots, name = path.relative_to(root).parts[:3]
        found.setdefault((variant, shots, name), {})[int(path.stem)] = read_json(path)
    return Rows(found)


def mean(draws: Draws, key: str = "miou") -> float:
    """The mean of a figure over draws."""
    return float(statistics.mean(row[key] for row in draws.values()))


def spread(draws: Draws, key: str = "miou") -> float | None:
    """The standard deviation of a figure over draws; None for a single one."""
    return statistics.stdev(row[key] for row in draws.values()) if len(draws) > 1 else None


def common_draws(one: Draws, other: Draws) -> tuple[Draws, Draws]:
    """The rows of two variants on the draws that both have."""
    shared = sorted(set(one) & set(other))
    return {draw: one[draw] for draw in shared}, {draw: other[draw] for draw in shared}


def sides(draws: Draws) -> str:
    """The working sizes of rows, in words: "448" or "448/896"."""
    return "/".join(str(side) for side in sorted({row["side"] for row in draws.values() if row["side"] is not None}))
