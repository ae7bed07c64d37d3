"""Files of one JSON object a line: written so that a run can stop at any byte, read one line at a time."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from likewise.errors import OutputError
from likewise.files import replacing, said_where

_BLOCK = 1 << 16


def to_line(record: Mapping[str, Any]) -> str:
    """One line of JSON in ASCII: keys in the order given, names of any bytes escaped, floats as they are."""
    return json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n"


def rounded(value: float) -> float | None:
    """A number with six digits after the point, so that its text is stable; None for NaN and infinity."""
    return round(float(value), 6) if math.isfinite(value) else None


def cut_partial_line(path: Path) -> None:
    """Drop what follows the last line end of a file: the rest of a line that was being written when a run was killed."""
    if not path.exists():
        return
    with path.open("rb+") as stream:
        stream.truncate(_line_end(stream, stream.seek(0, os.SEEK_END)))


def last_line(path: Path) -> dict[str, Any] | None:
    """The object of the last line of a file of whole lines, found from its end; None if there is none. OutputError as in `read_lines`."""
    if not path.exists():
        return None
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        if not end:
            return None
        stream.seek(_line_end(stream, end - 1))
        return _record(stream.read().decode("ascii", "replace"), f"{path}, last line")


def _line_end(stream: IO[bytes], end: int) -> int:
    """Where the last line that ends before a place of a file ends, 0 if none does."""
    while end > 0:
        start = max(0, end - _BLOCK)
        stream.seek(start)
        last = stream.read(end - start).rfind(b"\n")
        if last >= 0:
            return start + last + 1
        end = start
    return 0


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file, one at a time; nothing if there is no file. OutputError names the line that is damaged."""
    if not path.exists():
        return
    with path.open(encoding="ascii", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            yield _record(line, f"{path}, line {number}")


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        record = error
    if not isinstance(record, dict):
        raise OutputError("the line is damaged", where=where, remedy="Label into another folder")
    return record


class LineWriter:
    """Appends lines to a file; each is handed to the system at once, so that a killed program loses none of them."""

    def __init__(self, path: Path) -> None:
        self._path, self._stream = path, path.open("a", encoding="ascii")

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one line."""
        self._stream.write(to_line(record))
        self._stream.flush()

    def sync(self) -> None:
        """Wait until the disk has it, so that a machine that loses power loses little."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # what could not be written is tried again by closing: a second error must not hide the first
        with said_where(self._path) if error is None else contextlib.suppress(OSError):
            self._stream.close()


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content becomes the file at the end, or the file as it was before; never half of it.

    The temporary name is always the same, so that a killed run leaves one behind at most; only the holder of the
    output folder's lock calls this. Raises OutputError where it cannot be written.
    """
    with said_where(path), replacing(path, temporary=f".{path.name}.tmp") as draft, draft.open("wb") as stream:
        yield stream


def write_atomically(path: Path, content: bytes) -> None:
    """A file with this content, as by `replaced_file`."""
    with replaced_file(path) as stream:
        stream.write(content)
