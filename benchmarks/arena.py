"""The arena: every method on every set of masks or depth, on the same fixed draws, by `../shared/tools/score.py` unchanged; one page with one table.

    python benchmarks/arena.py [--only NAME ...] [--sets NAME ...] [--shots split 1 2 5 10] [--draws 1] [--shard i/n] [--checkpoint METHOD=FILE ...]

Makes what is missing and writes the page: scores (bench/arena/NAME/SHOTS/SET/DRAW.json), then what each costs (NAME/cost.json), then docs/arena.md, the
table of README.md and that of docs/methods/README.md. A row that is there is not made again unless other code made it (`--stale keep` leaves it), so an
interrupted run goes on. `--page` only writes, `--no-cost` leaves the costs out. `--confirm CELL` makes that one row (SHOTS/SET/DRAW) of each method
whose rows other code made anew: where every count is equal, the code that stands here is noted for all rows of the method, as confirmed.

Scores are made with kept features (bench/features), so that every image goes through the backbone once. Costs are of a process of its own on one thread
without kept features: CPU seconds from a decoded picture to its labels, the backbone included, the median of five pictures after one; and the largest
resident memory. Methods without a checkpoint (none shipped, none named) are left out.
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
from pathlib import Path
from typing import Any

import numpy as np

import arena_page
import likewise
from accuracy import arguments_of
from arena_rows import OUT
from common import BENCH, DATA, Cell, cells, classes, depth_sets, forget_peak, need_shared, peak_mb, picture, read_json, score, truth, write_json
from contenders import Contender, contenders, learned, parameters
from provenance import code_key

COSTED = ("landmark", "1")  # where seconds and memory are measured
PICTURES = 5


def measured(contender: Contender, cell: Cell, files: Mapping[str, str]) -> dict[str, Any]:
    """A row of scores."""
    kept: list[likewise.Task] = []

    def learn(support: likewise.Support) -> likewise.Task:
        kept.append(learned(contender, support, files))
        return kept[-1]

    if cell.set in depth_sets():
        scores = score().depth(DATA / cell.set, list(cell.support), list(cell.query), learn)
    else:
        scores = score().semantic(DATA / cell.set, classes(cell.set), list(cell.support), list(cell.query), learn)
    return {**scores, "weights": kept[0].weights, "code": code_key(contender.variant.method)}


def run(chosen: Sequence[Contender], wanted: Sequence[Cell], files: Mapping[str, str], *, keep_stale: bool = False) -> list[str]:
    """Make the rows that are missing or stale; what failed."""
    failed = []
    for cell in wanted:
        for contender in chosen:
            path = OUT / contender.name / cell.place
            kept = read_json(path)
            if not contender.takes_part(cell) or (kept is not None and (keep_stale or kept["code"] == code_key(contender.variant.method))):
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
            print(f"{contender.name} {cell.place.with_suffix('')}: {row.get('miou', row.get('delta_1.25')):.3g}", flush=True)
    return failed


def confirm(chosen: Sequence[Contender], cell: Cell, files: Mapping[str, str]) -> None:
    """Note the code that stands here for the rows of each contender whose row of one cell it makes equal to the last count; say what became of each."""
    for contender in chosen:
        key, path = code_key(contender.variant.method), OUT / contender.name / cell.place
        kept = read_json(path)
        if kept is None or kept["code"] == key:
            continue
        again = json.loads(json.dumps(measured(contender, cell, files)))
        same = all(again[name] == kept[name] for name in ("per_query", "miou", "weights"))
        print(f"{contender.name}: {'equal' if same else 'differs, make its rows again'}", flush=True)
        for row in (OUT / contender.name).glob("**/*.json") if same else ():
            write_json(row, {**read_json(row), "code": key, "confirmed": True})


def cost(contender: Contender, files: Mapping[str, str]) -> dict[str, Any]:
    """Seconds of `learn` and of a query, MB, and learned numbers: in this process, which must do nothing else."""
    name, shots = COSTED
    cell = next(iter(cells([name], [shots], 1)))
    examples = [likewise.Example(picture(cell.set, image), label_map=truth(cell.set, image)) for image in cell.support]
    support = likewise.Support(examples, classes=classes(cell.set))
    paths = [picture(cell.set, image) for image in cell.query[: PICTURES + 1]]
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
        **{"parameters": parameters(contender, files), "weights": task.weights, "code": code_key(contender.variant.method)},
    }


def run_costs(chosen: Sequence[Contender], given: Sequence[str], *, keep_stale: bool = False) -> None:
    """Each contender that has scores in a process of its own, where its cost is missing or of other code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("LIKEWISE_FEATURES", None)
    for contender in chosen:
        kept = read_json(OUT / contender.name / "cost.json")
        if not (OUT / contender.name).exists() or (kept and (keep_stale or kept["code"] == code_key(contender.variant.method))):
            continue
        command = [sys.executable, str(Path(__file__)), "--cost-of", contender.name, *(f"--checkpoint={pair}" for pair in given)]
        subprocess.run(command, env=environment, check=False)


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = arguments_of(__doc__)
    names = [contender.name for contender in contenders()]
    parser.add_argument("--only", nargs="*", default=names, choices=names)
    parser.add_argument("--checkpoint", action="append", default=[], metavar="METHOD=FILE")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page")
    parser.add_argument("--no-cost", action="store_true", help="scores only, and no page")
    parser.add_argument("--confirm", metavar="CELL", help="see above; 1/landmark/0, say")
    parser.add_argument("--cost-of", help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Measure what was not measured yet, then write the page."""
    told = arguments().parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    files = dict(pair.partition("=")[::2] for pair in told.checkpoint)
    if told.cost_of:
        (one,) = (contender for contender in contenders() if contender.name == told.cost_of)
        spent = cost(one, files)
        write_json(OUT / one.name / "cost.json", spent)
        print(one.name, json.dumps({name: value for name, value in spent.items() if name not in ("weights", "code")}), flush=True)
        return
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    chosen, keep = [contender for contender in contenders() if contender.name in told.only], told.stale == "keep"
    failed: list[str] = []
    if told.confirm:
        (cell,) = (cell for cell in cells() if str(cell.place.with_suffix("")) == told.confirm)
        confirm(chosen, cell, files)
    elif not told.page:
        index, count = told.shard
        failed = run(chosen, cells(told.sets, told.shots, told.draws or 1)[index - 1 :: count], files, keep_stale=keep)
    if not told.page and not told.no_cost and not told.confirm:
        run_costs(chosen, told.checkpoint, keep_stale=keep)
    if not told.no_cost:
        arena_page.write()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
