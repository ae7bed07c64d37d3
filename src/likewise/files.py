"""Writing files whole or not at all: the one place that every writer of the program goes through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, temporary: str | None = None) -> Iterator[Path]:
    """A temporary path in the same folder that becomes `path` at the end: flushed to the disk, then renamed.

    The caller writes to the temporary path in any way. On an error, or an interruption, `path` stays as it was and
    the temporary file is removed. temporary: its name, for a writer who alone may write here and who would rather
    have a killed run leave one known name behind than one a process. Raises OSError as the system does.
    """
    draft = path.with_name(temporary or f".{path.name[:200]}.{os.getpid()}.tmp")
    try:
        draft.touch()
        usual = draft.stat().st_mode
        yield draft
        draft.chmod(usual)  # safetensors makes files that only their owner may read
        with draft.open("rb+") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
