"""Every method on every set at 1, 2 and 5 images a class, by `../shared/tools/score.py` unchanged, and the split of each set.

    python benchmarks/accuracy.py [--only METHOD-PRESET ...] [--shots split 1 2 5] [--sets NAME ...]

One JSON a (method, preset, shots) in bench/accuracy, with peak memory and the weights' hash beside the scores; those
that are there are not made again. Features are kept in bench/features, so that every image goes through the backbone once:
the seconds in these files are without the backbone, and are not reported as speed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from likewise.methods import available

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
OUT = ROOT / "bench" / "accuracy"


def runs() -> list[tuple[str, str]]:
    """(method, preset) pairs: `analogy` under every preset, the others have one."""
    others = [(name, "default") for name in available() if name != "analogy"]
    return [("analogy", "fast"), *others, ("analogy", "default")]


def measure(method: str, preset: str, shots: int | None, sets: list[str]) -> None:
    """Run score.py once in a process of its own and keep its JSON with memory and seconds."""
    target = OUT / f"{method}-{preset}-{shots if shots is not None else 'split'}.json"
    if target.exists():
        return
    OUT.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".draft")
    command = [sys.executable, str(SHARED / "tools" / "score.py"), str(SHARED / "data"), *sets, "--method", method, "--preset", preset, "--json", str(draft)]
    command += [] if shots is None else ["--shots", str(shots)]
    environment = {**os.environ, "LIKEWISE_FEATURES": str(ROOT / "bench" / "features"), "PYTHONWARNINGS": "ignore"}
    print("running", method, preset, shots, flush=True)
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with {status}")
    record = {"method": method, "preset": preset, "shots": shots, "seconds": time.perf_counter() - start, "peak_mb": usage.ru_maxrss / 1024}
    record["weights"] = _weights()
    record["rows"] = json.loads(draft.read_text())
    target.write_text(json.dumps(record))
    draft.unlink()


def _weights() -> dict[str, str]:
    from likewise import weights

    name = weights.resolve("auto")
    return {"name": name, "sha256": weights.load(name).sha256}


def main() -> None:
    """Measure everything that was not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[f"{method}-{preset}" for method, preset in runs()])
    parser.add_argument("--shots", nargs="*", default=["split", "1", "2", "5"])
    parser.add_argument("--sets", nargs="*", default=[])
    arguments = parser.parse_args()
    if not SHARED.exists():
        sys.exit("../shared is not here: nothing to measure on")
    for shots in arguments.shots:
        for method, preset in runs():
            if f"{method}-{preset}" in arguments.only:
                measure(method, preset, None if shots == "split" else int(shots), arguments.sets)


if __name__ == "__main__":
    main()
