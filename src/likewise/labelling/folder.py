"""The output folder of a run: its lock, its fingerprint, the list it works on, and what is done already.

    OUT/run.json            what made the labels (fingerprint), the plan of batches, the parts of the list
    OUT/manifest.jsonl      a line an image, in the order of the list; above 50,000 images manifest/00001.jsonl, ...
    OUT/times.jsonl         a line a batch: seconds by stage
    OUT/truth.jsonl         a line an image compared with reference labels
    OUT/report.html
    OUT/.likewise/          lock, lists of images (list-1.txt, ...), labels on their way (staging/), thumbnails/, about.json

Label files are made in `staging` and linked to their place only if nothing stands there; whatever stands there is left
alone. A label file comes first, its line in the manifest second, so that a run killed between the two does it again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock

from likewise.data.images import file_digest
from likewise.errors import OutputError
from likewise.formats.name_list import KnownNames, NameFile, name_line
from likewise.labelling import parts
from likewise.labelling.lines import cut_partial_line, last_line, replaced_file, to_line, write_atomically
from likewise.labelling.plan import BatchPlan

VERSION = 1
OWN_FILES = ("run.json", "times.jsonl", "truth.jsonl", "report.html", parts.NAME, parts.FOLDER)
INNER = ".likewise"
SPREAD_ABOVE = 50_000  # images; more files in one folder are slow to list on many file systems


@dataclass
class RunState:
    """What run.json holds; spread: whether labels lie in folders by the hash of their names, and the manifest is in parts."""

    fingerprint: dict[str, str]
    plan: BatchPlan
    parts: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False
    finals: dict[str, list[str]] = field(default_factory=dict)
    spread: bool = False

    def to_json(self) -> bytes:
        """The file's content."""
        plan = {"batch": self.plan.batch, "window": self.plan.window, "halved": [list(pair) for pair in self.plan.halved]}
        record = {
            "version": VERSION,
            "finished": self.finished,
            "fingerprint": self.fingerprint,
            "plan": plan,
            "parts": self.parts,
            "files_of_the_whole_run": self.finals,
            "spread": self.spread,
        }
        return (json.dumps(record, indent=1, ensure_ascii=True) + "\n").encode("ascii")

    @classmethod
    def read(cls, path: Path) -> RunState:
        """The state that a file holds; OutputError for a file that is not one of ours."""
        try:
            record = json.loads(path.read_bytes())
            if record["version"] != VERSION:
                raise OutputError(
                    f"it was written by another version of the program (format {record['version']})", where=str(path), remedy="Label into another folder"
                )
            plan = record["plan"]
            halved = [(int(position), int(size)) for position, size in plan["halved"]]
            return cls(
                dict(record["fingerprint"]),
                BatchPlan(int(plan["batch"]), int(plan["window"]), halved),
                list(record["parts"]),
                bool(record["finished"]),
                dict(record["files_of_the_whole_run"]),
                bool(record.get("spread", False)),
            )
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"it does not describe a labelling run ({error})", where=str(path), remedy="Label into another folder") from error


@dataclass(frozen=True)
class Done:
    """What the manifest says is done: its number of lines, the positions whose files are gone, and the files that were edited."""

    lines: int
    missing: frozenset[int]
    edited: tuple[str, ...]


class OutputFolder:
    """The folder that a run writes to, while this process holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inner = path / INNER
        self.staging = self.inner / "staging"
        self.thumbnails = self.inner / "thumbnails"
        self.times, self.truth, self.report = (path / name for name in OWN_FILES[1:4])
        self.state = RunState({}, BatchPlan.of(1))

    @property
    def manifest(self) -> parts.Manifest:
        """The lines about the images."""
        return parts.Manifest(self.path, in_parts=self.state.spread)

    def begin(self, fingerprint: Mapping[str, str], batch: int | None, usual: int, *, resume: bool) -> None:
        """Start a run here, or with `resume` go on with the one that stands here.

        batch: the size of batches that was asked for; None takes the run's own, or `usual` for a new run. Raises
        OutputError for a run of another kind, for a run without `resume`, and for foreign files of our names.
        """
        refuse(self.path, resume=resume)
        if (self.path / "run.json").exists():
            self.state = RunState.read(self.path / "run.json")
            self._refuse_differences(fingerprint, batch)
            self.manifest.cut_partial_line()
            for path in (self.times, self.truth):
                cut_partial_line(path)
            self._clear_staging()
            return
        self.state = RunState(dict(fingerprint), BatchPlan.of(batch or usual))

    def extend(self, names: Iterable[str]) -> NameFile:
        """The list of this run, in its order: as it began, then a part with the names that are new since then.

        names: what there is now, sorted; read more than once. Names that have gone stay in the list (their images can no longer be read).
        """
        new = iter(self._new(names) if self.state.parts else names)
        first = list(itertools.islice(new, 1))
        if first or not self.state.parts:
            begun = not self.state.parts
            self.state.parts.append(self._write_part(itertools.chain(first, new)))
            self.state.spread = self.state.parts[0]["images"] > SPREAD_ABOVE if begun else self.state.spread
            self.state.finished = False
        self.save()
        return self.listed()

    def listed(self) -> NameFile:
        """The list of this run; OutputError where it is gone or was edited."""
        try:
            found = NameFile(self.list_path(number) for number in range(1, len(self.state.parts) + 1))
        except OSError as error:
            raise _edited_list(Path(error.filename or self.inner)) from error
        for number, (part, digest) in enumerate(zip(self.state.parts, found.digests, strict=True), 1):
            if digest != part["sha256"]:
                raise _edited_list(self.list_path(number))
        return found

    def save(self) -> None:
        """Write run.json."""
        write_atomically(self.path / "run.json", self.state.to_json())

    def lines(self, names: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The lines of the manifest, checked against the list."""
        expected = iter(names)
        for position, record in enumerate(self.manifest):
            if record.get("image") != next(expected, None):
                where = f"{self.manifest.part(position)}, line {self.manifest.line_in_part(position) + 1}"
                raise OutputError(f"it names {record.get('image')!r} out of order", where=where, remedy="It was edited: label into another folder")
            yield record

    def check_files(self, record: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """The label files of a line that are gone, and those whose content is not what was written."""
        gone: list[str] = []
        edited: list[str] = []
        for name, digest in record.get("files", {}).items():
            try:
                if file_digest(f"{self.path}/{name}") != digest:
                    edited.append(name)
            except FileNotFoundError:
                gone.append(name)
            except OSError:  # a folder, say, stands there
                edited.append(name)
        return gone, edited

    def commit(self, name: Path) -> tuple[str, bool]:
        """Move a file from `staging` to its place: its hash, and whether it stands there now.

        A file that stands there already is never touched; it counts as ours if it has the same content.
        """
        source, target = self.staging / name, self.path / name
        digest = file_digest(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileExistsError:
            ours = target.is_file() and file_digest(target) == digest
            source.unlink()
            return digest, ours
        except OSError:  # a file system without hard links; the lock keeps other runs away meanwhile
            if target.exists():
                ours = target.is_file() and file_digest(target) == digest
                source.unlink()
                return digest, ours
            source.replace(target)
            return digest, True
        source.unlink()
        return digest, True

    def commit_final(self, name: Path) -> bool:
        """Move a file about the whole run to its place, over the one that an earlier part of this run wrote; whether it stands there now."""
        source, target = self.staging / name, self.path / name
        digest = file_digest(source)
        ours = self.state.finals.setdefault(name.as_posix(), [])
        if target.exists() and file_digest(target) not in (digest, *ours):
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        if digest not in ours:
            ours.append(digest)
            self.save()  # first the hash, then the file: a run killed between the two knows the old and the new one
        source.replace(target)
        return True

    def _refuse_differences(self, fingerprint: Mapping[str, str], batch: int | None) -> None:
        differing = differences(self.state.fingerprint, fingerprint)
        if batch is not None and batch != self.state.plan.batch:
            differing.append(f"batch was {self.state.plan.batch}, is {batch}")
        if differing:
            remedy = "Use what the run was begun with, or choose another folder with --out"
            raise OutputError(f"the run in this folder was begun differently: {'; '.join(differing)}", where=str(self.path), remedy=remedy)

    def _clear_staging(self) -> None:
        """Remove labels that a killed run left on their way."""
        shutil.rmtree(self.staging)
        self.staging.mkdir()

    def list_path(self, number: int) -> Path:
        """Where a part of the list stands."""
        return self.inner / f"list-{number}.txt"

    def _new(self, names: Iterable[str]) -> Iterable[str]:
        """The names that are not in the list yet."""
        listed = self.listed()
        alike = all(one == other for one, other in itertools.zip_longest(listed, names))
        return () if alike else KnownNames(listed).new(names)

    def _write_part(self, names: Iterable[str]) -> dict[str, Any]:
        """Write the next part of the list; how many names, and their hash."""
        path = self.list_path(len(self.state.parts) + 1)
        total, count = hashlib.sha256(), 0
        with replaced_file(path) as stream:
            for name in names:
                line = name_line(name)
                total.update(line)
                stream.write(line)
                count += 1
        return {"images": count, "sha256": total.hexdigest()}


def differences(earlier: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs between the fingerprints of two runs, in words."""
    keys = sorted({*earlier, *now})
    return [f"{key} was {earlier.get(key, 'absent')}, is {now.get(key, 'absent')}" for key in keys if earlier.get(key) != now.get(key)]


def _edited_list(path: Path) -> OutputError:
    return OutputError("the list of images of this run is gone or was edited", where=str(path), remedy="Label into another folder")


def refuse(path: Path, *, resume: bool) -> None:
    """Raise OutputError for a folder that holds a run that is not to be resumed, or files with our names that belong to no run."""
    if (path / "run.json").exists():
        if not resume:
            state = "a finished run" if RunState.read(path / "run.json").finished else "an unfinished run"
            raise OutputError(f"the folder holds {state} already", where=str(path), remedy="Go on with it by --resume, or choose another folder with --out")
        return
    for name in OWN_FILES:
        if (path / name).exists():
            raise OutputError(f"there is a {name} that does not belong to a run", where=str(path), remedy="Choose another folder with --out")


@contextmanager
def opened(path: Path) -> Iterator[OutputFolder]:
    """The output folder, made if need be and locked while it is in use; OutputError at once if another run holds it."""
    folder = OutputFolder(path)
    try:
        folder.staging.mkdir(parents=True, exist_ok=True)
        folder.thumbnails.mkdir(exist_ok=True)
        lock = filelock.FileLock(folder.inner / "lock")
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise OutputError(
            "another run is writing to this folder", where=str(path), remedy="Wait until it is done, or choose another folder with --out"
        ) from error
    except OSError as error:
        raise OutputError(f"the folder cannot be written to ({error.strerror})", where=str(path), remedy="Choose another folder with --out") from error
    try:
        yield folder
    finally:
        lock.release()


def scan(folder: OutputFolder, names: Sequence[str], seen: Callable[[dict[str, Any]], None]) -> Done:
    """What is done already; `seen(record)` is called for every line, so that others learn from the same pass."""
    missing: set[int] = set()
    edited: list[str] = []
    count = 0
    for position, record in enumerate(folder.lines(names)):
        gone, changed = folder.check_files(record)
        if gone:
            missing.add(position)
        edited += changed
        count += 1
        seen(record)
    if count < len(names):
        _drop_last_line_of(folder.truth, names[count])
    return Done(count, frozenset(missing), tuple(edited))


def _drop_last_line_of(truth: Path, name: str) -> None:
    """Cut the last line if it is about this image, whose line in the manifest was not written any more: it will be compared again."""
    last = last_line(truth)
    if last is not None and last.get("image") == name:
        os.truncate(truth, truth.stat().st_size - len(to_line(last)))
