"""Several methods, folds and settings in one go, and the files that come of it.

OUT/METHOD/SETTING/foldN/   the lines of each fold (`journal`)
OUT/METHOD/SETTING/record.json, page.md
OUT/table-NAME.md           of a table of the paper
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from likewise.backbones import folder_of_environment
from likewise.episodes.benchmark import Benchmark
from likewise.episodes.evaluation import Contender, Evaluated, Runner, Setting, check_takes, drawn
from likewise.episodes.provenance import trained_on_of
from likewise.episodes.record import TrainedOn, against_row, columns_of, compared, head_row, own_row, page_of, record_of, rule_row
from likewise.episodes.support import Labelling
from likewise.episodes.switches import ABLATIONS, trained_with
from likewise.episodes.tables import Block, blocks_of, page_of_table, repeated
from likewise.errors import LikewiseError, UsageError
from likewise.formats.files import json_bytes, write_atomic
from likewise.methods.registry import available, method_class
from likewise.task.equipping import shipped_for
from likewise.weights import read_card

Told = Callable[[str, int, int], None]  # what is evaluated, episodes done, of how many
ALL = "all"
UNASKED = 8_000_000_000  # bytes of features that are kept without being asked for


@dataclass(frozen=True)
class Job:
    """What is common to all evaluations of a call: data, folds, the folder of the results, and where features are kept.

    most: bytes of features above which none are kept, None for no limit; trained_on: what checkpoints were trained on, "unknown" for
    what each says of itself.
    """

    benchmark: Benchmark
    folds: Sequence[int]
    out: Path | None = None
    features: Path | None = None
    most: int | None = None
    trained_on: TrainedOn = "unknown"
    told: Told | None = None


def contenders_named(text: str, base: Contender, labelling: Labelling) -> list[Contender]:
    """The contenders of "a,b:CHECKPOINT", or with "all" every method that takes such a support; trained ones only with a checkpoint, or where
    one for the backbone comes with this program.

    base: what is common to all: its checkpoint is of the trained method that names none itself, its settings `METHOD.KEY` are
    of one method, others of all. Raises UsageError for unknown names, and for a checkpoint that no method or several would take.
    """
    parts = [part.strip() for part in (_takers(labelling, base) if text == ALL else text.split(","))]
    named = [part.partition(":") for part in dict.fromkeys(parts) if part]
    if not named:
        raise UsageError("no method is named", where="method", remedy="Name one of `likewise methods`, or all")
    found = [_contender(base, name, own or None, alone=len(named) == 1) for name, _, own in named]
    if base.checkpoint not in (None, "random") and sum(one.checkpoint == base.checkpoint for one in found) > 1:
        raise UsageError("a checkpoint belongs to one method", where="checkpoint", remedy="Write METHOD:CHECKPOINT for each")
    labels = [one.label for one in found]
    if len(set(labels)) < len(labels):
        raise UsageError(f"two contenders are called {max(labels, key=labels.count)!r}", where="method", remedy="Give their checkpoints names of their own")
    return found


def _contender(base: Contender, name: str, own: str | None, *, alone: bool) -> Contender:
    trained = method_class(name).trained
    checkpoint = own or (base.checkpoint if alone or trained else None)
    common = {key: value for key, value in base.settings.items() if "." not in key}
    settings = common | {key.removeprefix(f"{name}."): value for key, value in base.settings.items() if key.startswith(f"{name}.")}
    label = "-".join(word for word in (name, Path(own or "").parent.name, Path(own or "").stem) if word)
    return replace(base, method=name, checkpoint=checkpoint, settings=settings, label=label)


def _takers(labelling: Labelling, base: Contender) -> list[str]:
    takers = []
    for name in available():
        found = method_class(name)
        if found.trained and not _has_checkpoint(name, base):
            continue
        try:
            check_takes(found(), labelling)
        except UsageError:
            continue
        takers.append(name)
    return takers


def _has_checkpoint(name: str, base: Contender) -> bool:
    """Whether there is a checkpoint for a trained method: one that comes with this program, a random one, or the one given, if it is not another's."""
    if base.checkpoint is None:
        return shipped_for(name, base.backbone) is not None
    path = Path(base.checkpoint)
    card = read_card(path) if path.is_file() else None
    return card is None or card.method == name


def folds_named(text: str, benchmark: Benchmark) -> list[int]:
    """Fold numbers of "0", "0,2" or "all"; UsageError for others."""
    if text == ALL:
        return list(range(benchmark.folds))
    try:
        found = list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        found = [-1]
    if not all(0 <= fold < benchmark.folds for fold in found):
        raise UsageError(f"there is no fold {text!r} in {benchmark.name}", where="fold", remedy=f"Write all, or numbers from 0 to {benchmark.folds - 1}")
    return found


def run_setting(job: Job, runners: Sequence[Runner], setting: Setting) -> list[dict[str, Any]]:
    """The records of methods in a setting over the folds of a job, the first before the others, which are compared with it; written if there is a folder."""
    records: list[dict[str, Any]] = []
    first: dict[int, Evaluated] = {}
    for runner in runners:
        started = time.monotonic()
        folder = None if job.out is None else job.out / runner.contender.label / name_of(setting)
        found = {fold: _run_fold(job, runner.of_fold(fold), replace(setting, fold=fold), folder) for fold in job.folds}
        record = record_of(runner, job.benchmark, setting, found, time.monotonic() - started, _trained_on(job, runner, setting))
        if runner.card is not None:
            record["checkpoint"] = asdict(runner.card)
        if any(runner.of_fold(fold) is not runner for fold in job.folds):
            record["weights_of_folds"] = {str(fold): runner.of_fold(fold).weights for fold in job.folds}
        if first:
            record["against"] = {"method": runners[0].contender.label, "scores": compared(setting, found, first)}
        first = first or found
        records.append(record)
        if folder is not None:
            write_atomic(folder / "record.json", json_bytes(record))
            write_atomic(folder / "page.md", page_of(record).encode())
    return records


def _trained_on(job: Job, runner: Runner, setting: Setting) -> TrainedOn:
    """What the user says, else what the checkpoint does; of checkpoints of folds what all say, or the least of it."""
    said: set[TrainedOn] = set()
    for fold in job.folds:
        card = runner.of_fold(fold).card
        if job.trained_on != "unknown" or card is None:
            return job.trained_on
        said.add(trained_on_of(card.trained_on, job.benchmark, setting.part, [fold]))
    order: list[TrainedOn] = ["in-domain", "unknown", "strict-folds", "other-data"]
    return next(word for word in order if word in said)


def _run_fold(job: Job, runner: Runner, setting: Setting, folder: Path | None) -> Evaluated:
    title = f"{runner.contender.label}, {name_of(setting)}, fold {setting.fold}"
    told = None if job.told is None else partial(job.told, title)
    return runner.evaluate(job.benchmark, setting, None if folder is None else folder / f"fold{setting.fold}", told)


def run_all(job: Job, contenders: Sequence[Contender], setting: Setting) -> list[dict[str, Any]]:
    """A record for each contender; all of them and all folds are checked before the first begins."""
    runners = _runners(job, contenders)
    for runner in runners:
        check_takes(runner.method, setting.labelling)
    for fold in job.folds:
        drawn(job.benchmark, replace(setting, fold=fold))
    return run_setting(job, runners, setting)


def _runners(job: Job, contenders: Sequence[Contender]) -> list[Runner]:
    """The contenders made ready, for every fold where each has a checkpoint of its own."""
    runners = [Runner(contender, job.features, job.most, job.folds[0]) for contender in contenders]
    for runner in runners:
        for fold in job.folds:
            runner.of_fold(fold)
    return runners


def run_table(job: Job, contenders: Sequence[Contender], base: Setting, table: str) -> tuple[str, list[dict[str, Any]]]:
    """The page of a table of the paper repeated here, and the records behind it; settings that the data cannot carry are named with the reason."""

    def check(setting: Setting) -> None:
        for fold in job.folds:
            drawn(job.benchmark, replace(setting, fold=fold))

    blocks = blocks_of(table, base, check)
    runners = _runners(job, contenders)
    known = {runner.contender.label: _known_of(runner) for runner in runners}
    filled: list[tuple[Block, list[dict[str, Any]]]] = []
    for block in blocks:
        repeats = {each.contender.label: repeated(block, each.method.name, known[each.contender.label]) for each in runners}
        able = [runner for runner in runners if not block.obstacle and _takes(runner, block.setting)]
        if table in ABLATIONS:  # a checkpoint stands beside the rows that were trained alike
            able = [runner for runner in able if not runner.method.trained or repeats[runner.contender.label]]
        records = run_setting(job, able, block.setting)
        filled.append((block, [{**record, "repeats": repeats[record["label"]]} for record in records]))
    page = page_of_table(table, job.benchmark, filled)
    if job.out is not None:
        write_atomic(job.out / f"table-{table}.md", page.encode())
    return page, [record for _, records in filled for record in records]


def _known_of(runner: Runner) -> dict[str, Any] | None:
    """By what a row is known to be repeated: what a checkpoint was trained with, the settings of a method that is not trained."""
    return trained_with(runner.contender.checkpoint) if runner.method.trained else asdict(runner.method.settings)


def page_of_all(records: Sequence[Mapping[str, Any]]) -> str:
    """The pages of records one after the other; of several a table of all rows comes first."""
    pages = [page_of(record) for record in records]
    if len(records) > 1:
        rows = [*(own_row(record) for record in records), *(against_row(record) for record in records[1:])]
        columns = columns_of(records[0]["episodes"])
        pages.insert(0, "\n".join([head_row(columns), rule_row(columns), *rows]) + "\n")
    return "\n".join(pages)


def name_of(setting: Setting) -> str:
    """A setting as the name of a folder.

    >>> name_of(Setting(way=2, shot=(1, 5), labelling="tag", seed=3))
    'test-fscs-2way-1+5shot-tag-seed3'
    >>> name_of(Setting(frame="nway", way=5, labelling="point", points=3, negative=1))
    'test-nway-5way-1shot-point-3points-1negative'
    >>> name_of(Setting(way=2, augment="full", empty=False))
    'test-fscs-2way-1shot-mask-noempty-fully'
    """
    shot = str(setting.shot) if isinstance(setting.shot, int) else "+".join(map(str, setting.shot))
    words = [setting.part, setting.frame, f"{setting.way}way", f"{shot}shot", setting.labelling]
    words += [f"{setting.points}points"] if setting.points != 1 else []
    words += [f"{setting.negative}negative"] if setting.negative else []
    words += [setting.prompts] if setting.prompts != "person" else []
    words += [setting.paired] if setting.paired == "joint" and setting.frame != "nway" else []
    words += [f"size{setting.object_size}"] if setting.object_size else []
    words += [] if setting.empty else ["noempty"]
    words += {"partial": ["partially"], "full": ["fully"]}.get(setting.augment, [])
    words += [f"seed{setting.seed}"] if setting.seed else []
    return "-".join(words + (["official"] if setting.official else []))


def features_folder(given: Path | None, out: Path | None) -> tuple[Path | None, int | None]:
    """Where features are kept, and of how many bytes at most: the folder given, else that of LIKEWISE_FEATURES, else one beside the results.

    Only the last has a limit: nobody asked for it.
    """
    named = given or folder_of_environment()
    if named is not None:
        return named, None
    return (None, None) if out is None else (out / "features", UNASKED)


def _takes(runner: Runner, setting: Setting) -> bool:
    try:
        check_takes(runner.method, setting.labelling)
    except LikewiseError:
        return False
    return True
