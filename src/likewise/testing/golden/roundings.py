"""Outputs that hang on the last bits of sums: they are compared under every set of instructions that the processor has.

A step of the published arithmetic can turn the rounding of a sum into a number of any size (a logarithm at 0, say). What comes out is then one of several
values, and which one is decided by the order in which vector instructions add, not by the description. A runner says so by returning `Unsettled`; where its
outputs disagree, the file runs again in a process of its own under each set of `SETS`, and agrees if it agrees under one of them, within the same tolerance.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SETS = (
    {"ATEN_CPU_CAPABILITY": "avx2"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"ATEN_CPU_CAPABILITY": "default"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
)
LIMIT_S = 600
_RUN = f"from {__name__} import main; main()"


class Unsettled(dict[str, Any]):
    """Outputs of which some hang on rounding in this very case; `why` says which and how."""

    def __init__(self, outputs: dict[str, Any], why: str) -> None:
        super().__init__(outputs)
        self.why = why


def elsewhere(path: Path, layouts: tuple[Path, ...]) -> tuple[str, float, str] | None:
    """Under which set of instructions a file agrees, its deviation there and of which output; None under no other."""
    for changed in SETS:
        command = [sys.executable, "-c", _RUN, str(path), *map(str, layouts)]
        done = subprocess.run(command, env={**os.environ, **changed}, capture_output=True, text=True, timeout=LIMIT_S, check=False)  # noqa: S603 (this interpreter, this module)
        if done.returncode == 0:
            found = json.loads(done.stdout.splitlines()[-1])
            return " ".join(f"{name}={value}" for name, value in changed.items()), found["deviation"], found["worst"]
    return None


def main() -> None:
    """One file in this process: exits 0 where it agrees, and prints its deviation. What `elsewhere` starts."""
    from likewise.testing.golden.case import Folders, open_case
    from likewise.testing.golden.runner import run_case

    path, *layouts = map(Path, sys.argv[1:])
    around = Folders.around(path.parent)
    result = run_case(open_case(path, Folders(tuple(layouts), around.benchmarks, around.data)))
    print(json.dumps({"deviation": result.deviation, "worst": result.worst}))
    sys.exit(0 if result.status == "pass" else 1)
