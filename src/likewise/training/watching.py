"""How far a training run is, for people: a bar in a terminal, a line now and then in a log, nothing where nobody asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

LINE_EVERY = 30.0  # seconds between lines in a log
_SMOOTH = 0.98  # weight of the past in the loss that is shown


class Watcher(Protocol):
    """Told of a run's beginning, of its steps and validations, and of its end."""

    def begin(self, total: int, done: int) -> None:
        """A run of `total` episodes begins, `done` of them were done before."""

    def step(self, episodes: int, loss: float) -> None:
        """A step is done; `episodes` in all."""

    def say(self, sentence: str) -> None:
        """Something that people want to read."""

    def end(self) -> None:
        """The run is over, whether it came to its end or not."""


class Silent:
    """Says nothing."""

    def begin(self, total: int, done: int) -> None:
        """Nothing."""

    def step(self, episodes: int, loss: float) -> None:
        """Nothing."""

    def say(self, sentence: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Console:
    """A bar on a terminal, lines elsewhere; both on stderr."""

    _bar: Any = None

    def begin(self, total: int, done: int) -> None:
        """Show the bar, or say where the run begins."""
        self._total, self._first, self._started, self._said = total, done, time.monotonic(), time.monotonic()
        self._loss: float | None = None
        if done:
            self.say(f"going on after {done:,} of {total:,} episodes")
        if sys.stderr.isatty():
            from rich.console import Console as Terminal
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Terminal(stderr=True), transient=True)
            self._task = self._bar.add_task("training", total=total, completed=done, loss="")
            self._bar.start()

    def step(self, episodes: int, loss: float) -> None:
        """Move the bar, or write a line every half minute."""
        self._loss = loss if self._loss is None else _SMOOTH * self._loss + (1 - _SMOOTH) * loss
        if self._bar is not None:
            self._bar.update(self._task, completed=episodes, loss=f"loss {self._loss:.3f}")
        elif time.monotonic() - self._said > LINE_EVERY:
            self._said = time.monotonic()
            rate = (episodes - self._first) / (self._said - self._started)
            print(f"training {episodes:,}/{self._total:,}, loss {self._loss:.3f}, {rate:.1f} episodes a second", file=sys.stderr, flush=True)

    def say(self, sentence: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(sentence, highlight=False)
        else:
            print(sentence, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


def listed(scores: Mapping[str, float]) -> str:
    """Scores in a line.

    >>> listed({"exact_ratio": 75.0, "miou": 31.24})
    'exact_ratio 75.0, miou 31.2'
    """
    return ", ".join(f"{name} {value:.1f}" for name, value in scores.items())
