"""Methods through the episodes of a benchmark of classes, and what comes of it.

OUT/METHOD/SETTING/           the lines of an evaluation (`journal`)
OUT/METHOD/SETTING/record.json, page.md
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import likewise
from likewise.episodes.classification.answering import MethodAnswers, check_classes
from likewise.episodes.classification.benchmark import ClassBenchmark
from likewise.episodes.classification.evaluation import ClassSetting, asked_episodes, evaluate_classes
from likewise.episodes.classification.outcome import ClassOutcome, accuracy_by_class, accuracy_of
from likewise.episodes.classification.published import PublishedAccuracy, accuracies_beside, sources_of
from likewise.episodes.evaluation import Contender
from likewise.episodes.record import PROTOCOLS, TrainedOn, commit
from likewise.formats.files import json_bytes, write_atomic
from likewise.task.equipping import Equipped, equip
from likewise.task.learning import open_provider

Told = Callable[[str, int, int], None]  # what is evaluated, episodes done, of how many


@dataclass(frozen=True)
class ClassJob:
    """What is common to the evaluations of a call; trained_on: what checkpoints were trained on, "unknown" for what each says of itself."""

    benchmark: ClassBenchmark
    setting: ClassSetting
    out: Path | None = None
    trained_on: TrainedOn = "unknown"
    told: Told | None = None


def run_classes(job: ClassJob, contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """A record for each contender; episodes and methods are checked before the first begins."""
    asked_episodes(job.benchmark, job.setting)
    ready = [equip(one.method, one.preset, one.settings, one.checkpoint, one.backbone) for one in contenders]
    for each in ready:
        check_classes(each.method)
    return [_run(job, contender, each) for contender, each in zip(contenders, ready, strict=True)]


def _run(job: ClassJob, contender: Contender, ready: Equipped) -> dict[str, Any]:
    started = time.monotonic()
    provider = open_provider(ready.backbone, contender.place, ready.method)
    if ready.method.reads_backbone():
        ready.check(provider.backbone)
    method = ready.method.mounted(provider.backbone)
    weights = {role: dict(facts) for role, facts in ready.weights.items()}
    if method.reads_backbone():
        weights = provider.weights(method.wants()) | weights
    facts = {"method": method.name, "settings": asdict(method.settings), "weights": weights, "likewise": likewise.__version__}
    facts |= provider.describe(method.wants()[0])
    folder = None if job.out is None else job.out / contender.label / name_of(job)
    told = None if job.told is None else partial(job.told, f"{contender.label}, {name_of(job)}")
    outcomes = evaluate_classes(job.benchmark, job.setting, MethodAnswers(method, provider, job.benchmark), facts, folder, told)
    record = record_of_classes(job, contender.label, outcomes, facts) | {
        "protocol": _protocol(job, ready),
        "seconds_of_this_call": round(time.monotonic() - started, 1),
    }
    if folder is not None:
        write_atomic(folder / "record.json", json_bytes(record))
        write_atomic(folder / "page.md", page_of_classes([record]).encode())
    return record


def record_of_classes(job: ClassJob, label: str, outcomes: Sequence[ClassOutcome], facts: Mapping[str, Any]) -> dict[str, Any]:
    """All facts and scores of an evaluation as JSON-able values."""
    setting, (mean, half) = job.setting, accuracy_of(outcomes, job.setting.rule)
    names = () if job.benchmark.fixed else job.benchmark.part(setting.part).names
    shapes = {(len(one.classes), sum(one.queries)) for one in outcomes}
    return {
        **facts,
        "label": label,
        "commit": commit(Path(__file__)),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "benchmark": job.benchmark.name,
        "episodes": asdict(setting) | {"episodes": len(outcomes), "fixed": bool(job.benchmark.fixed), "way": max(way for way, _ in shapes)},
        "accuracy": mean,
        "interval": half,
        "rule": setting.rule,
        "classes": {} if job.benchmark.fixed else {names[place]: value for place, value in accuracy_by_class(outcomes).items()},
    }


def name_of(job: ClassJob) -> str:
    """A setting as the name of a folder."""
    setting = job.setting
    if job.benchmark.fixed:
        return f"{job.benchmark.name}-fixed"
    words = [job.benchmark.name, setting.part, f"{setting.way}way", f"{setting.shot}shot", f"{setting.queries}queries"]
    words += [f"seed{setting.seed}"] if setting.seed else []
    return "-".join(words + ([setting.sampler] if setting.sampler != "numbered" else []))


def page_of_classes(records: Sequence[Mapping[str, Any]]) -> str:
    """A table in Markdown, a row an evaluation, published ones behind, and beneath it where these are from and how ours were trained."""
    lines = ["| | benchmark | classes | episodes | accuracy, % |", "|---|---|---|---|---|"]
    for record in records:
        asked = record["episodes"]
        shot = "fixed" if asked["fixed"] else f"{asked['shot']} shot, {asked['queries']} queries"
        lines.append(
            f"| {record['label']} | {record['benchmark']}, {asked['part'] if not asked['fixed'] else 'all'} | {asked['way']} way, {shot} "
            f"| {asked['episodes']:,} | {record['accuracy']:.2f} ± {record['interval']:.2f} |"
        )
    beside = _beside(records)
    for row in beside:
        half = "" if row.interval is None else f" ± {row.interval:.2f}"
        lines.append(f"| {row.title} | {row.benchmark} | {row.way} way, {row.shot} shot | | {row.accuracy:.2f}{half} |")
    lines.append("")
    lines += [f"- Published: {source}." for source in (sources_of(records[0]["benchmark"]) if beside else ())]
    lines += [f"- {record['label']}: {PROTOCOLS[record['protocol']]}." for record in records]
    lines.append(f"- Interval: 95 %, 1.96 {records[0]['rule']} deviations over the root of the number of episodes.")
    return "\n".join(lines) + "\n"


def _beside(records: Sequence[Mapping[str, Any]]) -> list[PublishedAccuracy]:
    """Published rows of the same episodes and methods."""
    asked = records[0]["episodes"]
    shot = 1 if asked["fixed"] else asked["shot"]
    encoders = [str(record["settings"].get("encoder", "")) for record in records]
    return accuracies_beside(records[0]["benchmark"], asked["way"], shot, [str(record["method"]) for record in records], encoders)


def _protocol(job: ClassJob, ready: Equipped) -> TrainedOn | str:
    """A key of `PROTOCOLS`: what the user says, else what the checkpoint does."""
    if not ready.weights:
        return "training-free"
    if ready.weights["checkpoint"]["name"] == "random":
        return "untrained"
    if job.trained_on != "unknown" or ready.card is None or not ready.card.trained_on:
        return job.trained_on
    own = [source for source in ready.card.trained_on if _family(str(source.get("benchmark"))) == _family(job.benchmark.name)]
    if not own:
        return "other-data"
    seen = {_upright(str(name)) for source in own for name in source.get("classes", ())}
    tested = set() if job.benchmark.fixed else {_upright(name) for name in job.benchmark.part(job.setting.part).names}
    return "in-domain" if seen & tested else "strict-folds"


def _family(name: str) -> str:
    """The name of a benchmark without what is done to its pictures."""
    return name.removesuffix("-turned").removesuffix("-upright").removesuffix("-mini")


def _upright(name: str) -> str:
    return name.partition(" turned ")[0]
