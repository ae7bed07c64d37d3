"""The log of a run: a CSV file of losses and one of validations, in step with its state."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from likewise.errors import InputError
from likewise.files import said_where
from likewise.formats.files import write_atomic

EPISODE = "episode"  # the first column: episodes done


class CsvLog:
    """Rows of numbers by the episodes that were done; written as they come."""

    def __init__(self, path: Path, columns: Sequence[str], done: int) -> None:
        """A log that goes on after `done` episodes: later rows, which a killed run wrote after its last state, are dropped."""
        self._path, self._columns = path, [EPISODE, *columns]
        kept = [row for row in read_log(path) if row[EPISODE] <= done] if done and path.is_file() else []
        lines = [",".join(self._columns), *(self._line(row) for row in kept)]
        write_atomic(path, ("\n".join(lines) + "\n").encode())

    def add(self, episode: int, values: Mapping[str, float]) -> None:
        """Write a row. OutputError where it cannot be written."""
        with said_where(self._path), self._path.open("a", encoding="utf-8") as stream:
            stream.write(self._line({EPISODE: episode, **values}) + "\n")

    def _line(self, row: Mapping[str, float]) -> str:
        return ",".join([str(int(row[EPISODE])), *(repr(float(row[column])) for column in self._columns[1:])])


def read_log(path: Path) -> list[dict[str, float]]:
    """The rows of a log; a last line that was cut off is left out. InputError for a file that is no log."""
    whole = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    header, *rows = list(csv.reader(whole)) or [[]]
    try:
        if header[:1] != [EPISODE]:
            raise ValueError("its first column is not 'episode'")
        return [dict(zip(header, map(float, row), strict=True)) for row in rows]
    except ValueError as error:
        raise InputError(f"it is no log of a run ({error})", where=str(path), remedy="Remove it, and the state beside it") from error
