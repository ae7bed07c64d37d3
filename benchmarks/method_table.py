"""One table of all methods: the same images, the same draws, the same frozen features; what each takes, costs and was verified against.

    python benchmarks/method_table.py [--only NAME ...] [--sets NAME ...] [--draws 2] [--checkpoint NAME=FILE ...]
    python benchmarks/method_table.py --cost [--only NAME ...] [--checkpoint NAME=FILE ...]
    python benchmarks/method_table.py --write

mIoU by `../shared/tools/score.py` on its fixed draws, one JSON a row, bench/method_table/NAME/SHOTS/SET/DRAW.json; a row that is there is not made
again unless other code made it. Intervals: 95 % of a bootstrap over the images of each set, the mean over the sets taken in each resample; they say
nothing of other sets and draws. `--cost` runs each method in a process of its own on one thread without kept features: CPU seconds from a decoded
picture to its labels, the backbone included, the median of five pictures after one, and the largest resident memory; the bare backbone loop beside it.
`--write` puts the table into README.md and the scores by set into docs/methods/README.md. Methods without a checkpoint (none shipped, none named) are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import likewise
from accuracy import Variant, shard
from bootstrap import RESAMPLES, interval, mean_iou, weights
from common import BENCH, DATA, DOCS, ROOT, Cell, cells, classes, forget_peak, need_shared, peak_mb, picture, read_json, score, truth, write_json
from likewise.data.labels import LabelKind
from likewise.methods.registry import method_class
from marks import between_marks
from provenance import code_key

OUT = BENCH / "method_table"
SETS = ("landmark", "nuclei", "objects", "retina", "steel_defects", "subjects")
SHOTS = ("1", "5")
COSTED = Cell("landmark", "1", 0, (), ())  # where seconds and memory are measured
PICTURES = 5
MARK = "methods"
SHIPPED = "shipped"
SHORT = {
    LabelKind.MASK: "masks",
    LabelKind.BOX: "boxes",
    LabelKind.POINT: "points",
    LabelKind.SCRIBBLE: "scribbles",
    LabelKind.TAG: "tags",
    LabelKind.DENSE: "values",
}


@dataclass(frozen=True)
class Contender:
    """A row of the table. checkpoint: "" for methods without, "shipped", or needed and named when measured; verified: against what."""

    variant: Variant
    verified: str
    checkpoint: str = ""

    @property
    def name(self) -> str:
        """As in the folder and the table."""
        variant = self.variant
        return variant.method + (f"-{variant.preset}" if variant.preset != "default" else "") + (f"-{variant.word}" if variant.word else "")


OURS = "ours; laws and worked cases tested"
CONTENDERS = (
    Contender(Variant("analogy", "default"), OURS),
    Contender(Variant("analogy", "fast"), OURS),
    Contender(Variant("ridge", "default"), OURS),
    Contender(Variant("nearest", "default"), OURS),
    Contender(Variant("attention", "default"), OURS),
    Contender(Variant("prototype", "default"), OURS),
    Contender(Variant("panet", "default"), "official code, golden files; on these tokens ours"),
    Contender(Variant("proposals", "default"), OURS),
    Contender(Variant("cst", "default"), "official code, golden files", SHIPPED),
    Contender(Variant("vtm", "default"), "official code, golden files", SHIPPED),
    Contender(Variant("label-anything", "default"), "official code, golden files", "trained here"),
    Contender(Variant("mm-former", "default"), "official code, golden files", "trained here"),
    Contender(Variant("proposals", "default", "trained"), OURS, "trained here"),
)


def learned(contender: Contender, support: likewise.Support, files: Mapping[str, str]) -> likewise.Task:
    """The task of a contender; the checkpoint of `proposals` is the segmenter of mm-former. KeyError where a file was not named."""
    variant, settings, checkpoint = contender.variant, dict(contender.variant.settings), None
    if contender.checkpoint and contender.checkpoint != SHIPPED:
        if variant.method == "proposals":
            settings["masks"] = files["mm-former"]
        else:
            checkpoint = files[variant.method]
    return likewise.learn(support, method=variant.method, preset=variant.preset, checkpoint=checkpoint, **settings)


def measured(contender: Contender, cell: Cell, files: Mapping[str, str]) -> dict[str, Any]:
    """A row of scores."""
    kept: list[likewise.Task] = []

    def learn(support: likewise.Support) -> likewise.Task:
        kept.append(learned(contender, support, files))
        return kept[-1]

    scores = score().semantic(DATA / cell.set, classes(cell.set), list(cell.support), list(cell.query), learn)
    return {**scores, "weights": kept[0].weights, "code": code_key(contender.variant.method)}


def run(contenders: Sequence[Contender], chosen: Sequence[Cell], files: Mapping[str, str]) -> list[str]:
    """Make the rows that are missing or stale; what failed."""
    failed = []
    for cell in chosen:
        for contender in contenders:
            path = OUT / contender.name / cell.place
            kept = read_json(path)
            if kept is not None and kept["code"] == code_key(contender.variant.method):
                continue
            try:
                row = measured(contender, cell, files)
            except KeyError as error:
                print(f"left out: {contender.name} needs --checkpoint {error.args[0]}=FILE", flush=True)
                continue
            except Exception:  # hours of rows go on with the others; the exit status tells
                traceback.print_exc()
                failed.append(f"{contender.name} {cell.place}")
                continue
            write_json(path, row)
            print(f"{contender.name} {cell.place.with_suffix('')}: {row['miou']:.1f}", flush=True)
    return failed


def cost(contender: Contender, files: Mapping[str, str]) -> dict[str, Any]:
    """Seconds of `learn` and of a query, MB, and learned numbers: in this process, which must do nothing else."""
    cell = next(cell for cell in cells([COSTED.set], [COSTED.shots], 1))
    examples = [likewise.Example(picture(cell.set, name), label_map=truth(cell.set, name)) for name in cell.support]
    support = likewise.Support(examples, classes=classes(cell.set))
    paths = [picture(cell.set, name) for name in cell.query[: PICTURES + 1]]
    forget_peak()
    begin = time.process_time()
    task = learned(contender, support, files)
    task.ready()
    learn_seconds = time.process_time() - begin
    seconds = []
    for path in paths:
        begin = time.process_time()
        task.predict(path)
        seconds.append(time.process_time() - begin)
    peak = peak_mb()
    provider, prepared = task.ready(), task.prepare(paths[0])
    bare = []
    for _ in range(3):
        begin = time.process_time()
        for spec in task.method.wants(task.memory):
            provider.extract([prepared], spec)
        bare.append(time.process_time() - begin)
    return {
        **{"learn": learn_seconds, "query": float(np.median(seconds[1:])), "backbone": float(np.median(bare)), "mb": peak},
        **{"parameters": parameters(contender, files), "weights": task.weights},
    }


def parameters(contender: Contender, files: Mapping[str, str]) -> int:
    """Learned numbers besides the backbone's."""
    from likewise.weights import read_checkpoint

    if not contender.checkpoint:
        return 0
    method = contender.variant.method
    path = method_class(method).shipped()[0] if contender.checkpoint == SHIPPED else Path(files["mm-former" if method == "proposals" else method])
    tensors, _ = read_checkpoint(path)
    only = "segmenter." if method == "proposals" else ""
    return sum(tensor.numel() for name, tensor in tensors.items() if name.startswith(only) and tensor.is_floating_point() and not name.startswith("backbone."))


def run_costs(contenders: Sequence[Contender], given: Sequence[str]) -> None:
    """Each contender in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("LIKEWISE_FEATURES", None)
    for contender in contenders:
        command = [sys.executable, str(Path(__file__)), "--cost-of", contender.name, *(f"--checkpoint={pair}" for pair in given)]
        subprocess.run(command, env=environment, check=False)


def rows_of(contender: Contender, shots: str) -> dict[str, dict[int, Any]]:
    """The rows of a contender by set and draw."""
    found: dict[str, dict[int, Any]] = {}
    for path in sorted((OUT / contender.name / shots).glob("*/*.json")):
        if path.parent.name in SETS:
            found.setdefault(path.parent.name, {})[int(path.stem)] = read_json(path)
    return found


def means(contender: Contender, shots: str, sets: Sequence[str]) -> str:
    """The mean over the sets with its interval; "" where a set was not measured."""
    rows = rows_of(contender, shots)
    if not all(name in rows for name in sets):
        return ""
    every = []
    for name in sets:
        counts = [row["per_query"] for _, row in sorted(rows[name].items())]
        images = sorted({image for draw in counts for image in draw})
        every.append(mean_iou(counts, images, weights(len(images), RESAMPLES)))
    found = interval(np.mean(every, axis=0))
    return f"{found.value:.1f} ({found.low:.1f} to {found.high:.1f})"


def by_set(contender: Contender, shots: str, name: str) -> str:
    """MIoU on a set, and its spread over the draws."""
    rows = rows_of(contender, shots).get(name, {})
    values = [row["miou"] for row in rows.values()]
    return f"{np.mean(values):.1f} ({min(values):.1f}..{max(values):.1f})" if values else ""


def takes(method: str) -> str:
    """The kinds of labels that a method learns from by itself."""
    kinds = method_class(method).takes
    return ", ".join(word for kind, word in SHORT.items() if kind in kinds)


def _backbone(spent: Mapping[str, Any]) -> str:
    """Seconds of the bare backbone; of a method that runs it itself they cannot be told apart."""
    return f"{spent['backbone']:.2f}" if spent["backbone"] > spent["query"] / 100 else "within"


def _number(value: int) -> str:
    return "0" if not value else f"{value / 1e6:.2f} M"


def write() -> None:
    """The tables, into the pages."""
    sets = {shots: [name for name in SETS if any(name in rows_of(one, shots) for one in CONTENDERS)] for shots in SHOTS}
    lines = [
        "",
        "| method | learns from | learned numbers | mIoU, 1 image a class | mIoU, 5 images | seconds a query (backbone) | MB | checked against |",
        "|---|---|---|---|---|---|---|---|",
    ]
    detail = ["", "| method, images a class | " + " | ".join(SETS) + " |", "|---" * (len(SETS) + 1) + "|"]
    for contender in CONTENDERS:
        scored = [means(contender, shots, sets[shots]) for shots in SHOTS]
        if not any(scored):
            continue
        spent = read_json(OUT / contender.name / "cost.json") or {}
        told = [f"{spent['query']:.2f} ({_backbone(spent)})", f"{spent['mb']:.0f}"] if spent else ["", ""]
        size = _number(spent["parameters"]) if spent else ""
        named = (
            f"`{contender.variant.method}`"
            + {"fast": ", preset `fast`"}.get(contender.variant.preset, "")
            + (", masks of a trained segmenter" if contender.variant.word else "")
        )
        where = f"{size} ({contender.checkpoint})" if contender.checkpoint else size
        lines.append(f"| {named} | {takes(contender.variant.method)} | {where} | {scored[0]} | {scored[1]} | {told[0]} | {told[1]} | {contender.verified} |")
        detail += [f"| {named}, {shots} | " + " | ".join(by_set(contender, shots, name) for name in SETS) + " |" for shots in SHOTS]
    counts = {len(rows) for one in CONTENDERS for shots in SHOTS for rows in rows_of(one, shots).values()}
    draws = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
    lines += ["", f"One image a class: {_listed(sets['1'])}; five: {_listed(sets['5'])}; {draws} draws of the examples each."]
    between_marks(ROOT / "README.md", MARK, lines)
    between_marks(DOCS / "methods" / "README.md", MARK, detail)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main() -> None:
    """Measure, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [contender.name for contender in CONTENDERS]
    parser.add_argument("--only", nargs="*", default=names, choices=names)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--shots", nargs="*", default=list(SHOTS))
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--shard", type=shard, default=(1, 1))
    parser.add_argument("--checkpoint", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--cost-of", help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true")
    told = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    files = dict(pair.partition("=")[::2] for pair in told.checkpoint)
    chosen = [contender for contender in CONTENDERS if contender.name in told.only]
    if told.write:
        write()
    elif told.cost_of:
        (one,) = (contender for contender in CONTENDERS if contender.name == told.cost_of)
        spent = cost(one, files)
        write_json(OUT / one.name / "cost.json", spent)
        print(one.name, json.dumps({name: value for name, value in spent.items() if name != "weights"}), flush=True)
    elif told.cost:
        run_costs(chosen, told.checkpoint)
    else:
        index, count = told.shard
        failed = run(chosen, cells(told.sets, told.shots, told.draws)[index - 1 :: count], files)
        if failed:
            sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
