"""Running golden files against this installation: what `likewise verify` does."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from likewise.errors import InputError
from likewise.testing.golden.case import Case, Folders, is_companion, open_case
from likewise.testing.golden.compare import deviation, tolerance_of
from likewise.testing.golden.kinds import Judged, Skip, runner_of
from likewise.testing.golden.roundings import Unsettled, elsewhere

Status = Literal["pass", "FAIL", "skipped", "unknown", "companion"]


@dataclass(frozen=True)
class Result:
    """What became of one file.

    deviation: the largest one over its tolerance (1 is just allowed), of the output `worst`; detail: why, where it did
    not pass; seconds: what it took; unsettled: which of its outputs hang on rounding, and why.
    """

    name: str
    kind: str
    status: Status
    deviation: float | None = None
    worst: str = ""
    detail: str = ""
    seconds: float = 0.0
    unsettled: str = ""

    def line(self) -> str:
        """One line: name, deviation, verdict."""
        figure = "" if self.deviation is None else f"{self.deviation:.3g}"
        why = f"  {self.detail}" if self.detail else ""
        return f"{self.name:<40} {figure:>9}  {self.status}{why}"


def verify(directory: Path, *, only: str = "", layouts: Path | None = None) -> Iterator[Result]:
    """One result for every golden file of a folder whose name starts with `only`, in the order of the names.

    Raises InputError where the folder does not exist.
    """
    if not directory.is_dir():
        raise InputError("there is no such folder", where=str(directory), remedy="Name a folder of golden files (.npz, .json)")
    folders = Folders.around(directory, layouts)
    for path in sorted(directory.iterdir()):
        if path.suffix in (".npz", ".json") and path.name.startswith(only):
            yield run_file(path, folders)


def run_file(path: Path, folders: Folders) -> Result:
    """The result of one file; whatever goes wrong in it is its result, so that the other files run."""
    started = time.perf_counter()
    try:
        case = open_case(path, folders)
    except InputError as error:
        return Result(path.stem, "", "FAIL", detail=error.what)
    if is_companion(case.meta):
        return Result(case.name, case.kind, "companion", detail="material that other files name")
    try:
        result = _settled(run_case(case), path, folders)
    except Skip as reason:
        result = Result(case.name, case.kind, "skipped" if str(reason) else "FAIL", detail=str(reason) or "skipped without a reason")
    except Exception as error:  # a defect of one kind is its result, not the end of the run
        result = Result(case.name, case.kind, "FAIL", detail=f"{type(error).__name__}: {error}")
    return dataclasses.replace(result, seconds=round(time.perf_counter() - started, 3))


def run_case(case: Case) -> Result:
    """The outputs of a case's runner compared with every expected one."""
    runner = runner_of(case.kind, named="kind" in case.meta)
    if runner is None:
        return Result(case.name, case.kind, "unknown", detail=f"no runner for the kind {case.kind!r}")
    outputs = runner(case)
    absent = sorted(case.expected.keys() - outputs.keys())
    if absent:
        return Result(case.name, case.kind, "FAIL", detail=f"the runner gave no {', '.join(absent)}")
    compared = {name: _deviation(case, name, output) for name, output in outputs.items()}
    if not compared:
        return Result(case.name, case.kind, "FAIL", detail="nothing was compared")
    worst = max(compared, key=lambda name: (math.isnan(compared[name]), compared[name]))
    passed = compared[worst] <= 1
    detail = "" if passed else _why(case, worst, outputs[worst])
    why = outputs.why if isinstance(outputs, Unsettled) else ""
    return Result(case.name, case.kind, "pass" if passed else "FAIL", compared[worst], worst, detail, unsettled=why)


def _settled(result: Result, path: Path, folders: Folders) -> Result:
    """A result whose outputs hang on rounding, under the set of instructions that it agrees with, if there is one."""
    found = elsewhere(path, folders.layouts) if result.status == "FAIL" and result.unsettled else None
    if found is None:
        return result
    where, figure, worst = found
    return dataclasses.replace(result, status="pass", deviation=figure, worst=worst, detail=f"with {where}: {result.unsettled}")


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """How many files passed, failed, were skipped, are of unknown kinds; and the exit code.

    The exit code is 0 only where something passed and every file whose kind is known passed or said why it was skipped.
    """
    counts = Counter(result.status for result in results)
    unknown = Counter(result.kind for result in results if result.status == "unknown")
    return {
        "passed": counts["pass"],
        "failed": counts["FAIL"],
        "skipped": counts["skipped"],
        "unknown": counts["unknown"],
        "unknown_kinds": dict(sorted(unknown.items())),
        "exit": 1 if counts["FAIL"] or not counts["pass"] else 0,
    }


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Everything of a run, for a program; an infinite deviation is null."""
    files = [dataclasses.asdict(result) for result in results]
    for file in files:
        if file["deviation"] is not None and not math.isfinite(file["deviation"]):
            file["deviation"] = None
    return {"files": files, "summary": summary(results)}


def _deviation(case: Case, name: str, output: Any) -> float:
    if isinstance(output, Judged):
        return output.deviation
    if name not in case.expected:
        raise ValueError(f"the file expects no {name!r}; it expects {', '.join(sorted(case.expected))}")
    expected = case.expected[name]
    return deviation(output, expected, tolerance_of(name, expected, case.meta.get("tolerance") or {}))


def _why(case: Case, name: str, output: Any) -> str:
    expected = case.expected.get(name)
    shape = getattr(output, "shape", None)
    if expected is not None and shape is not None and tuple(shape) != expected.shape:
        return f"out.{name} has shape {tuple(shape)}, expected {expected.shape}"
    return f"out.{name}"
