"""A million images through `likewise label` without a network: memory over the run, images a second, and the time that `--resume` takes.

    python benchmarks/million.py [--entries 1000000] [--work DIR]

The images are hard links to 64 small pictures of noise, a thousand in a folder; the command reads their paths by `--list`, decodes and hashes
every one, asks a method that runs no network (it compares the mean of a picture with a number) and writes a label map, a line and, of some, a
thumbnail. At nine tenths the process is killed by SIGKILL. Then the run is resumed to its end, and resumed again where nothing is left to do.
Memory is read from /proc every second: what the process holds itself, without pages of files (RssAnon). DIR should lie in memory (/dev/shm) or on a
fast disk: each label is flushed to the disk before it counts. Writes bench/million.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import likewise
from endurance import ROOT
from likewise.backbones.features import FeatureSpec
from likewise.cli import main as likewise_main
from likewise.data import LabelKind, OutputKind, Support
from likewise.labelling.parts import LINES
from likewise.methods.base import Features, Memory, Method, Query, RawPrediction

SOURCES, SIZE = 64, (12, 16)
FIELDS = {"VmRSS:": "mb", "RssAnon:": "own_mb"}


class Null(Method):
    """What stands where a network would: the class is there if the mean of the picture is above that of the examples."""

    name = "null"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})

    def reads_backbone(self) -> bool:
        """No."""
        return False

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The picture itself, small."""
        return (FeatureSpec(backbone=None, squash=True, side=8),)

    def learn(self, support: Support, features: Features) -> Memory:
        """The mean of the examples."""
        (pictures,) = features.values()
        return Memory({"mean": torch.stack([_mean(each.pixels) for each in pictures]).mean()})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """One cell an image."""
        (pictures,) = features.values()
        found = []
        for each in pictures:
            there = torch.sigmoid((_mean(each.pixels) - memory.tensors["mean"]) / 4)
            logits = torch.stack([1 - there, there]).reshape(2, 1, 1)
            found.append(RawPrediction(logits, presence=there[None], confidence=float((there - 0.5).abs() * 2)))
        return found


def _mean(pixels: torch.Tensor | None) -> torch.Tensor:
    assert pixels is not None
    return pixels.float().mean()


def pictures() -> Iterator[Image.Image]:
    """Noise of different brightness."""
    noise = np.random.default_rng(0)
    for number in range(SOURCES):
        yield Image.fromarray(noise.integers(2 * number, 2 * number + 100, (*SIZE, 3)).astype(np.uint8))


def make_images(work: Path, entries: int) -> Path:
    """A folder of `entries` hard links, a thousand a folder, and the text file that lists them."""
    folder = work / "images"
    sources = []
    for number, picture in enumerate(pictures()):
        sources.append(work / "sources" / f"{number}.png")
        sources[-1].parent.mkdir(parents=True, exist_ok=True)
        picture.save(sources[-1])
    with (work / "list.txt").open("w") as listed:
        for first in range(0, entries, 1000):
            inner = folder / f"{first // 1000:05}"
            inner.mkdir(parents=True)
            for number in range(first, min(first + 1000, entries)):
                os.link(sources[number * 7919 % SOURCES], inner / f"{number:07}.png")
                listed.write(f"{inner.name}/{number:07}.png\n")
    return folder


def make_task(path: Path) -> None:
    """The task of two labelled pictures."""
    likewise.methods.register(Null)
    shown = list(itertools.islice(pictures(), 20, 44, 23))
    examples = [likewise.Example(np.asarray(each), name=str(place), label_map=np.full(SIZE, place, np.uint8)) for place, each in enumerate(shown)]
    likewise.learn(likewise.Support(examples, classes={1: "bright"}), method="null", backbone="none").save(path)


def watched(work: Path, *, resume: bool, kill_at: int | None = None) -> dict[str, Any]:
    """One run of the command in a process of its own: seconds, exit code, the seconds to its first new line, and the curve of memory."""
    command = [sys.executable, __file__, "--work", str(work), "--child", *(["--resume"] if resume else [])]
    lines = _Lines(work / "labels" / "manifest")
    before, first = lines.count(), None
    start, curve = time.perf_counter(), []
    process = subprocess.Popen(command)
    while process.poll() is None:
        time.sleep(1.0)
        done, seconds = lines.count(), time.perf_counter() - start
        if first is None and done > before:
            first = seconds
        memory = held(process.pid)
        if memory:
            curve.append({"seconds": round(seconds, 1), "images": done, **memory})
        if kill_at is not None and done >= kill_at:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return {"seconds": time.perf_counter() - start, "exit": process.returncode, "images": [before, lines.count()], "first_line_after": first, "curve": curve}


class _Lines:
    """How many lines a growing manifest in parts has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def count(self) -> int:
        """Full parts are not read."""
        parts = sorted(self._folder.glob("*.jsonl"))
        return (len(parts) - 1) * LINES + parts[-1].read_bytes().count(b"\n") if parts else 0


def held(pid: int) -> dict[str, float]:
    """Memory of a process in MB; nothing if it is gone."""
    try:
        rows = [line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    except OSError:
        return {}
    return {FIELDS[row[0]]: round(float(row[1]) / 1024, 1) for row in rows if row and row[0] in FIELDS}


def child(work: Path, *, resume: bool) -> int:
    """The command itself, in a process that knows the method."""
    torch.set_num_threads(1)
    likewise.methods.register(Null)
    given = [str(work / "null.task"), str(work / "images"), "--list", str(work / "list.txt"), "--out", str(work / "labels"), "--batch", "32", "--workers", "1"]
    return likewise_main(["label", *given, *(["--resume"] if resume else [])])


def told(name: str, run: dict[str, Any]) -> None:
    """Print a run and its curve at ten places."""
    before, after = run["images"]
    first = "" if run["first_line_after"] is None else f", the first new line after {run['first_line_after']:.0f} s"
    print(f"{name}: {after - before:,} images in {run['seconds']:.0f} s ({(after - before) / run['seconds']:.0f} a second), exit {run['exit']}{first}")
    step = max(1, len(run["curve"]) // 10)
    for point in run["curve"][::step]:
        print(f"  {point['seconds']:7.0f} s {point['images']:>9,} images {point['own_mb']:7.1f} MB ({point['mb']:.1f} with files)", flush=True)


def main() -> None:
    """A run that is killed at nine tenths, its resumption, and one where nothing is to do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, default=ROOT / "bench" / "million")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        sys.exit(child(arguments.work, resume=arguments.resume))
    shutil.rmtree(arguments.work, ignore_errors=True)
    make_images(arguments.work, arguments.entries)
    make_task(arguments.work / "null.task")
    runs = {"killed": watched(arguments.work, resume=False, kill_at=arguments.entries * 9 // 10)}
    told("killed at nine tenths", runs["killed"])
    for name in ("resumed", "nothing to do"):
        runs[name] = watched(arguments.work, resume=True)
        told(name, runs[name])
    target = ROOT / "bench" / "million.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"entries": arguments.entries, "runs": runs}))


if __name__ == "__main__":
    main()
