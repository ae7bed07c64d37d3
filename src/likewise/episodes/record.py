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
from likewise.episodes.benchmark import Benchmark, Frame
from likewise.episodes.evaluation import Evaluated, Runner, Setting
from likewise.episodes.nway import NwayOutcome, NwayScores
from likewise.episodes.outcome import LEVEL, RESAMPLES, Outcome, Scores, bounds
from likewise.episodes.published import Published, rows_beside, sources

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
NWAY_COLUMNS = {"miou": "mIoU", "fb_iou": "FB-IoU", "miou_official": "mIoU, official", "fb_iou_official": "FB-IoU, official"}
NOTE = "mIoU leaves void out and classes that nothing shows; the official one counts such classes as 0, and in FS-CS void as background."
NWAY_NOTE = (
    "One table of counts over all episodes. mIoU: the mean over the classes that occur; FB-IoU: the mean of foreground and background; void is left out. "
    "Official: as the published code counts, where classes of an episode merge for most numbers of ways, and FB-IoU is the foreground's alone."
)
FRAMES: Mapping[Frame, str] = {"fscs": "FS-CS", "fss": "FS-S", "nway": "N-way"}


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
        "episodes": {name: value for name, value in setting.facts().items() if name != "fold"},
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


def scores_of(evaluated: Evaluated, setting: Setting) -> Scores | NwayScores:
    """The scores of a fold."""
    if setting.frame == "nway":
        return NwayScores([one for one in evaluated.outcomes if isinstance(one, NwayOutcome)], evaluated.classes, evaluated.runs)
    return Scores([one for one in evaluated.outcomes if isinstance(one, Outcome)], evaluated.classes, setting.frame)


def _over_folds(scores: Sequence[Scores | NwayScores]) -> dict[str, NDArray[np.float64]]:
    """Means over folds of the scores of episodes drawn anew."""
    draws = [each.drawn_anew() for each in scores]
    return {name: np.mean([draw[name] for draw in draws], axis=0) for name in draws[0]}


def _fold(benchmark: Benchmark, fold: int, evaluated: Evaluated, scores: Scores | NwayScores) -> dict[str, Any]:
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
    setting = (record["benchmark"], asked["frame"], asked["labelling"], asked["way"], shot, asked.get("augment", "none"))
    beside = rows_beside(*setting) if asked.get("empty", True) and not asked.get("object_size") else []  # no table has such episodes
    columns = columns_of(asked)
    lines = [f"# {title_of(record)}", "", head_row(columns), rule_row(columns), own_row(record), *(published_row(row, columns) for row in beside), ""]
    lines += [f"- Protocol here: {PROTOCOLS[record['protocol']]}.", *(f"- Published: {words}" for words in sources(beside, asked["frame"]))]
    if any(row.benchmark != record["benchmark"] for row in beside):
        lines.append(f"- **Other data.** The published rows are of other images and classes than {record['benchmark']}: they show the order of size alone.")
    if beside and asked["labelling"] not in ("mask", "tag"):
        lines.append(f"- No figure with a {asked['labelling']} support is published: the rows are those of masks.")
    lines += [
        "- In brackets: 95 % of the values when episodes are drawn anew (bootstrap)." + (" Means over folds." if len(record["folds"]) > 1 else ""),
        f"- {NWAY_NOTE if asked['frame'] == 'nway' else NOTE}",
        "",
        *_class_table(record),
    ]
    return "\n".join(lines) + "\n"


def title_of(record: Mapping[str, Any]) -> str:
    """What was evaluated, in a line."""
    asked = record["episodes"]
    words = [f"{record['label']} on {record['benchmark']} ({asked['part']}): {FRAMES[asked['frame']]}", f"{asked['way']}-way {_shots(asked['shot'])}-shot"]
    words += {"partial": ["partially augmented"], "full": ["fully augmented"]}.get(asked.get("augment", "none"), [])
    words += [] if asked.get("empty", True) else ["without empty masks"]
    words += [f"objects of {asked['object_size']} %"] if asked.get("object_size") else []
    return ", ".join([*words, labelling_of(asked)] + (["official"] if asked["frame"] == "nway" and asked["official"] else []))


def labelling_of(asked: Mapping[str, Any]) -> str:
    """In words what support images are labelled by.

    >>> labelling_of({"labelling": "point", "points": 3, "negative": 1, "prompts": "person"})
    '3 points and 1 negative'
    """
    if asked["prompts"] == "published":
        return f"{asked['labelling']} as Label Anything makes it"
    if (asked["points"], asked["negative"]) == (1, 0):
        return str(asked["labelling"])
    return f"{asked['points']} point{'s' * (asked['points'] > 1)}" + (f" and {asked['negative']} negative" if asked["negative"] else "")


def columns_of(asked: Mapping[str, Any]) -> Mapping[str, str]:
    """The scores of a frame and their heads, those first that are asked for: as meant, or as the published code counts."""
    if asked["frame"] != "nway":
        return COLUMNS
    return dict(sorted(NWAY_COLUMNS.items(), key=lambda item: item[0].endswith("_official") != asked["official"]))


def head_row(columns: Mapping[str, str] = COLUMNS) -> str:
    """The heads of the columns."""
    return "| | benchmark | protocol | " + " | ".join(columns.values()) + " |"


def rule_row(columns: Mapping[str, str] = COLUMNS) -> str:
    """The rule below the heads."""
    return "|---" * (3 + len(columns)) + "|"


def own_row(record: Mapping[str, Any]) -> str:
    """The row of an evaluation, in bold."""
    folds = record["folds"]
    words = f"{record['benchmark']}, {_folds(folds)} of {folds[0]['episodes']:,} episodes"
    cells = [_cell(record["average"].get(name), record["intervals"].get(name)) for name in columns_of(record["episodes"])]
    return _row(f"**{record['label']}**, here", words, record["protocol"], cells)


def against_row(record: Mapping[str, Any]) -> str:
    """The row of an evaluation's lead over the first of the same call."""
    facts = record["against"]["scores"]
    cells = [_cell(facts[name]["difference"], facts[name]["interval"], "+") if name in facts else "" for name in columns_of(record["episodes"])]
    return _row(f"{record['label']} less {record['against']['method']}", record["benchmark"], "same episodes", cells)


def published_row(row: Published, columns: Mapping[str, str] = COLUMNS) -> str:
    """A row of the paper: what it prints as mIoU of FS-CS and N-way is the official one."""
    values = {"miou_official" if name == "miou" else name: value for name, value in row.average.items()}
    cells = [_cell(values.get(name), None) for name in columns]
    title = f"{row.title}, table {row.table}" if row.table else f"{row.title}, published"
    return _row(title, f"{row.benchmark}, 4 folds of {'5 x ' if row.frame == 'nway' else ''}1,000 episodes", "strict-folds", cells)


def _class_table(record: Mapping[str, Any]) -> list[str]:
    lines = ["| class | fold | IoU | IoU, official | episodes | of which show it |", "|---|---|---|---|---|---|"]
    for fold in record["folds"]:
        for name, facts in fold["classes"].items():
            scores = f"{facts['iou']:.1f} | {facts['iou_official']:.1f}" if facts["episodes"] else " | "
            lines.append(f"| {name} | {fold['fold']} | {scores} | {facts['episodes']} | {facts['shown']} |")
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
