"""The methods around CST in the same episodes: HSNet, ASNet, PANet, PFENet and EMAT, `cst`, and `analogy` and `prototype` beside them.

    python benchmarks/field.py [--checkpoint NAME=FILE ...] [--only PLACE ...] [--without METHOD ...] [--shard i/n] [--page]
    python benchmarks/field.py --cost [--checkpoint NAME=FILE ...]

Each cell is a call of `likewise evaluate`, whose command is printed; what is there already is not made again. Checkpoints are those of
recipes/NAME/small-pixel.toml; a method that needs one and has none is left out. Queries may show none of the classes (FS-CS). `--cost` counts learned
numbers, multiply-adds of a query and the largest memory in a process of its own. Results stand in bench/field (ignored); the tables go to
docs/methods/field.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from accuracy import shard
from common import BENCH, DATA, DOCS, ROOT, cells, classes, forget_peak, need_shared, peak_mb, picture, read_json, truth, write_json
from laboratory import SIDE, Asked, Place, tables
from marks import between_marks

OUT = BENCH / "field"
RUNS = OUT / "runs"  # NAME/trained.safetensors, links
PAGE = DOCS / "methods" / "field.md"
TRAINED = ("cst", "hsnet", "asnet", "pfenet", "emat")
FREE = ("prototype", "panet")
PLACES = (
    Place("classes", "the 20 test classes of `classes_train`", "classes_train"),
    Place("objects", "`objects`, 10 classes", "objects", ("--folds", "1")),
    Place("subjects", "`subjects`, 8 things, each the same one again", "subjects", ("--folds", "1")),
)
WAYS, MANY = (1, 2, 3, 4, 5), (1, 2)
SETTINGS = tuple(part for name in ("cst", "hsnet", "asnet", "emat") for part in ("--set", f"{name}.side={SIDE}"))


def trained(name: str) -> str:
    """The contender of a method with the checkpoint that was named."""
    return f"{name}:{(RUNS / name / 'trained.safetensors').relative_to(ROOT)}"


def asked(names: Sequence[str]) -> Iterator[Asked]:
    """The cells: every place at 1 to 5 ways, then five examples a class where classes have six pictures."""
    contenders = (*FREE, *(trained(name) for name in TRAINED if name in names), "analogy")
    settings = tuple(word for name, pair in zip(SETTINGS[::2], SETTINGS[1::2], strict=True) if pair.partition(".")[0] in names for word in (name, pair))
    for place in PLACES:
        for way in WAYS:
            yield Asked(place, contenders, "mask", way=way, episodes=60, out=OUT, more=settings)
    for place in PLACES[:2]:
        for way in MANY:
            least = Place(place.name, f"{place.what}, of at least six pictures", place.data, (*place.options, "--least", "6"))
            yield Asked(least, contenders, "mask", way=way, shot=5, episodes=60, out=OUT, more=settings)


def cost(name: str, checkpoint: str | None) -> dict[str, Any]:
    """Learned numbers, multiply-adds of a query with one example of one class, and the largest memory in MB, of this process."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    import likewise
    from likewise.weights import read_checkpoint

    cell = next(iter(cells(["landmark"], ["1"], 1)))
    example = likewise.Example(picture(cell.set, cell.support[0]), label_map=truth(cell.set, cell.support[0]))
    settings: dict[str, Any] = {"side": SIDE} if checkpoint is not None and name != "pfenet" else {}
    forget_peak()
    task = likewise.learn(likewise.Support([example], classes=classes(cell.set)), method=name, preset="fast", engine="torch", checkpoint=checkpoint, **settings)
    image = task.prepare(DATA / cell.set / "images" / picture(cell.set, cell.query[0]).name)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        task.predict_prepared([image])
    tensors = {} if checkpoint is None else read_checkpoint(Path(checkpoint))[0]
    learned = sum(tensor.numel() for tensor in tensors.values() if tensor.is_floating_point())
    return {"learned": learned, "multiply_adds": counter.get_total_flops() // 2, "mb": peak_mb()}


def costs() -> list[str]:
    """The table of what was counted."""
    lines = ["", "| | learned numbers | multiply-adds of a query, billions, the backbone among them | MB |", "|---|---|---|---|"]
    for path in sorted(OUT.glob("cost/*.json")):
        told = read_json(path)
        lines.append(f"| `{path.stem}` | {told['learned']:,} | {told['multiply_adds'] / 1e9:.1f} | {told['mb']:.0f} |")
    return lines


def main() -> None:
    """Measure what is asked for, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--only", nargs="*", help="places, by name")
    parser.add_argument("--without", nargs="*", default=[], help="contenders to leave out, so that a slow one can be added by a later call")
    parser.add_argument("--ways", nargs="*", type=int, help="only these")
    parser.add_argument("--shard", type=shard, default=(1, 1), help="i/n: the i-th of n shares of the work")
    parser.add_argument("--page", action="store_true", help="measure nothing")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--cost-of", help=argparse.SUPPRESS)
    told = parser.parse_args()
    need_shared()
    files: Mapping[str, str] = dict(pair.partition("=")[::2] for pair in told.checkpoint)
    for name, file in files.items():
        link = RUNS / name / "trained.safetensors"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(Path(file).resolve())
    names = [name for name in TRAINED if (RUNS / name / "trained.safetensors").exists()]
    if told.cost_of:
        spent = cost(told.cost_of, str(RUNS / told.cost_of / "trained.safetensors") if told.cost_of in names else None)
        write_json(OUT / "cost" / f"{told.cost_of}.json", spent)
        print(told.cost_of, json.dumps(spent), flush=True)
        return
    if told.cost:
        for name in (*FREE, *names, "analogy"):
            subprocess.run([sys.executable, __file__, "--cost-of", name], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    found = list(asked(names))
    index, count = told.shard
    for cell in [] if told.page or told.cost else found[index - 1 :: count]:
        if (not told.only or cell.place.name in told.only) and (not told.ways or cell.way in told.ways):
            cell = Asked(**{**vars(cell), "contenders": tuple(one for one in cell.contenders if one.partition(":")[0] not in told.without)})
            print("likewise", *cell.command, flush=True)
            subprocess.run([sys.executable, "-m", "likewise", *cell.command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    between_marks(PAGE, "field", ["", *tables(found)])
    between_marks(PAGE, "cost", costs())


if __name__ == "__main__":
    main()
