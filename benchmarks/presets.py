"""Seconds and memory of every preset: learning from five images and labelling, by stage, and one picture of 4000x3000.

Part of speed.py. Every preset and set is measured in a process of its own, without kept features, so that memory is its own and
the backbone is in the seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

import likewise
import likewise.task.opening
from common import Cell, cells, classes, forget_peak, peak_mb, picture, truth
from likewise import Task
from likewise.backbones import FeatureProvider, StageTimes
from likewise.methods.base import Preset
from likewise.methods.registry import method_class
from stages import Stages, Watched

PRESETS: tuple[Preset, ...] = ("fast", "default", "best")
SETS = ("landmark", "nuclei", "retina")  # five images at five images a class; photographs, small things, thin things
BIG = (4000, 3000)


def profile(preset: Preset, name: str, queries: int) -> dict[str, Any]:
    """A preset on a set, in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_profile, preset, name, queries).result()


def _profile(preset: Preset, name: str, queries: int) -> dict[str, Any]:
    os.environ.pop("LIKEWISE_FEATURES", None)
    warnings.simplefilter("ignore")
    (cell,) = cells([name], ["5"], draws=1)
    task, learned = learn(preset, cell)
    asked = [ask(task, picture(name, image)) for image in cell.query[: queries + 1]][1:]  # the first meets graphs that are not compiled yet
    facts = task.memory.facts
    return {
        **{"preset": preset, "set": name, "examples": len(cell.support), "queries": len(asked), "side": facts.get("side"), "choice": facts.get("choice")},
        **{"learn": learned, "query": mean(asked), "big": big(task, picture(name, cell.query[0]))},
    }


def learn(preset: Preset, cell: Cell) -> tuple[Task, dict[str, Any]]:
    """A task from the support of a cell; seconds from images on disk to the task, by stage, and the largest memory."""
    support = likewise.Support([likewise.Example(picture(cell.set, name), label_map=truth(cell.set, name)) for name in cell.support], classes=classes(cell.set))
    stages = Stages()
    watched: list[Watched] = [
        (likewise.task.opening, "open_provider", "open"),
        (FeatureProvider, "prepare", "decode"),
        (FeatureProvider, "extract", "backbone"),
        (method_class("analogy"), "learn", "method"),
    ]
    start = time.perf_counter()
    with stages.watching(watched):
        task = likewise.learn(support, preset=preset)
    seconds = time.perf_counter() - start
    rest = seconds - sum(stages.seconds.values())
    return task, {"seconds": seconds, "stages": {**stages.seconds, "other": rest}, "peak_mb": peak_mb()}


def ask(task: Task, path: Path) -> dict[str, float]:
    """Seconds of one image by stage, from file to file."""
    times = StageTimes()
    start = time.perf_counter()
    prepared = task.prepare(path)
    times.add("decode", time.perf_counter() - start)
    (prediction,) = task.predict_prepared([prepared], times)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        prediction.save(Path(folder) / "labels.png")
        times.add("write", time.perf_counter() - start)
    return times.seconds


def mean(asked: list[dict[str, float]]) -> dict[str, Any]:
    """Mean seconds an image, in all and by stage."""
    stages = {stage: sum(item[stage] for item in asked) / len(asked) for stage in asked[0]}
    return {"seconds": sum(stages.values()), "stages": stages, "peak_mb": peak_mb()}


def big(task: Task, path: Path) -> dict[str, Any]:
    """Seconds and the largest memory of one picture of 4000x3000, made by enlarging a real one."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "big.jpg"
        Image.open(path).convert("RGB").resize(BIG, Image.Resampling.BICUBIC).save(image, quality=92)
        before = forget_peak_at()
        stages = ask(task, image)
    return {"size": list(BIG), "seconds": sum(stages.values()), "stages": stages, "mb_before": before, "peak_mb": peak_mb()}


def forget_peak_at() -> float:
    """The resident memory in MB from which a new peak is counted."""
    forget_peak()
    return peak_mb()
