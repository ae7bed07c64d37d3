"""Features on disk: a file for what a network says of one picture, named by all that its numbers depend on.

Any number of processes may share a folder. A file is there whole or not at all (`likewise.files`), and says its own name and a checksum: one that is torn,
cut off or foreign counts as missing and is made anew. Where there is a limit, the files that were not asked for longest go first; their time of last change is
that of their last use. The folder is listed once for every twentieth of the limit that this process writes, not at every file.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from likewise.errors import OutputError, UsageError
from likewise.files import remove_leftovers, replacing
from likewise.tensors import raw_bytes, read_tensors, write_tensors

FOLDER = "LIKEWISE_FEATURES"  # of the environment: a folder without a limit
ENDING = ".safetensors"
SLICE = 0.05  # of the limit: what one process may write before it counts again, and what is left free for another that writes meanwhile
_HEADER = 1024  # bytes of a file beside its tensors, at most
_OURS = re.compile(rf"[0-9a-f]{{64}}{re.escape(ENDING)}")


@dataclass
class CacheCounts:
    """Features that were read, those that were made because they were not there, and how many of these had a file that was refused."""

    hits: int = 0
    misses: int = 0
    refused: int = 0

    @property
    def sentence(self) -> str:
        """The same in words."""
        refused = f" ({self.refused:,} of them in place of damaged files)" if self.refused else ""
        return f"features: {self.hits:,} read from the cache, {self.misses:,} made{refused}"

    def since(self, earlier: CacheCounts) -> CacheCounts:
        """What was counted after an earlier time."""
        return CacheCounts(self.hits - earlier.hits, self.misses - earlier.misses, self.refused - earlier.refused)


class FeatureStore:
    """Tensors below a folder, by names of 64 hexadecimal digits; of `most` bytes, None for no limit.

    Each process that writes leaves a twentieth of it to another: two never hold more than the limit together, n at most n - 2 twentieths more.
    Raises UsageError for a limit below 1 byte; OutputError, at the first use, for a folder that cannot be made.
    """

    def __init__(self, folder: Path, most: int | None = None) -> None:
        if most is not None and most < 1:
            raise UsageError(f"the limit is {most} bytes", where="cache", remedy="Give at least 1, or no limit")
        self.folder, self.most, self.counts = folder, most, CacheCounts()
        self._started = self._full = self._aside = False
        self._left = 0.0

    def start(self) -> None:
        """Make the folder, and remove what dead writers left in it; done once, at the first use."""
        if self._started:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the folder for features cannot be made ({error.strerror})", where=str(self.folder), remedy="Choose another one") from error
        for part in self._parts():
            remove_leftovers(part)
        self._started = True

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside, nothing is read and nothing kept: to measure what an answer costs."""
        before, self._aside = self._aside, True
        try:
            yield
        finally:
            self._aside = before

    def read(self, name: str) -> dict[str, Tensor] | None:
        """The tensors of a name, None where they are not there or their file is refused."""
        from safetensors import SafetensorError, safe_open

        self.start()
        path = self._path(name)
        if self._aside:
            return None
        try:
            with safe_open(path, framework="pt") as opened:
                said = opened.metadata()
                tensors = {key: tensor.clone() for key, tensor in read_tensors(opened)}
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError):
            said, tensors = None, {}
        if said != _said(name, tensors):
            self.counts.refused += 1
            return None
        with contextlib.suppress(OSError):  # a folder that may only be read
            os.utime(path)
        return tensors

    def write(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep tensors under a name. Where the folder cannot be written any more a warning says so, once, and nothing is kept from then on."""
        self.start()
        size = sum(tensor.nbytes for tensor in tensors.values()) + _HEADER
        if self._full or self._aside or not self._room(size):
            return
        path = self._path(name)
        try:
            path.parent.mkdir(exist_ok=True)
            with replacing(path) as draft:
                write_tensors(draft, tensors, _said(name, tensors))
        except OSError as error:
            self._full = True
            warnings.warn(f"features are no longer kept: {self.folder} cannot be written to ({error.strerror})", stacklevel=2)

    def _room(self, size: int) -> bool:
        """Whether a file of `size` bytes may be written; the oldest have gone where they had to."""
        if self.most is None:
            return True
        if self._left < size:
            granted = max(size, SLICE * self.most)
            target = self.most * (1 - SLICE) - granted
            if target < 0:
                return False
            _drop_oldest(self._files(), target)
            self._left = granted
        self._left -= size
        return True

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}{ENDING}"

    def _parts(self) -> Iterator[Path]:
        """The folders of the first two digits of names."""
        return (part for number in range(256) if (part := self.folder / f"{number:02x}").is_dir())

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """(time of last use, bytes, path) of every file of ours; those of others are not looked at."""
        for part in self._parts():
            with os.scandir(part) as entries:
                for entry in entries:
                    if _OURS.fullmatch(entry.name):
                        with contextlib.suppress(FileNotFoundError):  # dropped by another process meanwhile
                            facts = entry.stat()
                            yield facts.st_mtime_ns, facts.st_size, Path(entry.path)


def folder_of_environment() -> Path | None:
    """The folder that LIKEWISE_FEATURES names, if any."""
    named = os.environ.get(FOLDER)
    return Path(named) if named else None


def _drop_oldest(files: Iterator[tuple[int, int, Path]], target: float) -> None:
    """Remove files, the oldest first, until the others have at most `target` bytes."""
    found = sorted(files)
    held = sum(size for _, size, _ in found)
    for _, size, path in found:
        if held <= target:
            return
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            held -= size


def _said(name: str, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """What the header of a file says: its own name, and a checksum of all tensors with their names and shapes."""
    total = 0
    for key in sorted(tensors):
        total = zlib.crc32(f"{key} {tensors[key].dtype} {tuple(tensors[key].shape)}".encode(), total)
        total = zlib.crc32(raw_bytes(tensors[key]) if tensors[key].numel() else b"", total)
    return {"features": name, "crc32": f"{total:08x}"}
