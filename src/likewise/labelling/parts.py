"""The manifest of a run: one file, or in runs of very many images a folder of files of 50,000 lines each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from likewise.labelling.lines import LineWriter, cut_partial_line, read_lines

LINES = 50_000  # of a part
NAME, FOLDER = "manifest.jsonl", "manifest"


class Manifest:
    """The lines about the images of a run in `out`; in parts: manifest/00001.jsonl, 00002.jsonl, ... in place of manifest.jsonl."""

    def __init__(self, out: Path, *, in_parts: bool) -> None:
        self.path = out / (FOLDER if in_parts else NAME)
        self.in_parts = in_parts

    def files(self) -> list[Path]:
        """The files that are there, in order."""
        if not self.in_parts:
            return [self.path] if self.path.exists() else []
        return sorted(self.path.glob("*.jsonl")) if self.path.is_dir() else []

    def cut_partial_line(self) -> None:
        """Drop the rest of a line that was being written when a run was killed."""
        for file in self.files()[-1:]:
            cut_partial_line(file)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The lines of all parts, one at a time. OutputError names the line that is damaged."""
        for file in self.files():
            yield from read_lines(file)

    def line_in_part(self, line: int) -> int:
        """The place of a line in its file, counted from 0."""
        return line % LINES if self.in_parts else line

    def writer(self, lines: int) -> ManifestWriter:
        """Appends to it, which has so many lines."""
        return ManifestWriter(self, lines)

    def part(self, line: int) -> Path:
        """The file that a line, counted from 0, stands in."""
        return self.path / f"{line // LINES + 1:05}.jsonl" if self.in_parts else self.path


class ManifestWriter:
    """Appends lines to a manifest, part after part; a part is begun with its first line."""

    def __init__(self, manifest: Manifest, lines: int) -> None:
        self._manifest, self._lines = manifest, lines
        self._at, self._writer = manifest.part(lines), None if manifest.in_parts else LineWriter(manifest.path)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one line."""
        path = self._manifest.part(self._lines)
        if self._writer is None or path != self._at:
            self.sync()
            self.close()
            path.parent.mkdir(exist_ok=True)
            self._at, self._writer = path, LineWriter(path)
        self._writer.write(record)
        self._lines += 1

    def sync(self) -> None:
        """Wait until the disk has what was written."""
        if self._writer is not None:
            self._writer.sync()

    def close(self) -> None:
        """Close the part at work."""
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> ManifestWriter:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
