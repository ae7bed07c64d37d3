"""Lists of names on disk: a million of them take the memory of a few thousand.

A name is a line of JSON in ASCII, so that names of any bytes come back. Lists that others wrote are sorted in runs of bounded size,
so that the order in which paths come, and a path that comes twice, change nothing.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import os
import posixpath
import shutil
import sys
import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import IO, overload

import numpy as np
from numpy.typing import NDArray

from likewise.errors import InputError
from likewise.files import said_where

BLOCK = 1_000  # names read together, and the distance of the places that are remembered
RUN = 100_000  # names sorted in memory at once: about 20 MB
STANDARD_INPUT = Path("-")
_ROOTS = "/\\"


class NameFile(Sequence[str]):
    """The names of some files, in order; of each file every thousandth place is remembered.

    paths: files of one JSON string a line. `digests` has the sha256 of each file, as it was when it was opened. OSError as the system raises it.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._blocks: list[tuple[Path, int]] = []
        self._firsts: list[int] = []  # position of the first name of each block
        self._count = 0
        self._held: tuple[int, list[str]] = (-1, [])
        self.digests = [self._open(path) for path in paths]

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._count))]
        place = index + self._count if index < 0 else index
        if not 0 <= place < self._count:
            raise IndexError(index)
        number = bisect_right(self._firsts, place) - 1
        if self._held[0] != number:
            self._held = (number, self._read(number))
        return self._held[1][place - self._firsts[number]]

    def __iter__(self) -> Iterator[str]:
        return (name for number in range(len(self._blocks)) for name in self._read(number))

    def _open(self, path: Path) -> str:
        total, offset = hashlib.sha256(), 0
        with path.open("rb") as stream:
            while lines := list(itertools.islice(stream, BLOCK)):
                self._blocks.append((path, offset))
                self._firsts.append(self._count)
                content = b"".join(lines)
                total.update(content)
                self._count, offset = self._count + len(lines), offset + len(content)
        return total.hexdigest()

    def _read(self, number: int) -> list[str]:
        path, offset = self._blocks[number]
        with path.open("rb") as stream:
            stream.seek(offset)
            return next(_blocks(stream), [])


def _blocks(stream: IO[bytes]) -> Iterator[list[str]]:
    """The names of a file from its place on, a thousand at a time."""
    while lines := list(itertools.islice(stream, BLOCK)):
        yield json.loads(b"[" + b",".join(lines) + b"]")  # at once: four times as fast as line after line


def name_line(name: str) -> bytes:
    """A name as a line of such a file."""
    return (json.dumps(name, ensure_ascii=True) + "\n").encode("ascii")


class KnownNames:
    """Whether a name is among some, by 16 bytes of each: two names of a billion are taken for one with a probability of 1e-21."""

    def __init__(self, names: Iterable[str]) -> None:
        self._sorted: NDArray[np.bytes_] = np.sort(np.fromiter((_short(name) for name in names), dtype="S16"))

    def new(self, names: Iterable[str]) -> Iterator[str]:
        """The names that are not among them, in order."""
        return (name for name, known in self._looked_up(names) if not known)

    def some(self, names: Iterable[str]) -> bool:
        """Whether one of these names is among them."""
        return bool(len(self._sorted)) and any(known for _, known in self._looked_up(names))

    def _looked_up(self, names: Iterable[str]) -> Iterator[tuple[str, bool]]:
        """Each name, and whether it is among them."""
        rest = iter(names)
        while block := list(itertools.islice(rest, BLOCK)):
            short = np.array([_short(name) for name in block], dtype="S16")
            places = np.minimum(np.searchsorted(self._sorted, short), max(0, len(self._sorted) - 1))
            there = self._sorted[places] == short if len(self._sorted) else np.zeros(len(block), bool)
            yield from zip(block, there.tolist(), strict=True)


def sorted_names(names: Iterable[str]) -> Sequence[str]:
    """Names in order, each once: up to 100,000 in memory, more in a file of their own that goes with the result."""
    rest = iter(names)
    first = _run(rest)
    second = _run(rest)
    return _on_disk(itertools.chain((first, second), iter(lambda: _run(rest), []))) if second else first


def _run(names: Iterator[str]) -> list[str]:
    """The next names in order, each once; none if there are no more."""
    return sorted(set(itertools.islice(names, RUN)))


def _on_disk(runs: Iterable[list[str]]) -> NameFile:
    folder = Path(tempfile.mkdtemp(prefix="likewise-list-"))
    try:
        with said_where(folder):
            _merge(runs, folder)
        found = NameFile([folder / "names"])
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
    return found


def _merge(runs: Iterable[list[str]], folder: Path) -> None:
    """Write the sorted runs into a folder, and all of them in order into its file `names`."""
    written: list[Path] = []
    for run in runs:
        written.append(folder / f"run-{len(written)}")
        with written[-1].open("wb") as stream:
            stream.writelines(map(name_line, run))
    with ExitStack() as stack, (folder / "names").open("wb") as stream:
        merged = heapq.merge(*(itertools.chain.from_iterable(_blocks(stack.enter_context(path.open("rb")))) for path in written))
        stream.writelines(name_line(name) for name, _ in itertools.groupby(merged))
    for path in written:
        path.unlink()


def listed_names(source: Path, root: Path) -> Sequence[str]:
    """The paths that a text file names, or with "-" standard input, a line each: relative to `root`, sorted, each once.

    Lines are read one at a time and may hold any bytes. Raises InputError for a file that cannot be read, and for a path outside of `root`, with its line.
    """
    if source == STANDARD_INPUT:
        return sorted_names(_names_of(sys.stdin.buffer, "standard input", root))
    try:
        with source.open("rb") as stream:
            return sorted_names(_names_of(stream, str(source), root))
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})", where=str(source), remedy="Check the path and its permissions") from error


def _names_of(stream: IO[bytes], where: str, root: Path) -> Iterator[str]:
    base = os.path.normpath(root.absolute())
    for number, line in enumerate(stream, 1):
        written = os.fsdecode(line).rstrip("\r\n")
        if not written.strip():
            continue
        absolute = (written[0] in _ROOTS or written[1:2] == ":") and PurePath(written).is_absolute()
        relative = os.path.relpath(written, base) if absolute else written
        name = posixpath.normpath(relative.replace(os.sep, "/"))
        if name in (".", "..") or name.startswith("../") or "\0" in name:
            remedy = "Name files relative to IMAGES, or give as IMAGES the folder that holds all of them"
            raise InputError(f"{written[:200]!r} is no file inside {root}", where=f"{where}, line {number}", remedy=remedy)
        yield name


def _short(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()
