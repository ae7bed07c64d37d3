"""Walking folders: relative names as plain strings, so that a million of them are fine."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from likewise.data.images import SUFFIXES
from likewise.errors import InputError

_IMAGE_ENDINGS = tuple(SUFFIXES)


def walk(folder: Path, wanted: Callable[[str], bool], *, recursive: bool = True) -> Iterator[str]:
    """Posix paths, relative to `folder`, of the files whose name is wanted, in no order.

    Hidden files and folders are left out, and pipes and devices; links to files are followed, links to folders are not.
    """
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            entries = os.scandir(folder / prefix)
        except OSError as error:
            raise _unreadable(folder / prefix, error) from error
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if recursive:
                        pending.append(f"{prefix}{entry.name}/")
                elif wanted(entry.name) and _holds_bytes(entry):
                    yield prefix + entry.name


def walk_sorted(folder: Path, wanted: Callable[[str], bool]) -> Iterator[str]:
    """The same in order, as `sorted` would have it; the names of one folder at a time are held."""
    return _sorted_below(folder, "", wanted)


def _sorted_below(folder: Path, prefix: str, wanted: Callable[[str], bool]) -> Iterator[str]:
    try:
        with os.scandir(folder / prefix) as entries:
            inside = [
                (f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name)
                for entry in entries
                if not entry.name.startswith(".") and (entry.is_dir(follow_symlinks=False) or _holds_bytes(entry))
            ]
    except OSError as error:
        raise _unreadable(folder / prefix, error) from error
    for name in sorted(inside):
        if name.endswith("/"):
            yield from _sorted_below(folder, prefix + name, wanted)
        elif wanted(name):
            yield prefix + name


def _unreadable(folder: Path, error: OSError) -> InputError:
    return InputError(f"the folder cannot be read ({error.strerror})", where=str(folder), remedy="Check the path and its permissions")


def _holds_bytes(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, or a link to one or to nothing (which is told when it is read); pipes and devices would be read without end."""
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True


def is_image(name: str) -> bool:
    """Whether a file name has the ending of an image."""
    return name.lower().endswith(_IMAGE_ENDINGS)


def has_ending(*endings: str) -> Callable[[str], bool]:
    """A test for file names by their endings, written small or large."""
    return lambda name: name.lower().endswith(endings)
