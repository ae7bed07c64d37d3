"""Seconds by stage of calls made elsewhere, nested stages taken out of those around them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Watched = tuple[Any, str, str]  # a module or class, the name of its function, the stage that this is


class Stages:
    """Seconds of each watched stage while `watching`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside: list[float] = []  # for each stage that is running, the seconds of the stages within it

    @contextmanager
    def watching(self, watched: Sequence[Watched]) -> Iterator[None]:
        """Time every call of the watched functions until the end of the block."""
        kept = [(owner, name, owner.__dict__[name]) for owner, name, _ in watched]
        for (owner, name, stage), (_, _, function) in zip(watched, kept, strict=True):
            setattr(owner, name, self._timed(function, stage))
        try:
            yield
        finally:
            for owner, name, function in kept:
                setattr(owner, name, function)

    def _timed(self, function: Any, stage: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self._inside.append(0.0)
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                whole = time.perf_counter() - start
                own = whole - self._inside.pop()
                self.seconds[stage] = self.seconds.get(stage, 0.0) + own
                if self._inside:
                    self._inside[-1] += whole

        return call
