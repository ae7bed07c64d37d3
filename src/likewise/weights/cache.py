"""Where weights are kept on this machine, and what the environment says about it.

LIKEWISE_CACHE     the cache folder, else the one that the operating system has for this
LIKEWISE_WEIGHTS   further folders to look for weights in, separated like PATH
LIKEWISE_OFFLINE   "1" forbids the network
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from likewise.errors import WeightsError
from likewise.files import replacing

CHUNK = 1 << 20


def cache_folder() -> Path:
    """The cache folder; it need not exist yet."""
    chosen = os.environ.get("LIKEWISE_CACHE", "").strip()
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("likewise", appauthor=False)


def weights_folders() -> list[Path]:
    """The folders that LIKEWISE_WEIGHTS names, in order."""
    return [Path(part).expanduser() for part in os.environ.get("LIKEWISE_WEIGHTS", "").split(os.pathsep) if part.strip()]


def offline() -> bool:
    """Whether LIKEWISE_OFFLINE forbids the network."""
    return os.environ.get("LIKEWISE_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """`path`, written by `write` to a temporary name in the same folder, flushed to the disk and renamed."""
    with writable(path.parent), replacing(path) as draft:
        write(draft)


def write_json(path: Path, content: Any) -> None:
    """A small JSON file, written atomically."""
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file of ours; None where the file is missing or does not hold one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


@contextlib.contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Inside, `folder` exists; a WeightsError that says how to choose another one where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise WeightsError(
            f"the cache cannot be written: {error.strerror or error}",
            where=str(folder),
            remedy="Set LIKEWISE_CACHE to a folder with room that you may write to",
        ) from error


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Inside, this process alone fetches `name`; waits for others that do."""
    from filelock import FileLock

    folder = cache_folder() / "locks"
    with writable(folder):
        lock = FileLock(folder / f"{name}.lock")
    with lock:
        yield
