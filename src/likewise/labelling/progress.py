"""How far a run is, for people: a bar in a terminal, a line now and then in a log, nothing where nobody asked."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Protocol, TextIO

LINE_EVERY = 30.0  # seconds between lines in a log


class Progress(Protocol):
    """Told of a run's beginning, of images that are done, and of its end."""

    def begin(self, total: int, done: int) -> None:
        """A run of `total` images begins, `done` of them were done before."""

    def advance(self, images: int) -> None:
        """More images are done."""

    def end(self) -> None:
        """The run is over, whether it came to its end or not."""


class Silent:
    """Says nothing."""

    def begin(self, total: int, done: int) -> None:
        """Nothing."""

    def advance(self, images: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Bar:
    """A bar with rate and time left on a terminal."""

    def begin(self, total: int, done: int) -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("labelling"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), TextColumn("left"))
        self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._started, self._earlier, self._done = time.monotonic(), done, done
        self._task = self._bar.add_task("labelling", total=total, completed=done, rate="")
        self._bar.start()

    def advance(self, images: int) -> None:
        """Move the bar."""
        self._done += images
        rate = (self._done - self._earlier) / max(time.monotonic() - self._started, 1e-3)
        self._bar.update(self._task, completed=self._done, rate=f"{rate:.1f} a second")

    def end(self) -> None:
        """Take the bar away."""
        self._bar.stop()


class Log:
    """A line every half minute, for output that goes to a file."""

    def __init__(self, stream: TextIO | None = None, every: float = LINE_EVERY) -> None:
        self._stream, self._every = stream or sys.stderr, every

    def begin(self, total: int, done: int) -> None:
        """Remember the time."""
        self._total, self._earlier, self._done = total, done, done
        self._started = self._said = time.monotonic()

    def advance(self, images: int) -> None:
        """Say how far the run is, if it was quiet for long enough."""
        self._done += images
        now = time.monotonic()
        if now - self._said < self._every:
            return
        self._said = now
        rate = (self._done - self._earlier) / max(now - self._started, 1e-3)
        print(
            f"labelled {self._done:,} of {self._total:,}, {rate:.1f} a second, {duration((self._total - self._done) / rate)} left",
            file=self._stream,
            flush=True,
        )

    def end(self) -> None:
        """Nothing: the summary follows."""


def for_stderr() -> Progress:
    """A bar if stderr is a terminal, else lines."""
    return Bar() if sys.stderr.isatty() else Log()


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(0.42), duration(75), duration(7384)
    ('0.4 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = timedelta(seconds=round(seconds))
    minutes, rest = divmod(whole.seconds, 60)
    hours = whole.days * 24 + minutes // 60
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {rest} s"
