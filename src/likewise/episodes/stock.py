"""What is said of one thing that a benchmark needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stock:
    """One thing that a benchmark needs: how many are there of how many, some that are missing, a remark, and where to get it."""

    what: str
    there: int
    needed: int
    source: str
    missing: Sequence[str] = field(default_factory=tuple)
    remark: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.there >= self.needed > 0
