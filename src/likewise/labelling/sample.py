"""A bounded choice of images to show: the least certain ones, and an even draw of the rest.

Which images are chosen depends on their names and confidences alone, not on their order, so that a run that was resumed
shows what an undisturbed one shows.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Iterator


class Sample:
    """At most `unsure` names of least confidence and `drawn` of all others, by the hash of their names."""

    def __init__(self, unsure: int, drawn: int) -> None:
        self._room = (unsure, drawn)
        self._unsure: list[tuple[float, str]] = []
        self._drawn: list[tuple[str, float, str]] = []

    def offer(self, name: str, confidence: float) -> str | None:
        """The name that is not in the sample any longer: None while there is room, else an earlier one or this one."""
        insort(self._unsure, (confidence, name))
        if len(self._unsure) <= self._room[0]:
            return None
        surer, moved = self._unsure.pop()
        insort(self._drawn, (hashlib.sha256(moved.encode("utf-8", "surrogateescape")).hexdigest(), surer, moved))
        return self._drawn.pop()[2] if len(self._drawn) > self._room[1] else None

    def __iter__(self) -> Iterator[str]:
        """Names, least certain first."""
        chosen = self._unsure + [(confidence, name) for _, confidence, name in self._drawn]
        return (name for _, name in sorted(chosen))

    def __len__(self) -> int:
        return len(self._unsure) + len(self._drawn)
