"""The record of an evaluation: one JSON with all that is needed to judge and repeat it, and a page that puts it beside the paper."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

import likewise
from likewise.episodes.benchmark import Benchmark
from likewise.episodes.evaluation import Evaluated, Runner, Setting
from likewise.episodes.outcome import LEVEL, RESAMPLES, Scores, bounds
from likewise.episodes.published import Published, protocol, rows_beside, source

TrainedOn = Literal["unknown", "strict-folds", "in-domain", "other-data"]
PROTOCOLS: Mapping[str, str] = {
    "training-free": "training-free: nothing was trained but the backbone, which saw no labels of the benchmark",
    "untrained": "untrained: random tensors where a checkpoint belongs",
    "strict-folds": "strict folds: none of the classes that are evaluated was trained on",
    "in-domain": "in-domain: trained on images of this benchmark, its test classes not left out",
    "other-data": "other data: trained on classes and images that are not in the benchmark",
    "unknown": "trained, on what was not said (`--trained-on`)",
}
COLUMNS = {"exact_ratio": "exact ratio", "miou": "mIoU", "miou_official": "mIoU, official", "fb_iou": "FB-IoU"}


def protocol_of(runner: Runner, trained_on: TrainedOn) -> str:
    """A key of `PROTOCOLS`."""
    if not runner.method.trained:
        return "training-free"
    return "untrained" if runner.weights.get("checkpoint", {}).get("name") == "random" else trained_on


def record_of(
    runner: Runner, benchmark: Benchmark, setting: Setting, folds: Mapping[int, Evaluated], seconds: float, trained_on: TrainedOn = "unknown"
) -> dict[str, Any]:
    """All facts and scores as JSON-able values; `folds` by number. Averages are over folds, and so are their intervals."""
    scores = {fold: scores_of(evaluated, setting) for fold, evaluated in folds.items()}
    found = [_fold(benchmark, fold, folds[fold], each) for fold, each in scores.items()]
    return {
        "likewise": likewise.__version__,
        "commit": commit(Path(__file__)),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "place": {"machine": platform.machine(), **runner.place},
        "label": runner.contender.label,
        "method": runner.method.name,
        "preset": runner.contender.preset,
        "settings": asdict(runner.method.settings),
        "weights": runner.weights,
        "protocol": protocol_of(runner, trained_on),
        "benchmark": benchmark.name,
        "episodes": {name: value for name, value in asdict(setting).items() if name != "fold"},
        "interval": {"level": LEVEL, "resamples": RESAMPLES, "of": "episodes"},
        "folds": found,
        "average": {name: fmean(fold["scores"][name] for fold in found) for name in found[0]["scores"]},
        "intervals": {name: bounds(values) for name, values in _over_folds(list(scores.values())).items()},
        "seconds_of_this_call": round(seconds, 1),
    }


def compared(setting: Setting, one: Mapping[int, Evaluated], other: Mapping[int, Evaluated]) -> dict[str, dict[str, Any]]:
    """By how much one is better than the other in the same episodes: for each score the difference and its interval, draw by draw."""
    mine, theirs = ([scores_of(evaluated, setting) for evaluated in folds.values()] for folds in (one, other))
    ahead = {name: fmean(a.values()[name] - b.values()[name] for a, b in zip(mine, theirs, strict=True)) for name in mine[0].values()}
    here, there = _over_folds(mine), _over_folds(theirs)
    return {name: {"difference": value, "interval": bounds(here[name] - there[name])} for name, value in ahead.items()}


def scores_of(evaluated: Evaluated, setting: Setting) -> Scores:
    """The scores of a fold."""
    return Scores(evaluated.outcomes, evaluated.classes, setting.frame)


def _over_folds(scores: Sequence[Scores]) -> dict[str, NDArray[np.float64]]:
    """Means over folds of the scores of episodes drawn anew."""
    draws = [each.drawn_anew() for each in scores]
    return {name: np.mean([draw[name] for draw in draws], axis=0) for name in draws[0]}


def _fold(benchmark: Benchmark, fold: int, evaluated: Evaluated, scores: Scores) -> dict[str, Any]:
    return {
        "fold": fold,
        "lists": evaluated.fingerprint["lists"],
        "episodes": len(evaluated.outcomes),
        "scores": scores.values(),
        "intervals": scores.intervals(),
        "classes": {benchmark.class_names[number]: facts for number, facts in scores.by_class().items()},
    }


def page_of(record: Mapping[str, Any]) -> str:
    """A page in Markdown: the row of this evaluation next to published ones, its protocol, and a table by class."""
    asked = record["episodes"]
    shot = asked["shot"] if isinstance(asked["shot"], int) else max(asked["shot"])
    beside = rows_beside(record["benchmark"], asked["frame"], asked["labelling"], asked["way"], shot)
    lines = [f"# {title_of(record)}", "", head_row(), rule_row(), own_row(record), *(published_row(row) for row in beside), ""]
    lines += [f"- Protocol here: {PROTOCOLS[record['protocol']]}.", f"- Published: {protocol()}. {source()}."]
    if any(row.benchmark != record["benchmark"] for row in beside):
        lines.append(f"- **Other data.** The published rows are of other images and classes than {record['benchmark']}: they show the order of size alone.")
    if asked["labelling"] in ("box", "point"):
        lines.append(f"- The paper has no {asked['labelling']} support: its rows are those of masks.")
    lines += [
        "- In brackets: 95 % of the values when episodes are drawn anew (bootstrap)." + (" Means over folds." if len(record["folds"]) > 1 else ""),
        "- mIoU leaves void out and classes that nothing shows; the official one counts such classes as 0, and in FS-CS void as background.",
        "",
        *_class_table(record),
    ]
    return "\n".join(lines) + "\n"


def title_of(record: Mapping[str, Any]) -> str:
    """What was evaluated, in a line."""
    asked = record["episodes"]
    frame = {"fscs": "FS-CS", "fss": "FS-S"}[asked["frame"]]
    return f"{record['label']} on {record['benchmark']} ({asked['part']}): {frame}, {asked['way']}-way {_shots(asked['shot'])}-shot, {asked['labelling']}"


def head_row() -> str:
    """The heads of the columns."""
    return "| | benchmark | protocol | " + " | ".join(COLUMNS.values()) + " |"


def rule_row() -> str:
    """The rule below the heads."""
    return "|---" * (3 + len(COLUMNS)) + "|"


def own_row(record: Mapping[str, Any]) -> str:
    """The row of an evaluation, in bold."""
    folds = record["folds"]
    words = f"{record['benchmark']}, {_folds(folds)} of {folds[0]['episodes']:,} episodes"
    cells = [_cell(record["average"].get(name), record["intervals"].get(name)) for name in COLUMNS]
    return _row(f"**{record['label']}**, here", words, record["protocol"], cells)


def against_row(record: Mapping[str, Any]) -> str:
    """The row of an evaluation's lead over the first of the same call."""
    facts = record["against"]["scores"]
    cells = [_cell(facts[name]["difference"], facts[name]["interval"], "+") if name in facts else "" for name in COLUMNS]
    return _row(f"{record['label']} less {record['against']['method']}", record["benchmark"], "same episodes", cells)


def published_row(row: Published) -> str:
    """A row of the paper: what it prints as mIoU of FS-CS is the official one."""
    values = dict(row.average)
    values["miou_official"] = values.pop("miou", None)  # type: ignore[arg-type]
    cells = [_cell(values.get(name), None) for name in COLUMNS]
    return _row(f"{row.title}, table {row.table}", f"{row.benchmark}, 4 folds of 1,000 episodes", "strict-folds", cells)


def _class_table(record: Mapping[str, Any]) -> list[str]:
    lines = ["| class | fold | IoU | IoU, official | episodes | of which show it |", "|---|---|---|---|---|---|"]
    for fold in record["folds"]:
        for name, facts in fold["classes"].items():
            lines.append(f"| {name} | {fold['fold']} | {facts['iou']:.1f} | {facts['iou_official']:.1f} | {facts['episodes']} | {facts['shown']} |")
    return lines


def _row(title: str, data: str, how: str, cells: Sequence[str]) -> str:
    return f"| {title} | {data} | {how} | " + " | ".join(cells) + " |"


def _cell(value: float | None, interval: Sequence[float] | None, sign: Literal["", "+"] = "") -> str:
    if value is None:
        return ""
    return f"{value:{sign}.1f}" + (f" ({interval[0]:{sign}.1f} to {interval[1]:{sign}.1f})" if interval else "")


def _folds(folds: Sequence[Mapping[str, Any]]) -> str:
    return f"fold {folds[0]['fold']}" if len(folds) == 1 else f"{len(folds)} folds"


def _shots(shot: int | Sequence[int]) -> str:
    return str(shot) if isinstance(shot, int) else "/".join(map(str, shot))


def commit(file: Path) -> str | None:
    """The commit that is checked out where a file of the program lies; None for a program that was installed as a package."""
    for folder in file.resolve().parents:
        inner = folder / ".git"
        if inner.exists():
            return _head(inner)
        if folder.name == "site-packages":
            return None
    return None


def _head(inner: Path) -> str | None:
    try:
        if inner.is_file():  # a second working tree
            inner = Path(inner.read_text().partition(":")[2].strip())
        head = (inner / "HEAD").read_text().strip()
        if not head.startswith("ref:"):
            return head
        name = head.partition(":")[2].strip()
        common = inner / (inner / "commondir").read_text().strip() if (inner / "commondir").exists() else inner
        if (common / name).exists():
            return (common / name).read_text().strip()
        packed = (line.split() for line in (common / "packed-refs").read_text().splitlines())
        return next((parts[0] for parts in packed if parts[1:] == [name]), None)
    except OSError:
        return None
