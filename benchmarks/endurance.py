"""A long run: memory over 2,000 images, and three kills by SIGKILL whose resumed run equals an undisturbed one.

    python benchmarks/endurance.py [--images 2000] [--side 224]

Photographs of ../shared/data, repeated under other names with a changed corner pixel (so that no two are alike), go through
`likewise label`. Memory is read from /proc every second. Writes bench/endurance.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image

import likewise
from likewise import formats

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
WORK = ROOT / "bench" / "endurance"


def make_images(count: int) -> Path:
    """A folder of `count` distinct photographs."""
    folder = WORK / "images"
    if folder.exists() and len(list(folder.iterdir())) == count:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sources = sorted(path for name in ("objects", "coco_mini", "landmark", "camvid") for path in (SHARED / "data" / name / "images").iterdir())
    for index in range(count):
        image = Image.open(sources[index % len(sources)]).convert("RGB")
        image.putpixel((0, 0), (index % 256, index // 256, 0))
        image.save(folder / f"{index:05d}.jpg", quality=90)
    return folder


def label(task: Path, images: Path, out: Path, *, resume: bool = False, kill_after: int | None = None) -> dict[str, Any]:
    """One run of the command; killed with SIGKILL once the manifest has `kill_after` lines. Memory and seconds."""
    command = [sys.executable, "-m", "likewise", "label", str(task), str(images), "--out", str(out), *(["--resume"] if resume else [])]
    start, curve = time.perf_counter(), []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    manifest = out / "manifest.jsonl"
    while process.poll() is None:
        time.sleep(1.0)
        done = manifest.read_bytes().count(b"\n") if manifest.exists() else 0
        memory = resident(process.pid)
        if memory:
            curve.append({"images": done, "mb": round(memory, 1)})
        if kill_after is not None and done >= kill_after:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return {"seconds": time.perf_counter() - start, "exit": process.returncode, "curve": curve}


def resident(pid: int) -> float:
    """Resident memory of a process in MB, 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def digest(out: Path) -> str:
    """SHA-256 over the manifest and every label file."""
    total = hashlib.sha256((out / "manifest.jsonl").read_bytes())
    for path in sorted(out.rglob("*.png")):
        total.update(path.relative_to(out).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


def main() -> None:
    """Run undisturbed, run with kills, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--side", type=int, default=224)
    arguments = parser.parse_args()
    images, task = make_images(arguments.images), WORK / "landmark.task"
    likewise.learn(formats.read_support(SHARED / "data" / "landmark").support, preset="fast", sides=(arguments.side,)).save(task)
    for name in ("whole", "killed"):
        shutil.rmtree(WORK / name, ignore_errors=True)
    whole = label(task, images, WORK / "whole")
    kills = [arguments.images * part // 10 for part in (2, 5, 8)]
    killed = [label(task, images, WORK / "killed", resume=index > 0, kill_after=at) for index, at in enumerate(kills)]
    killed.append(label(task, images, WORK / "killed", resume=True))
    after_100 = [point["mb"] for point in whole["curve"] if point["images"] >= 100]
    record = {
        "images": arguments.images,
        "side": arguments.side,
        "seconds": whole["seconds"],
        "curve": whole["curve"],
        "mb_after_100": after_100[0],
        "mb_largest_later": max(after_100),
        "killed_at": kills,
        "exits": [run["exit"] for run in killed],
        "identical": digest(WORK / "whole") == digest(WORK / "killed"),
    }
    (ROOT / "bench" / "endurance.json").write_text(json.dumps(record))
    print(json.dumps({key: value for key, value in record.items() if key != "curve"}, indent=1))


if __name__ == "__main__":
    main()
