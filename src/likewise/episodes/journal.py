"""The lines of an evaluation: one an episode, in order, so that a run that was killed goes on where it was.

FOLDER/run.json         what the answers depend on
FOLDER/episodes.jsonl   a line an episode
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from likewise.episodes.classification.outcome import ClassOutcome
from likewise.episodes.nway import NwayOutcome
from likewise.episodes.outcome import Outcome
from likewise.errors import OutputError
from likewise.files import said_where
from likewise.formats.files import json_bytes, write_atomic

Answered = Outcome | NwayOutcome | ClassOutcome


class Journal:
    """The outcomes that a folder holds, and new ones; while this process holds its lock. Made by `open_journal`."""

    def __init__(self, path: Path | None, outcomes: list[Answered]) -> None:
        self._path, self.outcomes = path, outcomes

    def add(self, outcome: Answered) -> None:
        """Keep an outcome; it is in the file when this returns. OutputError where it cannot be written."""
        self.outcomes.append(outcome)
        if self._path is not None:
            with said_where(self._path), self._path.open("ab") as stream:
                stream.write(json.dumps(outcome.to_json(), separators=(",", ":")).encode() + b"\n")


@contextmanager
def open_journal(folder: Path | None, fingerprint: Mapping[str, Any], kind: type[Answered] = Outcome) -> Iterator[Journal]:
    """The journal of a folder with outcomes of a kind, which is made if need be; with None one that is kept nowhere.

    Raises OutputError for a folder that another process works on, or that holds the outcomes of something else.
    """
    if folder is None:
        yield Journal(None, [])
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder cannot be made ({error.strerror})", where=str(folder), remedy="Choose another by --out") from error
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        with lock:
            _compare(folder / "run.json", fingerprint)
            path = folder / "episodes.jsonl"
            yield Journal(path, _read(path, kind))
    except filelock.Timeout as error:
        raise OutputError("another evaluation works on it", where=str(folder), remedy="Wait for it, or choose another folder by --out") from error


def _compare(path: Path, fingerprint: Mapping[str, Any]) -> None:
    wanted = json.loads(json.dumps(fingerprint))
    if not path.exists():
        if any(path.parent.glob("episodes.jsonl")):
            raise OutputError("it holds lines of which nothing says what they are", where=str(path.parent), remedy="Choose another folder by --out")
        write_atomic(path, json_bytes(wanted))
        return
    try:
        found = json.loads(path.read_bytes())
        other = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
    except (ValueError, AttributeError, TypeError) as error:
        raise OutputError(f"it does not describe an evaluation ({error})", where=str(path), remedy="Choose another folder by --out") from error
    if other:
        raise OutputError(
            f"the evaluation that stands there differs in {', '.join(other)} ({found.get(other[0])!r}, now {wanted.get(other[0])!r})",
            where=str(path.parent),
            remedy="Choose another folder by --out, or evaluate as it was begun",
        )


def _read(path: Path, kind: type[Answered]) -> list[Answered]:
    """The whole lines of the file, which is cut behind them; OutputError for lines that are no outcomes in order."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_atomic(path, whole)
    try:
        outcomes: list[Answered] = [kind.of_json(json.loads(line)) for line in whole.splitlines()]
        if [one.index for one in outcomes] != list(range(len(outcomes))):
            raise ValueError("its episodes are not in order")
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"it was edited ({error})", where=str(path), remedy="Remove the folder, or choose another by --out") from error
    return outcomes
