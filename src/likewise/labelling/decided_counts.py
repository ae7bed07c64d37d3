"""How many of the images that show a class a rule missed, and how many it named in vain, counted image by image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.functional.shares import share_interval

SUMS = ("missed", "shown", "alarms", "without")


class DecidedCounts:
    """Images by class: those that show it and how many of them were missed, those that do not and how many of them were to be looked at."""

    def __init__(self) -> None:
        self._sums: dict[str, NDArray[np.int64]] = {}

    def add(self, pairs: Mapping[str, list[bool]]) -> None:
        """Count an image: {class: [whether it is there, whether it is to be looked at]}."""
        for name, (there, look) in pairs.items():
            own = np.array([there and not look, there, look and not there, not there], np.int64)
            self._sums[name] = self._sums.get(name, np.zeros(len(SUMS), np.int64)) + own

    def scores(self) -> dict[str, dict[str, int]]:
        """{class: {"missed", "shown", "alarms", "without"}}, by name."""
        return {name: dict(zip(SUMS, self._sums[name].tolist(), strict=True)) for name in sorted(self._sums)}


def told_decided(truth: Mapping[str, Any]) -> list[str]:
    """What the scores of a truth say of a rule, in sentences; none where there was none.

    >>> told_decided({"decided": {"crack": {"missed": 1, "shown": 20, "alarms": 3, "without": 0}}})
    ['crack: missed 1 of 20 images that show it (0.9 to 23.6 %)']
    """
    lines = []
    for name, own in truth.get("decided", {}).items():
        parts = [_told("missed", own["missed"], own["shown"], "that show it"), _told("false alarms", own["alarms"], own["without"], "that do not")]
        lines.append(f"{name}: {', '.join(part for part in parts if part)}")
    return lines


def _told(what: str, hits: int, of: int, which: str) -> str:
    if not of:
        return ""
    low, high = share_interval(hits, of)
    return f"{what} {hits:,} of {of:,} images {which} ({100 * low:.1f} to {100 * high:.1f} %)"
