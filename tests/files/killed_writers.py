"""Kill every writer: `killed_writers.py FOLDER fsync|replace`.

Writes the first content of each, lets a process die at that call of the system while it writes the second, and writes the second again in a new process; a
line of JSON a writer says what stood there each time. A program of its own, since a process with threads should not be split.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch
from every_writer import WRITERS, content, image, task_of

CALLS = {"fsync": ["fsync"], "replace": ["replace", "rename", "link"]}


def ended(call: Callable[[], Any]) -> int:
    """How a process that does this ended, as `os.waitpid` says it."""
    process = os.fork()
    if process == 0:
        try:
            call()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(process, 0)[1]


def killed_at(call: str, write: Callable[[], Any]) -> None:
    """Die at the first such call."""
    for name in CALLS[call]:
        setattr(os, name, lambda *arguments, **options: os.kill(os.getpid(), signal.SIGKILL))
    write()


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in content(folder).items()}


def main(folder: Path, call: str) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # its threads are not there in a process that was split off, which would wait for them without end
    for version in (1, 2):
        image(version), task_of(version)
    for number, writer in enumerate(WRITERS):
        place, warm = folder / str(number), folder / f"warm-{number}"
        for each in (warm, place):
            each.mkdir(parents=True)
            writer.prepare(each)
        writer.write(warm, 1)  # what is imported late is so before the processes part
        first, second = (partial(writer.write, place, version) for version in (1, 2))
        said: dict[str, Any] = {"name": writer.name, "ended": []}
        for stage, write in (("before", first), ("killed", partial(killed_at, call, second)), ("after", second)):
            said["ended"].append(ended(write))
            said[stage] = hashes(place)
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
