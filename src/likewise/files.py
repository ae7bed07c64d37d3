"""Writing files whole or not at all: the one place that every writer of the program goes through.

A file is made under a temporary name beside its place, flushed to the disk and renamed. The name says which process makes it, so that what
a killed one left behind is removed when another begins to write into the same folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from likewise.errors import OutputError

ABANDONED = 86_400  # seconds after which a temporary file is nobody's, whoever made it
SHOWN = 40  # characters of a file's name that its temporary name repeats; names may have 255 bytes
_TEMPORARY = re.compile(r"\..*\.([0-9a-f]{8})-(\d+)-([0-9a-f]{8})-\d+\.tmp", re.DOTALL)
_MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_START = secrets.token_hex(4)  # in a container every run may have the same machine and number of process
_numbers = itertools.count()
_tidied: set[tuple[int, str]] = set()


@contextmanager
def replacing(path: Path, *, temporary: str | None = None) -> Iterator[Path]:
    """A temporary path in the same folder that becomes `path` at the end: flushed to the disk, then renamed.

    The caller writes to the temporary path in any way. On an error, or an interruption, `path` stays as it was and
    the temporary file is removed. temporary: its name, for a writer who alone may write here and who would rather
    have a killed run leave one known name behind than one a process. Raises OSError as the system does.
    """
    if temporary is None:
        _tidy_once(path.parent)
    draft = path.with_name(temporary or temporary_name(path.name))
    try:
        draft.touch()
        yield draft
        with draft.open("rb+") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes it at the end; on an error, or an interruption, nothing is left of it.

    There must be nothing at `path`, or an empty folder. Raises OutputError where the folder cannot be made.
    """
    draft = path.with_name(temporary_name(path.name))
    try:
        with said_where(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(path.parent)
            draft.mkdir()
        yield draft
        with said_where(path):
            if path.exists():
                path.rmdir()
            draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def said_where(path: Path) -> Iterator[None]:
    """Inside, an error of the system becomes an OutputError about a file or folder of the user that cannot be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"it cannot be written ({error.strerror or error})", where=str(path), remedy="Check the folder, its permissions and the free space"
        ) from error


def temporary_name(name: str) -> str:
    """A name for a file or folder on its way to `name`, that no other has and `remove_leftovers` knows."""
    return f".{name[:SHOWN]}.{_MACHINE}-{os.getpid()}-{_START}-{next(_numbers)}.tmp"


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders whose writers are dead; those of other machines once they are a day old. What cannot be removed stays."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            made = _TEMPORARY.fullmatch(entry.name)
            if made is None or not _abandoned(entry, made[1], int(made[2]), made[3]):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def _tidy_once(folder: Path) -> None:
    """Remove what dead writers left, before this process first writes into a folder: not a listing a file."""
    place = (os.getpid(), str(folder.absolute()))
    if place not in _tidied:
        remove_leftovers(folder)
        _tidied.add(place)


def _abandoned(entry: os.DirEntry[str], machine: str, process: int, start: str) -> bool:
    if start == _START and process == os.getpid():
        return False
    if machine == _MACHINE and not _runs(process):
        return True
    with contextlib.suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED
    return False


def _runs(process: int) -> bool:
    """Whether a process of this machine is alive, other than as this one; where that cannot be asked, it may be."""
    if process == os.getpid():
        return False
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
