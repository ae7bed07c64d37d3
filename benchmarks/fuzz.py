"""Valid files of every format, changed by hypothesis and read: nothing may come of it but labels or an error of our own.

    TMPDIR=/dev/shm python benchmarks/fuzz.py --minutes 10         (thousands of small files: in memory it is twice as fast)
    python benchmarks/fuzz.py --minutes 1 --only coco,yolo --seed 7

Each format gets its share of the time in child processes with a limit of memory (4 GB of addresses) and of seconds a file. A change of
a valid data set is checked whole (`likewise check`), and what is taken is converted into another format, with a look at what stands
outside of OUT before and after. A crash, a hang, a warning of ours or a file outside of OUT is a finding: the changed folder is kept in
bench/fuzz/found. Seeds are fixed, so that a round can be repeated. Writes bench/fuzz.json and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from common import BENCH, write_json
from fuzz_seeds import changed, seeds
from likewise.errors import LikewiseError
from likewise.formats.checking import check
from likewise.formats.converting import SETS, convert, plan
from likewise.formats.recognise import open_dataset

FOUND = BENCH / "fuzz" / "found"
MEMORY = 4 << 30  # bytes of addresses
HANG = 20  # seconds for one data set
ROUND = 20.0  # seconds of a child
TARGETS = sorted(set(SETS))
USUAL = settings(max_examples=50, database=None, deadline=None, phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))


class FindingError(Exception):
    """What must not happen."""


def tree(folder: Path, without: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below a folder, but those of one below it."""
    found = (path for path in folder.rglob("*") if not path.is_relative_to(without))
    return {str(path): (status.st_size, status.st_mtime_ns) for path in found for status in [path.lstat()]}


def tried(folder: Path, out: Path, format: str) -> str:
    """What became of a data set: "refused", "read" or "converted". FindingError for what must not happen."""
    signal.alarm(HANG)
    try:
        if folder.is_file():  # vectors of classes, which no image has
            return "read" if open_dataset(folder).vectors else "refused"
        report = check(folder)
        if report.problems:
            return "refused"
        before = tree(folder.parent, out)
        try:
            convert(plan(folder, format), out)
        except LikewiseError:
            return "read"
        finally:
            if tree(folder.parent, out) != before:
                raise FindingError("something was written outside of OUT")
        return "converted"
    except LikewiseError:
        return "refused"
    finally:
        signal.alarm(0)


def child(name: str, number: int, seconds: float) -> None:
    """One round of a format: prints what became of the data sets as JSON; what was found last stands in FOUND."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(FindingError(f"it took more than {HANG} seconds")))
    os.fsync = lambda descriptor: None  # what becomes of files when the power fails is not asked here
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as place:
        source = seeds(Path(place) / "seeds")[name]
        files = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file()) if source.is_dir() else [Path()]
        work, out = Path(place) / "work" / source.name, Path(place) / "work" / "out"

        def one(data: st.DataObject) -> None:
            shutil.rmtree(work.parent, ignore_errors=True)
            work.parent.mkdir()
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, work)
            for _ in range(data.draw(st.integers(1, 2))):
                file = work / data.draw(st.sampled_from(files))
                file.write_bytes(changed(file.read_bytes(), file.suffix, data))
            counts[tried(work, out, data.draw(st.sampled_from(TARGETS)))] += 1

        found: dict[str, str] = {}
        part = 0
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # numbers that run over unseen
            while time.monotonic() < end:
                try:
                    seed(1000 * number + part)(USUAL(given(st.data())(one)))()
                except Exception as error:  # a finding, whatever its kind
                    place_of = traceback.extract_tb(error.__traceback__)[-1]
                    told = f"{type(error).__name__}: {error}"[:500] + f"\n{''.join(traceback.format_tb(error.__traceback__)[-4:])}"
                    found.setdefault(f"{type(error).__name__} {place_of.filename}:{place_of.lineno}", told)
                    FOUND.mkdir(parents=True, exist_ok=True)
                    shutil.copytree(work.parent, FOUND / f"{name}-{number}-{part}", dirs_exist_ok=True)
                part += 1
    print(json.dumps({"counts": counts, "found": list(found.values()), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


def run_child(name: str, number: int, seconds: float) -> dict[str, Any]:
    """What a child said; a process that died is a finding too."""
    command = [sys.executable, __file__, "--child", name, "--seed", str(number), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return {"counts": {}, "found": [f"the process ended with {done.returncode}: {done.stderr[-2000:]}"], "peak": 0}
    said: dict[str, Any] = json.loads(lines[-1])
    return said


def main() -> None:
    """Run rounds of every format in turn until the time is over."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--only", default="", help="formats, joined by commas")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--child", default="", help=argparse.SUPPRESS)
    arguments.add_argument("--seconds", type=float, default=ROUND, help=argparse.SUPPRESS)
    told = arguments.parse_args()
    if told.child:
        child(told.child, told.seed, told.seconds)
        return
    with tempfile.TemporaryDirectory() as place:
        names = [name for name in seeds(Path(place)) if not told.only or name in told.only.split(",")]
    end, number = time.monotonic() + 60 * told.minutes, told.seed
    rows: dict[str, dict[str, Any]] = {
        name: {"executions": 0, "refused": 0, "read": 0, "converted": 0, "seconds": 0.0, "peak_mb": 0, "found": []} for name in names
    }
    while time.monotonic() < end:
        for name in names:
            left = end - time.monotonic()
            if left <= 0:
                break
            start = time.monotonic()
            said, row = run_child(name, number, min(ROUND, left)), rows[name]
            for key, count in said["counts"].items():
                row[key] += count
                row["executions"] += count
            row["seconds"], row["peak_mb"] = round(row["seconds"] + time.monotonic() - start, 1), max(row["peak_mb"], said["peak"])
            for what in said["found"]:
                row["found"].append({"seed": number, "what": what})
                print(f"{name}, seed {number}: {what}", flush=True)
        number += 1
    write_json(BENCH / "fuzz.json", rows)
    print("| format | data sets | refused | read | read and converted | minutes | peak MB | found |\n|---|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        cells = [
            f"`{name}`",
            *(f"{row[key]:,}" for key in ("executions", "refused", "read", "converted")),
            f"{row['seconds'] / 60:.1f}",
            row["peak_mb"],
            len(row["found"]),
        ]
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
